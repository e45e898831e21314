package dev.keepstone.core.view;

import dev.keepstone.core.json.Json;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/// A checkpoint of any format, open for reading by one thread.
///
/// Structure was checked when the view was made; bytes are checked as they are read, where the
/// format has checksums.
public interface CheckpointView extends AutoCloseable {
  /// The format's name as users write it: `safetensors`, `keepstone`.
  String format();

  /// All tensors, in the order in which reading them goes forward through the files.
  List<StoredTensor> tensors();

  /// The format's own text fields; empty where there are none.
  Map<String, String> metadata();

  /// Everything that is no tensor, as a state tree's JSON (docs/spec/state-tree.md), where the
  /// checkpoint has such.
  Optional<Json.Obj> state();

  /// The model's own configuration, `config.json`, where one lies beside the tensors.
  Optional<byte[]> config();

  /// Fills `into` with bytes of a piece.
  ///
  /// @param offset of the first byte inside the piece
  /// @throws dev.keepstone.core.failure.KeepstoneException.Integrity where the bytes are gone or do
  ///   not match their checksum
  void read(StoredTensor tensor, StoredPiece piece, long offset, MemorySegment into)
      throws IOException;

  /// The CRC-32 (zlib's polynomial) of a tensor's row-major bytes, where the checkpoint says it
  /// without reading them. It is the checkpoint's word: good for finding equals, no proof of them.
  default OptionalInt crc32(StoredTensor tensor) {
    return OptionalInt.empty();
  }

  @Override
  void close() throws IOException;
}
