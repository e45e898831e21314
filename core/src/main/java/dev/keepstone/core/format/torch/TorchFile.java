package dev.keepstone.core.format.torch;

import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.pickle.PickleInput;
import dev.keepstone.core.pickle.PickledState;
import dev.keepstone.core.pickle.PickledTensor.Storage;
import dev.keepstone.core.pickle.PickledTensor.Strided;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// What a file holds, whichever of torch's forms it has.
///
/// @param format as users write it
/// @param storages where the bytes of each storage lie, by key
/// @param checked records with a checksum
record TorchFile(
    String format,
    PickledState state,
    Map<String, ZipDirectory.Entry> storages,
    Collection<ZipDirectory.Entry> checked,
    boolean bigEndian) {
  private static final int MAX_SMALL_RECORD_BYTES = 64;

  /// @return empty where it is no file of torch
  static Optional<TorchFile> read(OpenFile file, String on, boolean strict) throws IOException {
    byte[] start = new byte[32];
    long count = file.read(0, MemorySegment.ofArray(start));
    if (count >= 4 && start[0] == 'P' && start[1] == 'K' && start[2] == 3 && start[3] == 4) {
      return archive(file, on, strict);
    }
    return LegacyStream.looksRight(start)
        ? Optional.of(LegacyStream.read(file, on, strict))
        : Optional.empty();
  }

  /// Where the bytes of a storage lie, which the reading has made sure of.
  ZipDirectory.Entry storage(Storage storage) {
    ZipDirectory.Entry entry = storages.get(storage.key());
    if (entry == null) {
      throw new IllegalArgumentException("no storage " + storage.key());
    }
    return entry;
  }

  private static Optional<TorchFile> archive(OpenFile file, String on, boolean strict)
      throws IOException {
    Map<String, ZipDirectory.Entry> records = ZipDirectory.read(file, on).records();
    if (records.isEmpty()) {
      return Optional.empty();
    }
    String first = records.keySet().iterator().next();
    String root = first.substring(0, Math.max(0, first.indexOf('/') + 1));
    ZipDirectory.Entry pickle = records.get(root + "data.pkl");
    if (root.isEmpty() || pickle == null) {
      return Optional.empty();
    }
    for (String name : records.keySet()) {
      if (!name.startsWith(root)) {
        throw new KeepstoneException.Integrity(
            "record %s lies outside of %s".formatted(ZipDirectory.shown(name), root),
            on,
            "take another copy of the file");
      }
    }
    if (records.containsKey(root + "constants.pkl")) {
      throw new KeepstoneException.Unsupported(
          "a TorchScript archive: a program with its weights",
          on,
          "save the module's state_dict() with torch.save");
    }
    checkVersion(file, on, records.get(root + "version"), records.get(root + ".data/version"));
    boolean bigEndian = bigEndian(file, on, records.get(root + "byteorder"));
    PickleInput input =
        new PickleInput(file, on + ", data.pkl", pickle.begin(), pickle.begin() + pickle.bytes());
    PickledState state = PickledState.read(input, strict);
    Map<String, ZipDirectory.Entry> storages = new HashMap<>();
    for (var tensor : state.tensors()) {
      if (tensor.origin() instanceof Strided strided) {
        Storage storage = strided.storage();
        ZipDirectory.Entry record = records.get(root + "data/" + storage.key());
        requireRecord(on, storage, record);
        storages.put(storage.key(), record);
      }
    }
    return Optional.of(
        new TorchFile("torch", state, storages, List.copyOf(records.values()), bigEndian));
  }

  private static void requireRecord(
      String on, Storage storage, ZipDirectory.@Nullable Entry record) {
    if (record == null || record.bytes() != storage.bytes()) {
      throw new KeepstoneException.Integrity(
          "storage %s: expected %d bytes, found %s"
              .formatted(
                  ZipDirectory.shown(storage.key()),
                  storage.bytes(),
                  record == null ? "no record" : Long.toString(record.bytes())),
          on,
          "take another copy of the file");
    }
  }

  private static void checkVersion(
      OpenFile file,
      String on,
      ZipDirectory.@Nullable Entry version,
      ZipDirectory.@Nullable Entry hidden)
      throws IOException {
    ZipDirectory.Entry record = hidden != null ? hidden : version;
    String text = record == null ? "nothing" : text(file, record).strip();
    if (!text.matches("[1-9]|10")) {
      throw new KeepstoneException.Unsupported(
          "expected an archive of version 1 to 10, found " + ZipDirectory.shown(text),
          on,
          "save it with a released version of torch");
    }
  }

  private static boolean bigEndian(OpenFile file, String on, ZipDirectory.@Nullable Entry record)
      throws IOException {
    String order = record == null ? "little" : text(file, record);
    return switch (order) {
      case "little" -> false;
      case "big" -> true;
      default ->
          throw new KeepstoneException.Integrity(
              "expected the byte order little or big, found " + ZipDirectory.shown(order),
              on,
              "take another copy of the file");
    };
  }

  private static String text(OpenFile file, ZipDirectory.Entry record) throws IOException {
    byte[] bytes = new byte[(int) Math.min(MAX_SMALL_RECORD_BYTES, record.bytes())];
    long count = file.read(record.begin(), MemorySegment.ofArray(bytes));
    return new String(bytes, 0, (int) count, StandardCharsets.US_ASCII);
  }
}
