package dev.keepstone.segment.layout;

import dev.keepstone.core.tensor.Piece;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.Collectors;

/// Names of pieces in their shard: the first of a tensor carries its name, further ones
/// `name@o0,o1`.
///
/// Pieces of one tensor have one dtype, so "first" is the same in the order of registration and in
/// that of the file.
final class PieceNames {
  private final Set<String> named = new HashSet<>();

  String next(Piece piece) {
    String name = piece.tensor().name();
    if (named.add(name)) {
      return name;
    }
    return piece.slice().offset().stream()
        .map(String::valueOf)
        .collect(Collectors.joining(",", name + "@", ""));
  }
}
