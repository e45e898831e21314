package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import org.jspecify.annotations.Nullable;

/// What a verb found or did.
///
/// @param fields the promised fields of docs/spec/json.md, without `v`, `command`, `ok` and `error`
/// @param failure null where all is well; a verb that has something to show in spite of a failure
///   answers with both, one that has not throws
/// @param code of a success; that of a failure is the failure's
record Answer(Json.Obj fields, @Nullable KeepstoneException failure, ExitCode code) {
  Answer(Json.Obj fields, @Nullable KeepstoneException failure) {
    this(fields, failure, ExitCode.DONE);
  }

  static Answer of(Json.Obj fields) {
    return new Answer(fields, null);
  }

  /// Nothing but success.
  static Answer done() {
    return of(Json.object().build());
  }
}
