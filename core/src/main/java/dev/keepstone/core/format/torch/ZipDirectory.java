package dev.keepstone.core.format.torch;

import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/// The records of an archive and where their bytes lie, from its central directory.
///
/// Readers of zips disagree over what a directory does not say clearly (torch takes the first of
/// two records of one name, the JDK the last), so whatever could be read in two ways is refused:
/// names given twice, headers that disagree, records that overlap, sizes that lie, compressed
/// records.
final class ZipDirectory {
  /// Bytes of a central directory; a million records have some 70 MiB.
  static final long MAX_DIRECTORY_BYTES = 128L << 20;

  static final int MAX_RECORDS = 1 << 20;

  private static final int LOCAL_BYTES = 30;
  private static final int CENTRAL_BYTES = 46;
  private static final int END_BYTES = 22;
  private static final int LOCATOR_BYTES = 20;
  private static final int END64_BYTES = 56;
  private static final int MAX_COMMENT_BYTES = 0xffff;

  private static final int LOCAL = 0x04034b50;
  private static final int CENTRAL = 0x02014b50;
  private static final int END = 0x06054b50;
  private static final int LOCATOR = 0x07064b50;
  private static final int END64 = 0x06064b50;

  private static final long U32 = 0xffffffffL;

  /// Encrypted, patched, strongly encrypted, masked.
  private static final int FLAGS_REFUSED = 1 | 1 << 5 | 1 << 6 | 1 << 13;

  private final OpenFile file;
  private final String on;
  private final long size;
  private final Map<String, Entry> records = new LinkedHashMap<>();

  /// A record.
  ///
  /// @param name with the root
  /// @param header offset of its local header
  /// @param begin offset of its first byte
  /// @param crc of its bytes; 0 also where the writer computed none
  record Entry(String name, long header, long begin, long bytes, int crc) {}

  private ZipDirectory(OpenFile file, String on) throws IOException {
    this.file = file;
    this.on = on;
    this.size = file.size();
  }

  /// @throws KeepstoneException.Integrity naming what is broken, and the offset
  /// @throws KeepstoneException.Refused where a record is compressed or encrypted, or the directory
  ///   larger than any limit
  static ZipDirectory read(OpenFile file, String on) throws IOException {
    ZipDirectory directory = new ZipDirectory(file, on);
    directory.read();
    return directory;
  }

  /// By name, in the order of the directory.
  Map<String, Entry> records() {
    return records;
  }

  /// What the end of the file says of the directory.
  ///
  /// @param end offset behind it
  private record Extent(long begin, long bytes, long count, long end) {}

  private void read() throws IOException {
    Extent extent = extent();
    if (extent.count < 0 || extent.count > MAX_RECORDS || extent.bytes > MAX_DIRECTORY_BYTES) {
      throw refused(
          "a directory of %s records in %s bytes, and at most %d in %d are read"
              .formatted(
                  Long.toUnsignedString(extent.count),
                  Long.toUnsignedString(extent.bytes),
                  MAX_RECORDS,
                  MAX_DIRECTORY_BYTES),
          extent.end);
    }
    if (extent.begin < 0
        || extent.bytes < 0
        || extent.begin > extent.end
        || extent.bytes != extent.end - extent.begin) {
      throw broken(
          "expected the directory to end at %d, found %s bytes from %s"
              .formatted(
                  extent.end,
                  Long.toUnsignedString(extent.bytes),
                  Long.toUnsignedString(extent.begin)),
          extent.end);
    }
    ByteBuffer central = bytes(extent.begin, (int) extent.bytes);
    Set<String> folded = new HashSet<>();
    List<Entry> all = new ArrayList<>();
    for (long i = 0; i < extent.count; i++) {
      Entry entry = entry(central, extent.begin);
      if (!folded.add(entry.name.toLowerCase(Locale.ROOT))) {
        throw broken("the record " + shown(entry.name) + " is given twice", entry.header);
      }
      records.put(entry.name, entry);
      all.add(entry);
    }
    if (central.hasRemaining()) {
      throw broken(
          "the directory has more than the %d records it says".formatted(extent.count),
          extent.begin + central.position());
    }
    checkOverlaps(all, extent.begin);
  }

