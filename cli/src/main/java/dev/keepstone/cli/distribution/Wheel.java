package dev.keepstone.cli.distribution;

import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// A Python wheel being written: a zip with a list of its files (packaging.python.org, "binary
/// distribution format").
final class Wheel implements AutoCloseable {
  private static final Pattern FIELD = Pattern.compile("(?m)^([a-z-]+) = \"(.*)\"$");
  private static final Set<PosixFilePermission> PLAIN =
      PosixFilePermissions.fromString("rw-r--r--");
  private static final Set<PosixFilePermission> PROGRAM =
      PosixFilePermissions.fromString("rwxr-xr-x");

  /// Of the record at the end of a zip without a comment, and of one entry of its directory without
  /// names.
  private static final int END_BYTES = 22;

  private static final int ENTRY_BYTES = 46;

  private static final int REGULAR_FILE = 0x8000;

  private final Path file;
  private final FileSystem zip;
  private final String info;
  private final StringBuilder record = new StringBuilder();

  private Wheel(Path file, FileSystem zip, String info) {
    this.file = file;
    this.zip = zip;
    this.info = info;
  }

  static Wheel create(Path file, String name, String version) throws IOException {
    // Only this way the programs in it stay executable.
    Map<String, String> options = Map.of("create", "true", "enablePosixFileAttributes", "true");
    URI uri = URI.create("jar:" + file.toUri());
    return new Wheel(
        file, FileSystems.newFileSystem(uri, options), name + "-" + version + ".dist-info");
  }

  /// The plain text fields of a `pyproject.toml`.
  static Map<String, String> project(Path file) throws IOException {
    return FIELD
        .matcher(Files.readString(file))
        .results()
        .collect(Collectors.toMap(found -> found.group(1), found -> found.group(2), (a, b) -> a));
  }

  /// Everything below a folder whose name ends in one of these.
  void folder(Path from, String name, String... endings) throws IOException {
    try (Stream<Path> inside = Files.walk(from)) {
      List<Path> files =
          inside
              .filter(Files::isRegularFile)
              .filter(file -> Stream.of(endings).anyMatch(file.toString()::endsWith))
              .sorted()
              .toList();
      for (Path file : files) {
        file(file, name + "/" + from.relativize(file));
      }
    }
  }

  void file(Path from, String name) throws IOException {
    add(name, Files.readAllBytes(from), Files.isExecutable(from) ? PROGRAM : PLAIN);
  }

  void text(String name, String text) throws IOException {
    add(name, text.getBytes(StandardCharsets.UTF_8), PLAIN);
  }

  /// @param tag `py3-none-any` and the like
  /// @param pure whether it holds nothing but Python
  void finish(String metadata, String tag, boolean pure) throws IOException {
    text(info + "/METADATA", metadata);
    String wheel = "Wheel-Version: 1.0\nGenerator: keepstone dist\nRoot-Is-Purelib: %s\nTag: %s\n";
    text(info + "/WHEEL", wheel.formatted(pure, tag));
    record.append(info).append("/RECORD,,\n");
    Path place = zip.getPath(info, "RECORD");
    Files.writeString(place, record);
    Files.setPosixFilePermissions(place, PLAIN);
  }

  private void add(String name, byte[] bytes, Set<PosixFilePermission> permissions)
      throws IOException {
    Path place = zip.getPath(name);
    Files.createDirectories(place.getParent());
    Files.write(place, bytes);
    Files.setPosixFilePermissions(place, permissions);
    // Names with a comma would need quotes; there are none.
    record.append(name).append(",sha256=").append(digest(bytes)).append(",");
    record.append(bytes.length).append("\n");
  }

  private static String digest(byte[] bytes) {
    try {
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(bytes);
      return Base64.getUrlEncoder().withoutPadding().encodeToString(digest);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() throws IOException {
    zip.close();
    markRegular(file);
  }

  /// Adds to each entry's mode that it is a regular file: the JDK leaves it out, and pip gives the
  /// right to execute to nothing else. The entries of the central directory are fixed fields, three
  /// lengths among them (PKWARE's APPNOTE, 4.3.12 and 4.3.16).
  private static void markRegular(Path file) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      ByteBuffer end = ByteBuffer.allocate(END_BYTES).order(ByteOrder.LITTLE_ENDIAN);
      channel.read(end, channel.size() - END_BYTES);
      long at = Integer.toUnsignedLong(end.getInt(16));
      int entries = Short.toUnsignedInt(end.getShort(10));
      for (int i = 0; i < entries; i++) {
        ByteBuffer entry = ByteBuffer.allocate(ENTRY_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        channel.read(entry, at);
        entry.putInt(38, entry.getInt(38) | REGULAR_FILE << 16).rewind();
        channel.write(entry, at);
        at +=
            ENTRY_BYTES
                + Short.toUnsignedInt(entry.getShort(28))
                + Short.toUnsignedInt(entry.getShort(30))
                + Short.toUnsignedInt(entry.getShort(32));
      }
    }
  }
}
