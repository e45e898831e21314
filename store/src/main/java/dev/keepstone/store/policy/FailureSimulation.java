package dev.keepstone.store.policy;

import java.util.random.RandomGenerator;

/// Plays a run with failures from save to save, so that formulas can be checked against what
/// happens.
final class FailureSimulation {
  private FailureSimulation() {}

  /// The share of time that a run lost which had to compute so many seconds.
  ///
  /// A save begins when `interval` less the cost has been computed since the last one, or since the
  /// restart; it counts once it is durable. A failure throws the run back to the newest that
  /// counts.
  static double share(LostTime lost, double interval, double work, RandomGenerator random) {
    double now = 0;
    double done = 0;
    double safe = 0;
    double failure = next(lost, now, random);
    while (done < work) {
      double computed = Math.min(interval - lost.cost(), work - done);
      double saved = now + computed + lost.cost();
      if (failure >= now + computed + lost.durable()) {
        now = saved;
        done += computed;
        safe = done;
      } else {
        // Also where the save had ended and was not durable yet: what came behind it was in vain.
        done = safe;
        now = failure + lost.restart();
        failure = next(lost, now, random);
      }
    }
    return 1 - work / now;
  }

  private static double next(LostTime lost, double now, RandomGenerator random) {
    return now - lost.mtbf() * Math.log(1 - random.nextDouble());
  }
}
