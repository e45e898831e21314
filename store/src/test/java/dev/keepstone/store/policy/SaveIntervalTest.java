package dev.keepstone.store.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SaveIntervalTest {
  /// Unexpected stops of a run on 16,384 GPUs came every 11,135 s (peers' figures).
  private static final double LARGE_RUN = 11_135;

  @ParameterizedTest
  @CsvSource({"120, 1635", "60, 1156", "6.3, 375", "0.78, 132", "0.05, 33"})
  void youngAgreesWithWhatIsPublished(double cost, double seconds) {
    SaveInterval interval = SaveInterval.of(new LostTime(cost, cost, 0, LARGE_RUN));

    assertThat(interval.young() - cost).isCloseTo(seconds, within(1.0));
  }

  @ParameterizedTest
  @CsvSource({"60, 60, 0", "60, 600, 300", "0.2, 120, 300", "300, 300, 900", "5, 5, 60"})
  void theFormulasAreCloseToTheBestWhereFailuresAreRare(
      double cost, double durable, double restart) {
    LostTime lost = new LostTime(cost, durable, restart, 30 * LARGE_RUN);
    SaveInterval interval = SaveInterval.of(lost);

    assertThat(interval.daly()).isCloseTo(interval.best(), within(0.05 * interval.best()));
    double least = lost.share(interval.best());
    for (double factor : new double[] {0.5, 0.8, 0.95, 1.05, 1.25, 2}) {
      double other = factor * interval.best();
      assertThat(lost.share(other)).isGreaterThanOrEqualTo(least);
    }
  }

  @Test
  void aSaveIsNotBegunBeforeTheOneBeforeItIsDurable() {
    assertThat(SaveInterval.of(new LostTime(0.1, 600, 60, LARGE_RUN)).best()).isEqualTo(600);
  }

  @Test
  void aSaveThatCostsNothingIsMadeAsOftenAsItBecomesDurable() {
    assertThat(SaveInterval.of(new LostTime(0, 20, 60, LARGE_RUN)).best()).isEqualTo(20);
  }

  @Test
  void figuresThatAreNoneAreRefused() {
    assertThatThrownBy(() -> new LostTime(-1, 0, 0, 1)).hasMessageContaining("-1");
    assertThatThrownBy(() -> new LostTime(1, 0, 0, 0)).hasMessageContaining("failures");
    assertThatThrownBy(() -> new LostTime(Double.NaN, 0, 0, 1)).hasMessageContaining("NaN");
  }

  @ParameterizedTest
  @CsvSource({"60, 60, 300", "60, 240, 300", "0.5, 90, 300", "300, 300, 1800", "900, 900, 60"})
  void theAdvisedIntervalLosesAtMostTwoPercentMoreThanTheBestThatPlayingFinds(
      double cost, double durable, double restart) {
    long seed = 20_261_124;
    LostTime lost = new LostTime(cost, durable, restart, LARGE_RUN);
    double advised = SaveInterval.of(lost).best();
    double least = Double.MAX_VALUE;
    for (double factor = 0.3; factor < 3; factor *= 1.15) {
      double other = Math.max(factor * advised, lost.durable());
      least = Math.min(least, time(lost, other, seed));
    }

    assertThat(time(lost, advised, seed)).as("seed " + seed).isLessThanOrEqualTo(1.02 * least);
  }

  /// Mean time of 1,000 runs of ten days of work, as a multiple of the work.
  private static double time(LostTime lost, double interval, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    double sum = 0;
    for (int run = 0; run < 1000; run++) {
      sum += 1 / (1 - FailureSimulation.share(lost, interval, 864_000, random));
    }
    return sum / 1000;
  }

  @Test
  void theModelForetellsWhatPlayingFinds() {
    LostTime lost = new LostTime(60, 60, 300, LARGE_RUN);
    SplittableRandom random = new SplittableRandom(7);
    double sum = 0;
    for (int run = 0; run < 300; run++) {
      sum += FailureSimulation.share(lost, 1200, 864_000, random);
    }

    assertThat(lost.share(1200)).isCloseTo(sum / 300, within(0.01));
  }
}
