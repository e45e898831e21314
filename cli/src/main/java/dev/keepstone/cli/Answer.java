package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import org.jspecify.annotations.Nullable;

/// What a verb found or did.
///
/// @param fields the promised fields of docs/spec/json.md, without `v`, `command`, `ok` and `error`
/// @param failure null where all is well; a verb that has something to show in spite of a failure
///   answers with both, one that has not throws
record Answer(Json.Obj fields, @Nullable KeepstoneException failure) {
  static Answer of(Json.Obj fields) {
    return new Answer(fields, null);
  }

  /// Nothing but success.
  static Answer done() {
    return of(Json.object().build());
  }
}
