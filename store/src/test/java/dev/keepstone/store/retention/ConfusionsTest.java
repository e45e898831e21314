package dev.keepstone.store.retention;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.Plan.Action;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What users of other tools found kept or deleted against their expectation, each as a run, rules,
/// and what stays and why. Everything else goes.
final class ConfusionsTest {
  /// @param name the confusion
  /// @param stays ids and their reasons, one a line
  record Case(String name, String rules, String story, String stays) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static final List<Case> CONFUSIONS =
      List.of(
          new Case(
              "a limit of one keeps one, and it is the newest",
              "keep_last:1",
              """
              1-100
              1-200
              1-300
              """,
              "1-300 latest, last 1"),
          new Case(
              "a limit of two after best and last have parted keeps the best besides, not instead",
              "keep_last:2,keep_best:1,monitor:'val_loss',mode:'min'",
              """
              1-100 val_loss=3.0
              1-200 val_loss=1.0
              1-300 val_loss=2.0
              1-400 val_loss=2.5
              """,
              """
              1-200 best of val_loss
              1-300 last 2
              1-400 latest, last 2
              """),
          new Case(
              "the newest stays though it is the worst of all",
              "keep_last:1,keep_best:2,monitor:'acc',mode:'max'",
              """
              1-100 acc=0.9
              1-200 acc=0.8
              1-300 acc=0.7
              1-400 acc=0.1
              """,
              """
              1-100 best 2 of acc
              1-200 best 2 of acc
              1-400 latest, last 1
              """),
          new Case(
              "last is the newest and no copy of the best",
              "keep_last:1,keep_best:1,monitor:'loss',mode:'min'",
              """
              1-100 loss=1
              1-200 loss=2
              """,
              """
              1-100 best of loss
              1-200 latest, last 1
              """),
          new Case(
              "best and last in one checkpoint take one place and leave the other free",
              "keep_last:1,keep_best:1,monitor:'loss',mode:'min'",
              """
              1-100 loss=2
              1-200 loss=1
              """,
              "1-200 latest, last 1, best of loss"),
          new Case(
              "without a limit nothing is deleted",
              "keep_last:'all'",
              """
              1-100
              1-200
              """,
              """
              1-100 all are kept
              1-200 latest, all are kept
              """),
          new Case(
              "a limit left out is no limit",
              "keep_every:['1000steps']",
              """
              1-100
              1-200
              """,
              """
              1-100 all are kept
              1-200 latest, all are kept
              """),
          new Case(
              "saved out of order, the order is that of steps and not of files",
              "keep_last:1",
              """
              1-300 at:10
              1-100 at:500
              1-200 at:900
              """,
              "1-300 latest, last 1"),
          new Case(
              "after a copy all files are as old as each other, and nothing changes",
              "keep_last:2",
              """
              1-100 at:7
              1-200 at:7
              1-300 at:7
              """,
              """
              1-200 last 2
              1-300 latest, last 2
              """),
          new Case(
              "step 1000 comes after step 900, whatever the letters say",
              "keep_last:2",
              """
              1-900
              1-1000
              1-10000
              """,
              """
              1-1000 last 2
              1-10000 latest, last 2
              """),
          new Case(
              "an output folder used again: low steps of a fresh start are the newest",
              "keep_last:1",
              """
              1-5000
              start 2 fresh
              2-100
              2-200
              """,
              """
              1-5000 not on the line of the newest start: deleted by name only
              2-200 latest, last 1
              """),
          new Case(
              "what was resumed from stays until the next start, whatever the limit",
              "keep_last:1",
              """
              1-100
              1-200
              start 2 from 1-100
              2-300
              2-400
              """,
              """
              1-100 start 2 goes on from it
              1-200 not on the line of the newest start: deleted by name only
              2-400 latest, last 1
              """),
          new Case(
              "after a rollback the abandoned future is not counted and not deleted",
              "keep_last:2",
              """
              1-100
              1-200
              1-300
              start 2 from 1-200
              """,
              """
              1-100 last 2
              1-200 latest, start 2 goes on from it, last 2
              1-300 not on the line of the newest start: deleted by name only
              """),
          new Case(
              "a better value off the line is not the best",
              "keep_last:1,keep_best:1,monitor:'loss',mode:'min'",
              """
              1-100 loss=3
              1-200 loss=2
              1-300 loss=0.1
              start 2 from 1-200
              2-300 loss=2.5
              2-400 loss=2.6
              """,
              """
              1-200 start 2 goes on from it, best of loss
              1-300 not on the line of the newest start: deleted by name only
              2-400 latest, last 1
              """),
          new Case(
              "NaN does not freeze the best",
              "keep_last:1,keep_best:1,monitor:'loss',mode:'min'",
              """
              1-100 loss=nan
              1-200 loss=2
              1-300 loss=nan
              1-400 loss=3
              """,
              """
              1-200 best of loss
              1-400 latest, last 1
              """),
          new Case(
              "an infinite value is no best either",
              "keep_last:1,keep_best:1,monitor:'loss',mode:'min'",
              """
              1-100 loss=-inf
              1-200 loss=2
              1-300 loss=3
              """,
              """
              1-200 best of loss
              1-300 latest, last 1
              """),
          new Case(
              "a metric reported after the save makes the best",
              "keep_last:1,keep_best:1,monitor:'val_loss',mode:'min'",
              """
              1-100 loss=1 report:val_loss=0.5
              1-200 loss=1 report:val_loss=0.9
              1-300 loss=1
              """,
              """
              1-100 best of val_loss
              1-300 latest, last 1
              """),
          new Case(
              "a later report counts above the value of the save",
              "keep_last:1,keep_best:1,monitor:'loss',mode:'min'",
              """
              1-100 loss=0.1 report:loss=9
              1-200 loss=2
              1-300 loss=3
              """,
              """
              1-200 best of loss
              1-300 latest, last 1
              """),
          new Case(
              "of equal values the newer is the better",
              "keep_last:1,keep_best:1,monitor:'acc',mode:'max'",
              """
              1-100 acc=0.5
              1-200 acc=0.5
              1-300 acc=0.4
              """,
              """
              1-200 best of acc
              1-300 latest, last 1
              """),
          new Case(
              "a misspelt metric keeps nobody and says so",
              "keep_last:1,keep_best:2,monitor:'val_los',mode:'min'",
              """
              1-100 val_loss=1
              1-200 val_loss=2
              """,
              "1-200 latest, last 1"),
          new Case(
              "weights that are not finite never replace good ones",
              "keep_last:1",
              """
              1-100
              1-200 suspect
              1-300 suspect
              """,
              """
              1-100 newest healthy
              1-300 latest, last 1
              """),
          new Case(
              "what is not finite is never the best, however good its value",
              "keep_last:1,keep_best:1,monitor:'loss',mode:'min'",
              """
              1-100 loss=2
              1-200 loss=0.1 suspect
              1-300 loss=3
              """,
              """
              1-100 best of loss
              1-300 latest, last 1
              """),
          new Case(
              "a quarantined newest takes no place of the last good ones",
              "keep_last:1",
              """
              1-100
              1-200
              1-300 bad
              """,
              """
              1-200 latest, last 1
              1-300 last 1
              """),
          new Case(
              "a deeper verification that finds it good ends a quarantine",
              "keep_last:1",
              """
              1-100
              1-200 bad verified
              """,
              "1-200 latest, newest deeply verified, last 1"),
          new Case(
              "the newest that was read whole and found good stays until another was",
              "keep_last:1",
              """
              1-100 verified
              1-200 verified
              1-300
              1-400
              """,
              """
              1-200 newest deeply verified
              1-400 latest, last 1
              """),
          new Case(
              "every 1000 steps means multiples, and nothing before the first",
              "keep_last:1,keep_every:['1000steps']",
              """
              1-500
              1-1000
              1-1500
              1-2000
              1-2500
              """,
              """
              1-1000 every 1000 steps
              1-2000 every 1000 steps
              1-2500 latest, last 1
              """),
          new Case(
              "where the save of a multiple was skipped, the next one stands for it",
              "keep_last:1,keep_every:['1000steps']",
              """
              1-500
              1-1500
              1-1900
              1-2000
              1-2500
              """,
              """
              1-1500 every 1000 steps
              1-2000 every 1000 steps
              1-2500 latest, last 1
              """),
          new Case(
              "a period and a time are one rule each, and either keeps",
              "keep_last:1,keep_every:['1000steps','2h']",
              """
              1-500 at:0
              1-1000 at:60
              1-1500 at:120
              1-1600 at:180
              """,
              """
              1-500 every 2 h
              1-1000 every 1000 steps
              1-1500 every 2 h
              1-1600 latest, last 1
              """),
          new Case(
              "a clock set back keeps too much and never too little",
              "keep_last:1,keep_every:['2h']",
              """
              1-100 at:6000
              1-200 at:10
              1-300 at:20
              1-400 at:140
              1-500 at:141
              """,
              """
              1-100 every 2 h
              1-200 every 2 h
              1-400 every 2 h
              1-500 latest, last 1
              """),
          new Case(
              "what has no time falls under no rule of time, and is kept where one would decide",
              "keep_last:1,keep_every:['2h']",
              """
              1-100 timeless
              1-200 at:10
              1-300 at:20
              1-400 at:30
              """,
              """
              1-100 when it was saved is not known
              1-200 every 2 h
              1-400 latest, last 1
              """),
          new Case(
              "the first stays where that is asked",
              "keep_last:1,keep_first:true",
              """
              1-100
              1-200
              1-300
              """,
              """
              1-100 first
              1-300 latest, last 1
              """),
          new Case(
              "a pin and a tag keep, on the line and off it, until they are taken away",
              "keep_last:1",
              """
              1-100 pinned
              1-200 tag:v1
              1-300 pinned unpinned
              1-400
              """,
              """
              1-100 pinned
              1-200 tag v1
              1-400 latest, last 1
              """),
          new Case(
              "what another one uses stays whole",
              "keep_last:1",
              """
              1-100
              1-200
              1-300 uses:1-100
              """,
              """
              1-100 1-300 uses its shards
              1-300 latest, last 1
              """),
          new Case(
              "an announced deletion takes no place: it may be gone soon",
              "keep_last:2",
              """
              1-100
              1-200
              1-300 tomb
              1-400
              """,
              """
              1-200 last 2
              1-300 last 2
              1-400 latest, last 2
              """),
          new Case(
              "the best by the run's policy is kept by who prunes by other rules",
              "keep_last:1",
              """
              policy keep_last:3,keep_best:1,monitor:'loss',mode:'min'
              1-100 loss=1
              1-200 loss=2
              1-300 loss=3
              """,
              """
              1-100 best of loss
              1-300 latest, last 1
              """),
          new Case(
              "while a start chooses, the line is the one before it",
              "keep_last:1",
              """
              1-100
              1-200
              start 2 undecided
              """,
              "1-200 latest, last 1"));

