package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.segment.place.Outlives;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class QuickstartLinesTest {
  @Test
  void noLineIsWiderThanATerminalWithLargeNumbers() {
    List<String> lines = new ArrayList<>();
    for (Outlives outlives : Outlives.values()) {
      lines.add(QuickstartLines.agent(4194304, 512 << 20, outlives));
    }
    var save = new QuickstartLedger.Save(9999, 12.3456, "1-9999", 39_690_240, 999.4, 900, 9999);
    lines.add(QuickstartLines.trainer(4194304, 13_307_008));
    lines.add(QuickstartLines.text(1023 << 10, 1000));
    lines.add(QuickstartLines.save(save, QuickstartLines.durable(9999)));
    lines.add(QuickstartLines.save(save, "100 % drained"));
    lines.add(QuickstartLines.kill(4194304, 9999, 9998, 9980));
    lines.add(QuickstartLines.kill(4194304, 9999, 9999, 9980));
    lines.add(QuickstartLines.finished(9980, "12-9980"));
    lines.add(QuickstartLines.restored(4194304, "12-9980", "memory", 9999));
    lines.add(QuickstartLines.reference(12345));
    lines.add(QuickstartLines.check(new QuickstartLedger.Agreement(6000, List.of(1L))));
    lines.add(
        QuickstartLines.store(
            "keepstone-quickstart/demo-99", new QuickstartStore.Verified(5, 198_000_000, null)));
    lines.addAll(
        QuickstartLines.costs(
            new QuickstartFigures(999, 999, 9999, 999, 99999, 999, 99999, 39_690_240)));
    lines.addAll(QuickstartLines.next("keepstone-quickstart", "demo-99"));
    assertThat(lines).allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(80));
  }

  @Test
  void aKillBetweenTwoStepsIsNotToldAsOneInTheMiddle() {
    assertThat(QuickstartLines.kill(7, 47, 46, 40))
        .isEqualTo("    step   47   SIGKILL to pid 7 in mid-step; step 40 still draining");
    assertThat(QuickstartLines.kill(7, 47, 47, 40)).contains("after it");
  }

  @Test
  void aStoreBelowTheCurrentFolderIsShownWithoutIt() {
    Path here = Path.of("/home/me/keepstone");
    assertThat(QuickstartLines.shown(here.resolve("try"), here)).isEqualTo("try");
    assertThat(QuickstartLines.shown(here, here)).isEqualTo("/home/me/keepstone");
    assertThat(QuickstartLines.shown(Path.of("/data/try"), here)).isEqualTo("/data/try");
  }

  @Test
  void whatIsToBeTypedIsQuotedForTheShell() {
    assertThat(QuickstartLines.next("it's here", "demo").getFirst())
        .isEqualTo("Next:  ./keepstone ls 'it'\\''s here'");
  }

  @Test
  void theKillComesBetweenTwoSavesWhateverTheLength() {
    for (long steps : new long[] {20, 21, 39, 100, 1000, 12345}) {
      var plan = new QuickstartPlan(Path.of("/h"), Path.of("/l"), Path.of("/s"), "demo", steps);
      assertThat(plan.killStep())
          .isBetween(plan.slowStep() + 1, plan.slowStep() + plan.every() - 1);
    }
  }

  @Test
  void aThirdIsDrainedWhenTheKillComes() {
    var plan = new QuickstartPlan(Path.of("/h"), Path.of("/l"), Path.of("/s"), "demo", 100);
    assertThat(plan.slowRate(2_100_000, 100)).isEqualTo(1_000_000);
    assertThat(plan.slowRate(1, 1e9)).isEqualTo(1);
  }
}
