package dev.keepstone.store.policy;

/// How often to save: what is lost least, by three formulas of growing accuracy. Seconds from the
/// end of a save to the end of the next.
///
/// @param young first order: the root of 2 × cost × MTBF, plus the cost (Young, CACM 17, 1974)
/// @param daly higher order (Daly 2006, eq. 37), plus the cost
/// @param best where [LostTime#share] is smallest, and no less than a save takes to become durable,
///   since one that begins earlier would wait
public record SaveInterval(double young, double daly, double best) {
  private static final int STEPS = 200;
  private static final double GOLDEN = (Math.sqrt(5) - 1) / 2;

  public static SaveInterval of(LostTime lost) {
    double young = Math.sqrt(2 * lost.cost() * lost.mtbf());
    double least = Math.max(lost.durable(), Math.nextUp(lost.cost()));
    return new SaveInterval(
        young + lost.cost(), daly(lost) + lost.cost(), Math.max(least, lowest(lost)));
  }

  private static double daly(LostTime lost) {
    double cost = lost.cost();
    double mtbf = lost.mtbf();
    if (cost >= 2 * mtbf) {
      return mtbf;
    }
    double ratio = cost / (2 * mtbf);
    return Math.sqrt(2 * cost * mtbf) * (1 + Math.sqrt(ratio) / 3 + ratio / 9) - cost;
  }

  /// The share has one valley: golden section, over the logarithm.
  private static double lowest(LostTime lost) {
    double low = Math.log(Math.max(lost.cost(), 1e-6) * (1 + 1e-9));
    double high = Math.log(Math.max(lost.cost(), 1e-6) + 20 * lost.mtbf());
    for (int i = 0; i < STEPS; i++) {
      double left = high - GOLDEN * (high - low);
      double right = low + GOLDEN * (high - low);
      if (lost.share(Math.exp(left)) < lost.share(Math.exp(right))) {
        high = right;
      } else {
        low = left;
      }
    }
    return Math.exp((low + high) / 2);
  }
}
