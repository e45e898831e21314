package dev.keepstone.core.format.torch;

import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.pickle.PickleInput;
import dev.keepstone.core.pickle.PickledState;
import dev.keepstone.core.pickle.PickledTensor.Strided;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// The form of torch before 1.6: pickles in a row (a magic number, a version, the machine, the
/// object, the keys of its storages), and then each storage behind the count of its elements.
///
/// Counts and elements are little-endian whatever the machine was. There are no checksums.
final class LegacyStream {
  /// The magic number, as every protocol writes it.
  private static final byte[] MAGIC = {
    (byte) 0x8a,
    0x0a,
    0x6c,
    (byte) 0xfc,
    (byte) 0x9c,
    0x46,
    (byte) 0xf9,
    0x20,
    0x6a,
    (byte) 0xa8,
    0x50,
    0x19,
    '.'
  };

  private static final int PROTOCOL = 1001;
  private static final int COUNT_BYTES = 8;
  private static final ValueLayout.OfLong I64 =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final OpenFile file;
  private final String on;

  private LegacyStream(OpenFile file, String on) {
    this.file = file;
    this.on = on;
  }

  static boolean looksRight(byte[] start) {
    for (int at = 2; at + MAGIC.length <= start.length; at++) {
      int same = Arrays.mismatch(start, at, at + MAGIC.length, MAGIC, 0, MAGIC.length);
      if (same < 0) {
        return start[0] == (byte) 0x80;
      }
    }
    return false;
  }

  static TorchFile read(OpenFile file, String on, boolean strict) throws IOException {
    return new LegacyStream(file, on).read(strict);
  }

  private TorchFile read(boolean strict) throws IOException {
    PickleInput input = new PickleInput(file, on, 0, file.size());
    PickledState.read(input, true);
    Json protocol = PickledState.read(input, true).state().get("state");
    if (!(protocol instanceof Json.Int(long version)) || version != PROTOCOL) {
      throw broken("expected the version " + PROTOCOL, input.position());
    }
    PickledState.read(input, true);
    PickledState state = PickledState.read(input, strict);
    Map<String, Long> expected = new HashMap<>();
    Map<String, Integer> elements = new HashMap<>();
    for (var tensor : state.tensors()) {
      if (tensor.origin() instanceof Strided strided) {
        expected.put(strided.storage().key(), strided.storage().bytes());
        elements.put(strided.storage().key(), strided.storage().elementBytes());
      }
    }
    Json keys = PickledState.read(input, true).state().get("state");
    if (!(keys instanceof Json.Array(List<Json> list))) {
      throw broken("expected the keys of the storages", input.position());
    }
    return new TorchFile(
        "torch-legacy",
        state,
        storages(list, expected, elements, input.position()),
        List.of(),
        false);
  }

  private Map<String, ZipDirectory.Entry> storages(
      List<Json> keys, Map<String, Long> expected, Map<String, Integer> elements, long begin)
      throws IOException {
    Map<String, ZipDirectory.Entry> storages = new HashMap<>();
    long at = begin;
    MemorySegment count = MemorySegment.ofArray(new byte[COUNT_BYTES]);
    for (Json json : keys) {
      Long bytes = json instanceof Json.Text(String text) ? expected.get(text) : null;
      Integer element = json instanceof Json.Text(String text) ? elements.get(text) : null;
      if (!(json instanceof Json.Text(String key)) || bytes == null || element == null) {
        throw broken("a key of a storage that no tensor has", at);
      }
      if (file.read(at, count) < COUNT_BYTES) {
        throw broken("the file ends before storage " + ZipDirectory.shown(key), at);
      }
      long found = count.get(I64, 0);
      long there = file.size() - at - COUNT_BYTES;
      if (found < 0 || found > there || found * element != bytes) {
        throw broken(
            "storage %s: expected %d elements, found %d"
                .formatted(ZipDirectory.shown(key), bytes / element, found),
            at);
      }
      if (bytes > there) {
        throw broken("the file ends within storage " + ZipDirectory.shown(key), at);
      }
      ZipDirectory.Entry entry = new ZipDirectory.Entry(key, at, at + COUNT_BYTES, bytes, 0);
      if (storages.put(key, entry) != null) {
        throw broken("storage " + ZipDirectory.shown(key) + " is listed twice", at);
      }
      at += COUNT_BYTES + bytes;
    }
    if (storages.size() != expected.size()) {
      throw broken(
          "expected %d storages, found %d".formatted(expected.size(), storages.size()), at);
    }
    return storages;
  }

  private KeepstoneException.Integrity broken(String what, long offset) {
    return new KeepstoneException.Integrity(
        what, on + ", byte " + offset, "take another copy of the file");
  }
}
