package dev.keepstone.store.retention;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.store.reference.CheckpointId;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/// What a plan says besides keeping and deleting.
final class RetentionTest {
  private static Plan plan(String rules, String story) {
    return Retention.plan(Story.of(story).view(), Story.rules(rules), Map.of());
  }

  private static String why(Plan plan, String id) {
    return plan.entry(CheckpointId.parse(id)).orElseThrow().why();
  }

  @Test
  void everyDeletionSaysOfEachRuleWhyItDidNotKeep() {
    Plan plan =
        plan(
            "keep_last:1,keep_every:['1000steps','6h'],keep_best:1,monitor:'loss',mode:'min'",
            """
            1-900 at:0 loss=1
            1-1000 at:10 loss=0.5
            1-1100 at:20 loss=2
            1-1200 at:30 loss=nan
            1-1300 at:40
            1-1400 at:50 suspect loss=0.1
            1-1500 at:60
            """);
    assertThat(why(plan, "1-1100"))
        .isEqualTo(
            "not of the last 1, 1-1000 stands for step 1000, 1-900 stands for every 6 h,"
                + " not the best of loss");
    assertThat(why(plan, "1-1200")).endsWith("its loss is NaN");
    assertThat(why(plan, "1-1300")).endsWith("has no loss");
    assertThat(why(plan, "1-1400")).endsWith("suspect, so never best");
    assertThat(plan.warnings()).isEmpty();
  }

  @Test
  void aMetricThatNoCheckpointHasIsAWarningThatNamesThoseSeen() {
    assertThat(
            plan(
                    "keep_last:1,keep_best:1,monitor:'val_los',mode:'min'",
                    "1-100 val_loss=1 acc=2 report:f1=1")
                .warnings())
        .containsExactly("no checkpoint has the metric val_los; seen: acc, f1, val_loss");
    assertThat(plan("keep_last:1,keep_best:1,monitor:'loss',mode:'min'", "1-100").warnings())
        .containsExactly("no checkpoint has the metric loss, nor any other");
    assertThat(
            plan("keep_last:1,keep_best:1,monitor:'loss',mode:'min'", "1-100 loss=nan").warnings())
        .singleElement()
        .asString()
        .startsWith("no checkpoint counts as best of loss");
    assertThat(plan("keep_last:1,keep_best:1,monitor:'loss',mode:'min'", "").warnings()).isEmpty();
  }

  @Test
  void aSuspectCheckpointStandsForNoGoodOneUnderAnyRule() {
    Plan plan =
        plan(
            "keep_last:1,keep_every:['1000steps']",
            """
            1-1000 suspect
            1-1100
            1-1200 suspect
            1-1300
            """);
    assertThat(why(plan, "1-1000")).isEqualTo("every 1000 steps");
    assertThat(why(plan, "1-1100")).isEqualTo("every 1000 steps");
    assertThat(plan.deletions())
        .extracting(entry -> entry.id().toString())
        .containsExactly("1-1200");
  }

  @Test
  void aNamedCheckpointGoesWhereverItIsUnlessItIsNeeded() {
    Story story =
        Story.of(
            """
            policy keep_last:9,keep_best:1,monitor:'loss',mode:'min'
            1-100 loss=1
            1-200 loss=2
            1-250 pinned
            1-300 verified
            1-400
            1-500
            start 2 from 1-400
            2-500
            2-600 suspect
            """);
    Set<CheckpointId> all = story.view().manifests().keySet();
    Plan plan = Retention.planNamed(story.view(), all, Map.of(CheckpointId.parse("1-200"), "read"));
    assertThat(plan.deletions())
        .extracting(entry -> entry.id().toString())
        .containsExactly("1-500");
    assertThat(why(plan, "1-100")).isEqualTo("best of loss");
    assertThat(why(plan, "1-200")).isEqualTo("read");
    assertThat(why(plan, "1-250")).isEqualTo("pinned");
    assertThat(why(plan, "1-300")).isEqualTo("newest deeply verified");
    assertThat(why(plan, "1-400")).isEqualTo("start 2 goes on from it");
    assertThat(why(plan, "2-500")).isEqualTo("newest healthy");
    assertThat(why(plan, "2-600")).isEqualTo("latest");
    assertThat(why(plan, "1-500")).isEqualTo("named");
  }

  @Test
  void ofAllThatAreAnnouncedTheNewestIsLeft() {
    Story story =
        Story.of(
            """
            1-100
            1-200 tomb
            1-300 tomb
            """);
    Plan plan = Retention.planNamed(story.view(), story.view().manifests().keySet(), Map.of());
    assertThat(why(plan, "1-100")).startsWith("latest not announced for deletion");
    assertThat(plan.deletions())
        .extracting(entry -> entry.id().toString())
        .containsExactly("1-200");
  }
}
