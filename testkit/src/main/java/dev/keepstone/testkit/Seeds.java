package dev.keepstone.testkit;

import java.util.Random;
import java.util.stream.LongStream;

/// Seeds for tests that draw at random: the same ones every time, so that a build fails for its
/// change and not for its luck.
///
/// A test takes one as its parameter, so that JUnit prints it in the test's name:
/// `@ParameterizedTest @MethodSource("seeds")` with `static LongStream seeds() { return
/// Seeds.count(100); }`. To run one seed alone: `-Dkeepstone.seed=4711`.
public final class Seeds {
  private Seeds() {}

  /// The seeds 1 to `count`, or the one of the property `keepstone.seed`.
  public static LongStream count(int count) {
    Long one = Long.getLong("keepstone.seed");
    return one == null ? LongStream.rangeClosed(1, count) : LongStream.of(one);
  }

  /// The generator of a seed; neighbouring seeds give unlike sequences.
  public static Random random(long seed) {
    return new Random(seed * 0x9E3779B97F4A7C15L ^ seed >>> 32);
  }
}
