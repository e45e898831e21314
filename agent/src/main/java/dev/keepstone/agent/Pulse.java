package dev.keepstone.agent;

import java.util.concurrent.TimeUnit;

/// How far a trainer is and how long a step takes it, as far as anybody saw. Guarded by [Roster].
final class Pulse {
  /// Of a trainer that was seen once: most models take less for a step.
  private static final double UNKNOWN_NANOS = TimeUnit.SECONDS.toNanos(1);

  /// How much a new measure counts.
  private static final double WEIGHT = 0.3;

  private long steps;
  private long since;
  private double stepNanos;

  /// So many steps are done at that time of a monotonic clock; fewer than before say nothing.
  void saw(long done, long nanos) {
    if (done <= steps) {
      return;
    }
    if (steps > 0) {
      double each = (double) (nanos - since) / (done - steps);
      stepNanos = stepNanos == 0 ? each : stepNanos + WEIGHT * (each - stepNanos);
    }
    steps = done;
    since = nanos;
  }

  /// Steps done; 0 where none was seen.
  long steps() {
    return steps;
  }

  double stepNanos() {
    return stepNanos == 0 ? UNKNOWN_NANOS : stepNanos;
  }

  /// The last step that is begun within `notice` from now, if all goes on as it went.
  long after(long notice, long nanos) {
    return steps + (long) Math.ceil((notice + (nanos - since)) / stepNanos());
  }
}