  static Stream<Case> confusions() {
    return CONFUSIONS.stream();
  }

  @ParameterizedTest
  @MethodSource("confusions")
  void keepsWhatWasExpectedAndSaysWhy(Case confusion) {
    Plan plan =
        Retention.plan(
            Story.of(confusion.story()).view(), Story.rules(confusion.rules()), Map.of());
    SortedMap<String, String> stays = new TreeMap<>();
    plan.entries().stream()
        .filter(entry -> entry.action() == Action.KEEP)
        .forEach(entry -> stays.put(entry.id().toString(), entry.why()));
    SortedMap<String, String> expected = new TreeMap<>();
    confusion
        .stays()
        .lines()
        .forEach(line -> expected.put(line.split(" ")[0], line.substring(line.indexOf(' ') + 1)));
    assertThat(stays).isEqualTo(expected);
    assertThat(plan.deletions()).allSatisfy(entry -> assertThat(entry.reasons()).isNotEmpty());
  }

  @ParameterizedTest
  @MethodSource("confusions")
  void aSecondPlanAfterTheFirstDeletesNothing(Case confusion) {
    Story story = Story.of(confusion.story());
    KeepRules rules = Story.rules(confusion.rules());
    List<CheckpointId> gone =
        Retention.plan(story.view(), rules, Map.of()).deletions().stream()
            .map(Plan.Entry::id)
            .toList();
    assertThat(Retention.plan(story.without(gone).view(), rules, Map.of()).deletions()).isEmpty();
  }
}
