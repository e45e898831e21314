package dev.keepstone.store.fact;

import dev.keepstone.core.json.JsonWriter;
import java.util.Comparator;

/// A fact, when it was written and by whom.
///
/// @param by for people
public record Stamped<F extends Fact>(Stamp stamp, String by, F fact) {
  private static final Comparator<Stamped<?>> LIES =
      Comparator.<Stamped<?>, String>comparing(Stamped::by)
          .thenComparing(one -> JsonWriter.compact(one.fact().toJson()));

  /// By stamp. Two different facts under one stamp are a writer's lie (or two copies of a store
  /// that grew apart); their words then decide, so that all readers still agree.
  static final Comparator<Stamped<?>> ORDER =
      (one, other) -> {
        int order = one.stamp.compareTo(other.stamp);
        return order == 0 ? LIES.compare(one, other) : order;
      };
}
