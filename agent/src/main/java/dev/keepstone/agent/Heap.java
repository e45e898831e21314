package dev.keepstone.agent;

/// Keeps the Java heap near what lives in it. By itself the collector lets it grow to the limit
/// before it looks at what is old, so a single layout of a hundred thousand tensors would take a
/// gigabyte, for good.
final class Heap {
  /// Garbage that is not worth a collection.
  private static final long ROOM_BYTES = 12L << 20;

  private final Runtime runtime = Runtime.getRuntime();
  private long live = used();

  /// Collects, where garbage may be a quarter of what lived after the last collection.
  void round() {
    if (used() > live + live / 4 + ROOM_BYTES) {
      System.gc();
      live = used();
    }
  }

  private long used() {
    return runtime.totalMemory() - runtime.freeMemory();
  }
}
