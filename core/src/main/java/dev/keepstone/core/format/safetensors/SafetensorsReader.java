package dev.keepstone.core.format.safetensors;

import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.format.safetensors.SafetensorsHeader.Entry;
import dev.keepstone.core.json.JsonException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/// Reads the header of a safetensors file and distrusts every word of it.
public final class SafetensorsReader {
  private static final int LENGTH_BYTES = 8;
  private static final ValueLayout.OfLong U64 =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final OpenFile file;
  private final String fileName;

  private SafetensorsReader(OpenFile file, String fileName) {
    this.file = file;
    this.fileName = fileName;
  }

  /// Reads and checks the header of a file; tensor bytes are not read.
  ///
  /// Memory is proportional to the header, which is at most as long as the file: no number in the
  /// file is believed before it was held against the file's size.
  ///
  /// @param fileName for messages
  /// @throws KeepstoneException.Integrity naming defect, byte offset and tensor
  public static SafetensorsHeader read(OpenFile file, String fileName) throws IOException {
    return new SafetensorsReader(file, fileName).read();
  }

  /// Whether a file begins like a safetensors file: a length within the format's limit and the
  /// file, and then an opening brace. Says nothing about the rest.
  static boolean looksRight(OpenFile file) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment start = arena.allocate(LENGTH_BYTES + 1, 8);
      if (file.read(0, start) < start.byteSize()) {
        return false;
      }
      long jsonBytes = start.get(U64, 0);
      return jsonBytes > 0
          && jsonBytes <= SafetensorsHeader.MAX_JSON_BYTES
          && jsonBytes <= file.size() - LENGTH_BYTES
          && start.get(ValueLayout.JAVA_BYTE, LENGTH_BYTES) == '{';
    }
  }

  private SafetensorsHeader read() throws IOException {
    long size = file.size();
    long jsonBytes = jsonBytes(size);
    byte[] json = new byte[(int) jsonBytes];
    try (HeaderStream stream = new HeaderStream(file, LENGTH_BYTES, jsonBytes)) {
      if (stream.readNBytes(json, 0, json.length) < json.length) {
        throw integrity("the file has become shorter while it was read", LENGTH_BYTES, null);
      }
    }
    HeaderParser parser = new HeaderParser(json, LENGTH_BYTES);
    try {
      parser.parse();
    } catch (HeaderText.Defect e) {
      throw integrity(String.valueOf(e.getMessage()), e.offset(), parser.inTensor());
    }
    EntryColumns entries = parser.entries();
    String twin = entries.twin();
    if (twin != null) {
      throw integrity("the name is given twice", -1, twin);
    }
    entries.sort();
    long dataStart = LENGTH_BYTES + jsonBytes;
    checkCover(entries, dataStart, size);
    SafetensorsHeader header = new SafetensorsHeader(entries, parser.metadata(), dataStart);
    checkTrueDtypes(header);
    return header;
  }

  private long jsonBytes(long size) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment length = arena.allocate(LENGTH_BYTES, 8);
      if (file.read(0, length) < LENGTH_BYTES) {
        throw integrity(
            "expected 8 bytes of header length, the file has " + size + " bytes", 0, null);
      }
      long jsonBytes = length.get(U64, 0);
      if (jsonBytes <= 0 || jsonBytes > SafetensorsHeader.MAX_JSON_BYTES) {
        throw integrity(
            "expected a header length from 1 to %d, found %s"
                .formatted(SafetensorsHeader.MAX_JSON_BYTES, Long.toUnsignedString(jsonBytes)),
            0,
            null);
      }
      if (jsonBytes > size - LENGTH_BYTES) {
        throw integrity(
            "expected a header of %d bytes, the file has %d after the length"
                .formatted(jsonBytes, size - LENGTH_BYTES),
            0,
            null);
      }
      return jsonBytes;
    }
  }

  private void checkCover(EntryColumns entries, long dataStart, long size) {
    long expected = 0;
    for (int i = 0; i < entries.size(); i++) {
      if (entries.begin(i) != expected) {
        Entry entry = entries.get(i);
        throw integrity(
            "expected data to go on at offset %d, found data_offsets [%d,%d]: %s"
                .formatted(
                    expected,
                    entry.begin(),
                    entry.end(),
                    entry.begin() > expected ? "a hole" : "an overlap"),
            -1,
            entry.name());
      }
      expected = entries.end(i);
    }
    if (size - dataStart != expected) {
      throw integrity(
          "expected %d bytes of tensor data, found %d".formatted(expected, size - dataStart),
          dataStart,
          null);
    }
  }

  private void checkTrueDtypes(SafetensorsHeader header) {
    if (header.metadata().containsKey(TrueDtypes.KEY)) {
      try {
        header.tensors();
      } catch (JsonException | IllegalArgumentException e) {
        throw integrity("metadata \"" + TrueDtypes.KEY + "\": " + e.getMessage(), -1, null);
      }
    }
  }

  /// @param offset in the file, or negative where there is no single place
  private KeepstoneException.Integrity integrity(
      String what, long offset, @Nullable String tensor) {
    return new KeepstoneException.Integrity(
        what,
        fileName
            + (offset < 0 ? "" : ", byte " + offset)
            + (tensor == null ? "" : ", tensor " + Quoted.text(tensor)),
        "take another copy of the file; no reader of the format may accept this one");
  }
}