  private Extent extent() throws IOException {
    int window = (int) Math.min(size, END_BYTES + MAX_COMMENT_BYTES);
    ByteBuffer tail = bytes(size - window, window);
    for (int at = window - END_BYTES; at >= 0; at--) {
      if (tail.getInt(at) == END) {
        return extent(tail.slice(at, END_BYTES).order(ByteOrder.LITTLE_ENDIAN), size - window + at);
      }
    }
    throw broken("the archive has no end: it was cut off, or is being written", size);
  }

  private Extent extent(ByteBuffer end, long at) throws IOException {
    int disks = end.getShort(4) | end.getShort(6);
    long count = end.getShort(10) & 0xffff;
    long bytes = end.getInt(12) & U32;
    long begin = end.getInt(16) & U32;
    if (at >= LOCATOR_BYTES) {
      ByteBuffer locator = bytes(at - LOCATOR_BYTES, LOCATOR_BYTES);
      if (locator.getInt(0) == LOCATOR) {
        return extent64(locator, at - LOCATOR_BYTES, count, bytes, begin);
      }
    }
    if (disks != 0 || count != (end.getShort(8) & 0xffff)) {
      throw broken("an archive of several disks", at);
    }
    return new Extent(begin, bytes, count, at);
  }

  private Extent extent64(ByteBuffer locator, long at, long count, long bytes, long begin)
      throws IOException {
    long end64At = locator.getLong(8);
    if (end64At < 0 || end64At != at - END64_BYTES) {
      throw broken(
          "expected the ZIP64 end at %d, found %s"
              .formatted(at - END64_BYTES, Long.toUnsignedString(end64At)),
          at);
    }
    ByteBuffer end = bytes(end64At, END64_BYTES);
    if (end.getInt(0) != END64 || end.getLong(4) != END64_BYTES - 12) {
      throw broken("expected the ZIP64 end", end64At);
    }
    long count64 = end.getLong(32);
    long bytes64 = end.getLong(40);
    long begin64 = end.getLong(48);
    if (end.getInt(16) != 0 || end.getInt(20) != 0 || end.getLong(24) != count64) {
      throw broken("an archive of several disks", end64At);
    }
    if (differ(count, 0xffff, count64)
        || differ(bytes, U32, bytes64)
        || differ(begin, U32, begin64)) {
      throw broken("the ZIP64 end and the end disagree", end64At);
    }
    return new Extent(begin64, bytes64, count64, end64At);
  }

  private static boolean differ(long small, long beyond, long large) {
    return small != beyond && small != large;
  }

  private Entry entry(ByteBuffer central, long directory) throws IOException {
    int at = central.position();
    if (central.remaining() < CENTRAL_BYTES || central.getInt(at) != CENTRAL) {
      throw broken("expected a record of the directory", directory + at);
    }
    int flags = central.getShort(at + 8) & 0xffff;
    int method = central.getShort(at + 10) & 0xffff;
    int crc = central.getInt(at + 16);
    long compressed = central.getInt(at + 20) & U32;
    long bytes = central.getInt(at + 24) & U32;
    int nameBytes = central.getShort(at + 28) & 0xffff;
    int extraBytes = central.getShort(at + 30) & 0xffff;
    int commentBytes = central.getShort(at + 32) & 0xffff;
    long header = central.getInt(at + 42) & U32;
    if (central.remaining() - CENTRAL_BYTES < nameBytes + extraBytes + commentBytes) {
      throw broken("a record ends beyond the directory", directory + at);
    }
    byte[] name = new byte[nameBytes];
    central.get(at + CENTRAL_BYTES, name);
    String text = name(name, directory + at);
    if (central.getShort(at + 34) != 0) {
      throw broken("an archive of several disks", directory + at);
    }
    if (bytes == U32 || compressed == U32 || header == U32) {
      ByteBuffer wide =
          zip64(central, at + CENTRAL_BYTES + nameBytes, extraBytes, text, directory + at);
      bytes = bytes == U32 ? next(wide, text, directory + at) : bytes;
      compressed = compressed == U32 ? next(wide, text, directory + at) : compressed;
      header = header == U32 ? next(wide, text, directory + at) : header;
    }
    central.position(at + CENTRAL_BYTES + nameBytes + extraBytes + commentBytes);
    if (method != 0 || (flags & FLAGS_REFUSED) != 0) {
      throw refused(
          "record %s is %s; torch.save writes records as they are"
              .formatted(shown(text), method != 0 ? "compressed" : "encrypted"),
          directory + at);
    }
    if (bytes != compressed) {
      throw broken(
          "record %s says %d bytes and %d".formatted(shown(text), bytes, compressed),
          directory + at);
    }
    return new Entry(text, header, payload(header, bytes, name, directory), bytes, crc);
  }

