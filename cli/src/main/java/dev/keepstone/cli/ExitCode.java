package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/// What the process ends with; the table of docs/spec/exit-codes.md, word for word.
enum ExitCode {
  DONE(0, "done"),
  FAILED(1, "failed; for `diff`: differences found"),
  USAGE(2, "wrong usage or configuration"),
  PARTLY(3, "finished, but some items failed or were skipped"),
  DENIED(4, "credentials or permission"),
  NOT_FOUND(5, "store, run or checkpoint not found"),
  INTEGRITY(6, "integrity failure"),
  REFUSED(7, "refused for safety"),
  BUSY(8, "locked or busy"),
  NO_SPACE(9, "no space or quota"),
  UNSUPPORTED(10, "format version not supported"),
  OTHER(11, "other failure, where 1 has a meaning of its own"),
  NO_AGENT(12, "agent unavailable"),
  FENCED(13, "fenced by a newer start"),
  UNKNOWN(14, "outcome unknown"),
  TIMEOUT(124, "timeout"),
  INTERRUPTED(130, "interrupted");

  final int number;
  final String meaning;

  ExitCode(int number, String meaning) {
    this.number = number;
    this.meaning = meaning;
  }

  /// The codes of a verb that reads a store or a checkpoint, and those that it has besides.
  static Set<ExitCode> reading(ExitCode... besides) {
    Set<ExitCode> codes =
        EnumSet.of(DONE, FAILED, USAGE, DENIED, NOT_FOUND, INTEGRITY, REFUSED, UNSUPPORTED);
    codes.addAll(List.of(besides));
    return codes;
  }

  /// The code of a failure: one kind, one code.
  static ExitCode of(KeepstoneException failure) {
    return switch (failure) {
      case KeepstoneException.NotFound _ -> NOT_FOUND;
      case KeepstoneException.Integrity _ -> INTEGRITY;
      case KeepstoneException.Refused _ -> REFUSED;
      case KeepstoneException.NoSpace _ -> NO_SPACE;
      case KeepstoneException.Busy _ -> BUSY;
      case KeepstoneException.Denied _ -> DENIED;
      case KeepstoneException.Fenced _ -> FENCED;
      case KeepstoneException.OutcomeUnknown _ -> UNKNOWN;
      case KeepstoneException.Unsupported _ -> UNSUPPORTED;
      case KeepstoneException.AgentUnavailable _ -> NO_AGENT;
      case KeepstoneException.Failed _ -> FAILED;
    };
  }
}
