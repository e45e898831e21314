package dev.keepstone.core.json;

import java.util.stream.IntStream;

/// The integers that most documents consist of, one object each.
final class SmallIntegers {
  private static final int COUNT = 1025;

  static final Json.Int[] ALL =
      IntStream.range(0, COUNT).mapToObj(Json.Int::new).toArray(Json.Int[]::new);

  private SmallIntegers() {}
}
