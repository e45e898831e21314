package dev.keepstone.store.policy;

/// What saving and failing cost a run, in seconds.
///
/// @param cost what one save stops the trainer for
/// @param durable from the call of a save until a failure can no longer take it; at least the cost
/// @param restart from a failure until the trainer computes again
/// @param mtbf mean time between failures, which come independently of each other
public record LostTime(double cost, double durable, double restart, double mtbf) {
  /// @throws IllegalArgumentException where a figure is negative or no number, or there is no time
  ///   between failures
  public LostTime {
    if (!(cost >= 0 && restart >= 0 && mtbf > 0) || !Double.isFinite(cost + restart + mtbf)) {
      throw new IllegalArgumentException(
          "expected cost and restart of 0 s or more and time between failures, found "
              + cost
              + ", "
              + restart
              + ", "
              + mtbf);
    }
    durable = Math.max(durable, cost);
  }

  /// The share of a long run's time that does not go forward, with a save every `interval` seconds
  /// (from the end of one to the end of the next): saves themselves, work done again, restarts.
  ///
  /// Daly's complete model (Future Generation Computer Systems 22, 2006, eq. 20) with one addition:
  /// a save becomes durable only after it has ended, so each failure also takes what was computed
  /// in between.
  public double share(double interval) {
    double computed = interval - cost;
    if (!(computed > 0)) {
      return 1;
    }
    // Expected time from one restart point to the next, restarts and repetitions included. What a
    // failure takes beyond the interval is paid like a longer restart.
    double again = restart + durable - cost;
    double period = mtbf * Math.exp(again / mtbf) * Math.expm1(interval / mtbf);
    return 1 - computed / period;
  }
}
