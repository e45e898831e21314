package dev.keepstone.client;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.segment.layout.RegisteredPiece;
import java.lang.foreign.MemorySegment;
import java.util.function.Supplier;

/// A piece of the trainer's state and where its bytes are.
///
/// @param component the shard it goes to: model, optimizer, …
/// @param piece its tensor and slice
/// @param bytes asked at every save, since frameworks move their tensors; dense, row-major,
///   little-endian, exactly the piece's bytes
/// @param frozen whether the bytes stay as they are: then they are copied once, when the state is
///   registered, and not looked at again
public record Source(String component, Piece piece, Supplier<MemorySegment> bytes, boolean frozen) {
  /// A piece that may change.
  public Source(String component, Piece piece, Supplier<MemorySegment> bytes) {
    this(component, piece, bytes, false);
  }

  /// The same, with the promise that its bytes do not change until the state is registered anew.
  public Source asFrozen() {
    return new Source(component, piece, bytes, true);
  }

  /// A whole tensor whose memory stays where it is.
  public static Source of(String component, Tensor tensor, MemorySegment bytes) {
    return new Source(component, Piece.whole(tensor), () -> bytes);
  }

  RegisteredPiece registered() {
    return new RegisteredPiece(component, piece, frozen);
  }

  MemorySegment take() {
    MemorySegment taken = bytes.get();
    if (taken.byteSize() != piece.byteLength()) {
      throw new KeepstoneException.Refused(
          "expected "
              + piece.byteLength()
              + " bytes of "
              + piece.tensor().dtype()
              + " "
              + piece.slice().extent()
              + ", found "
              + taken.byteSize(),
          "tensor " + component + "/" + piece.tensor().name(),
          "register again when shapes change");
    }
    return taken;
  }
}
