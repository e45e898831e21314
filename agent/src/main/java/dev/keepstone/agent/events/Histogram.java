package dev.keepstone.agent.events;

/// Counts of values up to bounds, as scrapers read them.
final class Histogram {
  final double[] bounds;

  /// Values up to each bound, those up to lower ones included.
  final long[] counts;

  long count;
  double sum;

  Histogram(double... bounds) {
    this.bounds = bounds.clone();
    this.counts = new long[bounds.length];
  }

  void add(double value) {
    count++;
    sum += value;
    for (int i = 0; i < bounds.length; i++) {
      if (value <= bounds[i]) {
        counts[i]++;
      }
    }
  }

  Histogram copy() {
    Histogram copy = new Histogram(bounds);
    System.arraycopy(counts, 0, copy.counts, 0, counts.length);
    copy.count = count;
    copy.sum = sum;
    return copy;
  }
}
