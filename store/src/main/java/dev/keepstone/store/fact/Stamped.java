package dev.keepstone.store.fact;

import dev.keepstone.core.json.JsonWriter;
import java.util.Comparator;

/// A fact, when it was written and by whom.
///
/// @param by for people
public record Stamped<F extends Fact>(Stamp stamp, String by, F fact) {
  /// By stamp. Two different facts under one stamp are a writer's lie (or two copies of a store
  /// that grew apart); their words then decide, so that all readers still agree.
  static final Comparator<Stamped<?>> ORDER =
      Comparator.<Stamped<?>, Stamp>comparing(Stamped::stamp)
          .thenComparing(Stamped::by)
          .thenComparing(one -> JsonWriter.compact(one.fact().toJson()));
}