  private ByteBuffer zip64(ByteBuffer central, int from, int extraBytes, String name, long offset) {
    int end = from + extraBytes;
    for (int at = from; at + 4 <= end; ) {
      int length = central.getShort(at + 2) & 0xffff;
      if (at + 4 + length > end) {
        break;
      }
      if (central.getShort(at) == 1) {
        return central.slice(at + 4, length).order(ByteOrder.LITTLE_ENDIAN);
      }
      at += 4 + length;
    }
    throw broken("record " + shown(name) + " lacks its ZIP64 sizes", offset);
  }

  private long next(ByteBuffer wide, String name, long offset) {
    long value = wide.remaining() < 8 ? -1 : wide.getLong();
    if (value < 0) {
      throw broken("record " + shown(name) + " has wrong ZIP64 sizes", offset);
    }
    return value;
  }

  /// A path of at least two plain components.
  private String name(byte[] utf8, long offset) {
    String name = new String(utf8, StandardCharsets.UTF_8);
    boolean plain = name.indexOf('\\') < 0 && name.indexOf('\0') < 0 && name.indexOf('\ufffd') < 0;
    for (String component : name.split("/", -1)) {
      plain &= !component.isEmpty() && !component.equals(".") && !component.equals("..");
    }
    if (!plain) {
      throw broken("a record has the name " + shown(name), offset);
    }
    return name;
  }

  /// Where the bytes begin, from the local header, which alone knows the padding.
  private long payload(long header, long bytes, byte[] name, long directory) throws IOException {
    if (header > directory - LOCAL_BYTES - name.length) {
      throw broken("a record begins beyond the directory", header);
    }
    ByteBuffer local = bytes(header, LOCAL_BYTES + name.length);
    byte[] localName = new byte[name.length];
    local.get(LOCAL_BYTES, localName);
    if (local.getInt(0) != LOCAL
        || (local.getShort(26) & 0xffff) != name.length
        || !Arrays.equals(localName, name)
        || local.getShort(8) != 0
        || (local.getShort(6) & FLAGS_REFUSED) != 0) {
      throw broken(
          "the header of record "
              + shown(new String(name, StandardCharsets.UTF_8))
              + " and the directory disagree",
          header);
    }
    long localBytes = local.getInt(22) & U32;
    boolean streamed = (local.getShort(6) & 8) != 0;
    if (!streamed && localBytes != bytes && localBytes != U32) {
      throw broken(
          "record %s has %d bytes by its header and %d by the directory"
              .formatted(shown(new String(name, StandardCharsets.UTF_8)), localBytes, bytes),
          header);
    }
    long begin = header + LOCAL_BYTES + name.length + (local.getShort(28) & 0xffff);
    if (begin > directory || bytes > directory - begin) {
      throw broken(
          "record %s ends beyond the directory"
              .formatted(shown(new String(name, StandardCharsets.UTF_8))),
          header);
    }
    return begin;
  }

  private void checkOverlaps(List<Entry> all, long directory) {
    all.sort(Comparator.comparingLong(Entry::header));
    for (int i = 0; i < all.size(); i++) {
      long next = i + 1 < all.size() ? all.get(i + 1).header : directory;
      Entry entry = all.get(i);
      if (entry.begin + entry.bytes > next) {
        throw broken("record " + shown(entry.name) + " overlaps the next one", entry.header);
      }
    }
  }

  private ByteBuffer bytes(long at, int count) throws IOException {
    byte[] bytes = new byte[count];
    if (at < 0 || file.read(at, MemorySegment.ofArray(bytes)) < count) {
      throw broken("the archive ends within its directory", Math.max(0, at));
    }
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  static String shown(String name) {
    String plain = name.replaceAll("\\p{Cntrl}", "?");
    return "\"" + (plain.length() > 80 ? plain.substring(0, 80) + "…" : plain) + "\"";
  }

  private KeepstoneException.Integrity broken(String what, long offset) {
    return new KeepstoneException.Integrity(
        what, on + ", byte " + offset, "take another copy of the file");
  }

  private KeepstoneException.Refused refused(String what, long offset) {
    return new KeepstoneException.Refused(
        what, on + ", byte " + offset, "write the file anew with torch.save");
  }
}
