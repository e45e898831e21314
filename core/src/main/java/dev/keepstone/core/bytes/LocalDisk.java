package dev.keepstone.core.bytes;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/// The operating system's files, by the JDK where it can and by system calls where it cannot.
final class LocalDisk implements Disk {
  static final LocalDisk INSTANCE = new LocalDisk();

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
    Files.createLink(name, file);
  }

  @Override
  public void renameToFree(Path file, Path name) throws IOException {
    throw new UnsupportedOperationException("rename to a free name: " + file + " to " + name);
  }

  @Override
  public void delete(Path file) throws IOException {
    Files.deleteIfExists(file);
  }

  @Override
  public List<Entry> list(Path directory) throws IOException {
    List<Entry> entries = new ArrayList<>();
    try (DirectoryStream<Path> names = Files.newDirectoryStream(directory)) {
      for (Path name : names) {
        entries.add(entry(name));
      }
    } catch (NoSuchFileException e) {
      return List.of();
    }
    return entries;
  }

  private static Entry entry(Path path) throws IOException {
    BasicFileAttributes attributes =
        Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    String name = String.valueOf(path.getFileName());
    if (attributes.isRegularFile()) {
      return new Entry(name, attributes.size(), Kind.FILE);
    }
    return new Entry(name, 0, attributes.isDirectory() ? Kind.DIRECTORY : Kind.OTHER);
  }

  @Override
  public void syncDirectory(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  @Override
  public long usableBytes(Path directory) throws IOException {
    return Files.getFileStore(directory).getUsableSpace();
  }
}
