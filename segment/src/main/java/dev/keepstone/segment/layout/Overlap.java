package dev.keepstone.segment.layout;

import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Finds pieces of one tensor that hold the same elements, or are the same empty slice.
final class Overlap {
  private Overlap() {}

  /// Two of the pieces that overlap, or null.
  ///
  /// Sweeps along the dimension with most different offsets, so that a tensor cut into columns
  /// costs no more than one cut into rows.
  static RegisteredPiece @Nullable [] find(List<RegisteredPiece> pieces) {
    Map<Slice, RegisteredPiece> slices = new HashMap<>();
    for (RegisteredPiece piece : pieces) {
      RegisteredPiece same = slices.put(slice(piece), piece);
      if (same != null) {
        return new RegisteredPiece[] {same, piece};
      }
    }
    Shape shape = pieces.getFirst().piece().tensor().shape();
    if (pieces.size() == 1 || shape.elementCount() == 0) {
      return null;
    }
    int along = bestDimension(pieces, shape.rank());
    List<RegisteredPiece> sorted =
        pieces.stream()
            .filter(piece -> slice(piece).extent().elementCount() > 0)
            .sorted(Comparator.comparing(piece -> slice(piece).offset().get(along)))
            .toList();
    for (int i = 0; i < sorted.size(); i++) {
      Slice a = slice(sorted.get(i));
      long end = a.offset().get(along) + a.extent().extent(along);
      for (int j = i + 1; j < sorted.size(); j++) {
        Slice b = slice(sorted.get(j));
        if (b.offset().get(along) >= end) {
          break;
        }
        if (overlap(a, b)) {
          return new RegisteredPiece[] {sorted.get(i), sorted.get(j)};
        }
      }
    }
    return null;
  }

  private static int bestDimension(List<RegisteredPiece> pieces, int rank) {
    int best = 0;
    long most = 0;
    for (int d = 0; d < rank; d++) {
      int dimension = d;
      long different =
          pieces.stream().map(piece -> slice(piece).offset().get(dimension)).distinct().count();
      if (different > most) {
        best = d;
        most = different;
      }
    }
    return best;
  }

  private static boolean overlap(Slice a, Slice b) {
    for (int d = 0; d < a.offset().size(); d++) {
      if (a.offset().get(d) + a.extent().extent(d) <= b.offset().get(d)
          || b.offset().get(d) + b.extent().extent(d) <= a.offset().get(d)) {
        return false;
      }
    }
    return true;
  }

  private static Slice slice(RegisteredPiece registered) {
    return registered.piece().slice();
  }
}
