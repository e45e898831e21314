package dev.keepstone.demo;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What the trainer is told on its command line.
///
/// @param text Markdown files, or folders of them, to learn
/// @param store where checkpoints go; null for a run that saves nothing
/// @param run name of the run in the store
/// @param steps the step after which it ends
/// @param every a checkpoint after every so many steps
/// @param keep checkpoints that retention keeps
/// @param compare a file to write beside each save, to measure a plain write of the same bytes;
///   null for none
record TrainerOptions(
    List<Path> text,
    @Nullable Path store,
    String run,
    long steps,
    long every,
    int keep,
    long seed,
    @Nullable Path compare) {
  static final String USAGE =
      """
      usage: java -cp 'lib/*' dev.keepstone.demo.TrainerMain --text PATH... [options]
        --text PATH      Markdown to learn, a file or a folder; may be repeated
        --store DIR      save to and resume from this store (default: save nothing)
        --run NAME       the run's name in the store (default: demo)
        --steps N        train up to this step (default: 100)
        --every N        save after every N steps (default: 20)
        --keep N         keep the newest N checkpoints (default: 3)
        --seed N         one seed, one run, bit for bit (default: 1)
        --compare FILE   before each save also time a memory copy of the same bytes, and
                         a write of them to this file with fsync\
      """;

  /// @throws IllegalArgumentException saying what is wrong
  static TrainerOptions parse(String... args) {
    List<Path> text = new ArrayList<>();
    Path store = null;
    String run = "demo";
    long steps = 100;
    long every = 20;
    int keep = 3;
    long seed = 1;
    Path compare = null;
    for (int i = 0; i < args.length; i += 2) {
      if (i + 1 == args.length) {
        throw new IllegalArgumentException(args[i] + " needs a value");
      }
      String value = args[i + 1];
      switch (args[i]) {
        case "--text" -> text.add(Path.of(value));
        case "--store" -> store = Path.of(value);
        case "--run" -> run = value;
        case "--steps" -> steps = positive(args[i], value);
        case "--every" -> every = positive(args[i], value);
        case "--keep" -> keep = Math.toIntExact(positive(args[i], value));
        case "--seed" -> seed = number(args[i], value);
        case "--compare" -> compare = Path.of(value);
        default -> throw new IllegalArgumentException("unknown option " + args[i]);
      }
    }
    if (text.isEmpty()) {
      throw new IllegalArgumentException("--text is missing");
    }
    return new TrainerOptions(List.copyOf(text), store, run, steps, every, keep, seed, compare);
  }

  private static long positive(String option, String value) {
    long number = number(option, value);
    if (number < 1) {
      throw new IllegalArgumentException(option + " must be at least 1, found " + value);
    }
    return number;
  }

  private static long number(String option, String value) {
    try {
      return Long.parseLong(value);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(option + " needs a whole number, found " + value, e);
    }
  }
}
