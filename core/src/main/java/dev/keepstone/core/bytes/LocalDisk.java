package dev.keepstone.core.bytes;

import java.io.File;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/// The operating system's files, by the JDK where it can and by system calls where it cannot.
final class LocalDisk implements Disk {
  static final LocalDisk INSTANCE = new LocalDisk();

  /// There a directory cannot be opened, nor synced in any other way; names are journalled.
  private static final boolean WINDOWS = File.separatorChar == '\\';

  private LocalDisk() {}

  @Override
  public void createDirectories(Path directory) throws IOException {
    Deque<Path> missing = new ArrayDeque<>();
    for (Path at = directory.toAbsolutePath();
        at != null && !Files.isDirectory(at);
        at = at.getParent()) {
      missing.push(at);
    }
    for (Path at : missing) {
      try {
        Files.createDirectory(at);
      } catch (FileAlreadyExistsException e) {
        if (!Files.isDirectory(at)) {
          throw e;
        }
      }
      Path parent = at.getParent();
      if (parent != null) {
        syncDirectory(parent);
      }
    }
  }

  @Override
  public OpenFile create(Path file) throws IOException {
    return LocalFile.create(file);
  }

  @Override
  public OpenFile open(Path file) throws IOException {
    return LocalFile.open(file);
  }

  @Override
  public void link(Path file, Path name) throws IOException {
    if (Libc.LINUX.isPresent()) {
      Libc.LINUX.get().link(file, name);
    } else {
      Files.createLink(name, file);
    }
  }

  @Override
  public void renameToFree(Path file, Path name) throws IOException {
    Libc.LINUX
        .orElseThrow(() -> new UnsupportedOperationException("rename to the free name " + name))
        .renameToFree(file, name);
  }

  @Override
  public void delete(Path file) throws IOException {
    Files.deleteIfExists(file);
  }

  @Override
  public List<Entry> list(Path directory) throws IOException {
    List<Entry> entries = new ArrayList<>();
    for (String name : names(directory)) {
      addEntry(directory.resolve(name), entries);
    }
    return entries;
  }

  @Override
  public List<String> names(Path directory) throws IOException {
    List<String> names = new ArrayList<>();
    try (DirectoryStream<Path> paths = Files.newDirectoryStream(directory)) {
      for (Path path : paths) {
        names.add(String.valueOf(path.getFileName()));
      }
    } catch (NoSuchFileException e) {
      return List.of();
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    return names;
  }

  private static void addEntry(Path path, List<Entry> entries) throws IOException {
    BasicFileAttributes attributes;
    try {
      attributes = Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    } catch (NoSuchFileException e) {
      // Removed since its name was read: it does not lie here, but all the others do.
      return;
    }
    String name = String.valueOf(path.getFileName());
    if (attributes.isRegularFile()) {
      entries.add(new Entry(name, attributes.size(), Kind.FILE));
    } else {
      entries.add(new Entry(name, 0, attributes.isDirectory() ? Kind.DIRECTORY : Kind.OTHER));
    }
  }

  @Override
  public Optional<Instant> modified(Path file) throws IOException {
    try {
      return Optional.of(Files.getLastModifiedTime(file, LinkOption.NOFOLLOW_LINKS).toInstant());
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  @Override
  public void syncDirectory(Path directory) throws IOException {
    if (WINDOWS) {
      return;
    }
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  @Override
  public long usableBytes(Path directory) throws IOException {
    // Not by Files.getFileStore: that looks for the mount point and finds none in some containers.
    long bytes = directory.toFile().getUsableSpace();
    if (bytes == 0 && !Files.exists(directory)) {
      throw new NoSuchFileException(directory.toString());
    }
    return bytes;
  }
}
