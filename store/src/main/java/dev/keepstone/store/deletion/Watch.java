package dev.keepstone.store.deletion;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/// For how long this process has seen things, on its own monotonic clock: no other clock says how
/// old a thing is in the eyes of who must act on it.
///
/// @param <T> names of things
final class Watch<T> {
  private final Map<T, Long> since = new HashMap<>();

  /// Takes note of everything there is now; what is not there any more is forgotten.
  void see(Set<T> present, long nanos) {
    since.keySet().retainAll(present);
    present.forEach(thing -> since.putIfAbsent(thing, nanos));
  }

  /// Begins to watch one thing anew.
  void restart(T thing, long nanos) {
    since.put(thing, nanos);
  }

  /// Whether a thing has been seen for at least that long.
  boolean reached(T thing, Duration time, long nanos) {
    Long from = since.get(thing);
    return from != null && nanos - from >= time.toNanos();
  }
}
