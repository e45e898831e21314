package dev.keepstone.cli;

import java.io.IOException;
import java.util.Set;

/// One verb of the command: a class with picocli's annotations, one file, named after the verb.
interface Verb {
  /// Does it. Lines for people go through the console as they become true; the answer is what
  /// `--json` prints.
  ///
  /// @throws dev.keepstone.core.failure.KeepstoneException for every failure a person can act on
  /// @throws IOException is told as a system failure
  /// @throws InterruptedException ends the command with 130
  Answer run(Console console) throws IOException, InterruptedException;

  /// The codes this verb may end with, for its help.
  Set<ExitCode> codes();

  /// What a failure ends with that has no code of its own. Another where 1 means something else.
  default ExitCode failed() {
    return ExitCode.FAILED;
  }
}
