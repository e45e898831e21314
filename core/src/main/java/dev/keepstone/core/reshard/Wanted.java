package dev.keepstone.core.reshard;

import dev.keepstone.core.tensor.Slice;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What somebody wants of a tensor.
///
/// @param tensor its index among those of the checkpoint
/// @param slices boxes of it, which may share elements; null for all of it
public record Wanted(int tensor, @Nullable List<Slice> slices) {
  public Wanted {
    slices = slices == null ? null : List.copyOf(slices);
  }

  /// All of a tensor.
  public static Wanted whole(int tensor) {
    return new Wanted(tensor, null);
  }
}
