package dev.keepstone.store.verify;

import java.util.List;

/// What a look at a checkpoint found.
///
/// @param deep whether every byte was read
/// @param files how many were looked at, objects included
/// @param bytes the sum of their sizes
/// @param problems by file, then by offset; empty: all is well
public record VerifyReport(boolean deep, long files, long bytes, List<Problem> problems) {
  public VerifyReport {
    problems = List.copyOf(problems);
  }

  public boolean ok() {
    return problems.isEmpty();
  }
}
