package dev.keepstone.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// What the quickstart is going to do.
///
/// @param home the checkout, whose documentation is the text to learn
/// @param lib folder of the trainer's jars
/// @param store root of the store, absolute
/// @param run the run's name in it
/// @param steps training steps of a whole run
record QuickstartPlan(Path home, Path lib, Path store, String run, long steps) {
  /// Five checkpoints in a run, each of which outlives it.
  private static final int SAVES = 5;

  /// Fewer would leave no time between a save and the kill that follows it.
  static final long FEWEST_STEPS = 4 * SAVES;

  private static final long SEED = 1;

  /// A checkpoint after every so many steps.
  long every() {
    return steps / SAVES;
  }

  /// The step whose checkpoint is drained slowly.
  long slowStep() {
    return 2 * every();
  }

  /// The step in whose middle the trainer is killed: before the next save.
  long killStep() {
    return slowStep() + every() / 3 + 1;
  }

  /// Bytes per second at which a third of a checkpoint is drained by the time of the kill.
  ///
  /// @param bytes of a checkpoint
  /// @param stepMillis of one training step
  long slowRate(long bytes, double stepMillis) {
    double seconds = 3 * (killStep() - slowStep()) * stepMillis / 1000;
    return Math.max(1, (long) (bytes / seconds));
  }

  /// The command line of a trainer that saves.
  List<String> savingTrainer() {
    List<String> options = new ArrayList<>(trainer());
    options.addAll(
        List.of(
            "--store",
            store.toString(),
            "--run",
            run,
            "--every",
            Long.toString(every()),
            "--keep",
            Integer.toString(SAVES),
            "--compare",
            compared().toString()));
    return options;
  }

  /// The command line of a trainer that only trains.
  List<String> trainer() {
    return List.of(
        "--text",
        home.resolve("docs").toString(),
        "--text",
        home.resolve("README.md").toString(),
        "--steps",
        Long.toString(steps),
        "--seed",
        Long.toString(SEED));
  }

  /// A file on the store's file system that a trainer writes for comparison and removes.
  Path compared() {
    return store.resolve("." + run + ".compared");
  }
}
