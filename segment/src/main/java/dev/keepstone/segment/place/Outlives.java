package dev.keepstone.segment.place;

import java.util.Locale;

/// Whose end an agent survives; a client waits for durability where that is less than its own.
public enum Outlives {
  /// The trainer's process only: the agent dies with the container or session.
  PROCESS,
  /// A step of a batch job.
  JOB_STEP,
  /// Whatever runs on the node.
  NODE;

  /// As written in `agent.json` and in answers.
  public String word() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /// @throws IllegalArgumentException for a word that is none of ours
  public static Outlives of(String word) {
    for (Outlives outlives : values()) {
      if (outlives.word().equals(word)) {
        return outlives;
      }
    }
    throw new IllegalArgumentException("outlives: unknown word \"" + word + "\"");
  }
}
