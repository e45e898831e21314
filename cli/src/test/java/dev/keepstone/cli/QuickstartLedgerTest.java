package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.segment.wire.Event;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;

class QuickstartLedgerTest {
  private static final Instant START = Instant.parse("2026-11-24T07:32:00Z");

  private final QuickstartLedger ledger = new QuickstartLedger();

  @Test
  void aTrainerThatDiedInAStepHasBegunWhatItDidNotEnd() {
    ledger.said(line("{\"pid\":7,\"parameters\":3}"));
    step(1, "aa");
    ledger.said(line("{\"begin\":2}"));
    assertThat(ledger.begun()).isEqualTo(2);
    assertThat(ledger.ended()).isEqualTo(1);
    assertThat(ledger.ready()).isPresent();

    ledger.trainer();
    assertThat(ledger.ready()).isEmpty();
    assertThat(ledger.begun()).isZero();
    assertThat(ledger.losses().bits()).isEmpty();
  }

  @Test
  void lossesAreComparedBitByBitAndOnlyAfterTheRestoredStep() {
    step(1, "aa");
    step(2, "bb");
    step(3, "cc");
    step(4, "dd");
    QuickstartLedger.Losses resumed = ledger.losses();
    ledger.trainer();
    step(1, "xx");
    step(2, "bb");
    step(3, "cd");
    step(4, "dd");
    assertThat(resumed.compare(ledger.losses(), 1))
        .isEqualTo(new QuickstartLedger.Agreement(3, List.of(3L)));
    assertThat(resumed.compare(ledger.losses(), 3).identical()).isTrue();
  }

  @Test
  void aLossThatTheOtherRunLacksIsADifference() {
    step(5, "aa");
    QuickstartLedger.Losses resumed = ledger.losses();
    ledger.trainer();
    assertThat(resumed.compare(ledger.losses(), 4).different()).containsExactly(5L);
  }

  @Test
  void nothingComparedIsNotIdentical() {
    step(5, "aa");
    assertThat(ledger.losses().compare(ledger.losses(), 5).identical()).isFalse();
  }

  @Test
  void theAgentsTimesTellWhetherADrainWasUnderWay() {
    told(1_000, "draining", "{\"id\":\"1-40\",\"bytes\":100}");
    told(1_400, "progress", "{\"id\":\"1-40\",\"done\":31,\"bytes\":100}");
    assertThat(ledger.draining("1-40")).isTrue();
    assertThat(ledger.draining("1-60")).isFalse();
    assertThat(ledger.percent("1-40")).isEqualTo(31);

    told(2_000, "drained", "{\"id\":\"1-40\",\"bytes\":100,\"ms\":1000.0}");
    assertThat(ledger.draining("1-40")).isFalse();
    assertThat(ledger.wasDraining("1-40", START.plusMillis(999))).isFalse();
    assertThat(ledger.wasDraining("1-40", START.plusMillis(1_500))).isTrue();
    assertThat(ledger.wasDraining("1-40", START.plusMillis(2_000))).isFalse();
  }

  @Test
  void aSaveIsDurableWhenItsCommitIsTold() {
    ledger.said(
        line(
            "{\"step\":20,\"loss\":3.5,\"bits\":\"aa\",\"ms\":80.0,\"saved\":{\"id\":\"1-20\","
                + "\"bytes\":100,\"stall_ms\":4.0,\"copy_ms\":3.0,\"write_ms\":60.0}}"));
    assertThat(ledger.save(20)).contains(new QuickstartLedger.Save(20, 3.5, "1-20", 100, 4, 3, 60));
    assertThat(ledger.durableMillis("1-20")).isEmpty();
    told(1, "committed", "{\"id\":\"1-20\",\"durable_ms\":61.5}");
    assertThat(ledger.durableMillis("1-20")).contains(61.5);
  }

  @Test
  void thePercentileIsAValueThatWasMeasured() {
    List<Double> values = List.of(5.0, 1.0, 4.0, 2.0, 3.0);
    assertThat(QuickstartLedger.percentile(values, 50)).isEqualTo(3);
    assertThat(QuickstartLedger.percentile(values, 99)).isEqualTo(5);
    assertThat(QuickstartLedger.percentile(values, 100)).isEqualTo(5);
    assertThat(QuickstartLedger.percentile(List.of(), 50)).isZero();
  }

  private void step(long step, String bits) {
    ledger.said(line("{\"begin\":" + step + "}"));
    ledger.said(line("{\"step\":" + step + ",\"loss\":1.5,\"bits\":\"" + bits + "\",\"ms\":80.0}"));
  }

  private void told(long millis, String name, String detail) {
    ledger.told(new Event(1, START.plusMillis(millis), name, line(detail)));
  }

  private static Json.Obj line(String json) {
    return JsonReader.readObject(json.getBytes(StandardCharsets.UTF_8));
  }
}
