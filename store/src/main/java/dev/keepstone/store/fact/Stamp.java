package dev.keepstone.store.fact;

import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.object.Fields;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/// When a fact was written, in an order that all readers agree on: of two facts on one subject the
/// one with the higher stamp counts.
///
/// The time is that of a hybrid clock, [#after]: whoever has read a fact writes after it, however
/// wrong its own clock is. So a pin taken away again stays away.
///
/// @param at whole milliseconds, no later than [#LAST]
/// @param writer the process that wrote it, 8 hex digits
/// @param sequence which of its batches, from 1
/// @param index which fact of the batch, from 0
public record Stamp(Instant at, String writer, long sequence, int index)
    implements Comparable<Stamp> {
  /// No clock is believed beyond it: a later time would leave no room for those who write after it.
  static final Instant LAST = Instant.parse("9000-01-01T00:00:00Z");

  public Stamp {
    Fields.requireNonce(writer);
    if (at.isAfter(LAST) || at.getNano() % 1_000_000 != 0) {
      throw new IllegalArgumentException(
          "expected a time of whole milliseconds up to " + LAST + ", found " + at);
    }
    if (sequence < 1 || index < 0) {
      throw new IllegalArgumentException(
          "a writer's batches count from 1 and their facts from 0, found "
              + sequence
              + " and "
              + index);
    }
  }

  /// The time that whoever has read up to `newest` gives to what it writes now.
  ///
  /// @param own what the writer's own clock says
  public static Instant after(Instant newest, Instant own) {
    Instant next = newest.plusMillis(1);
    Instant now = own.truncatedTo(ChronoUnit.MILLIS);
    Instant at = next.isAfter(now) ? next : now;
    return at.isAfter(LAST) ? LAST : at;
  }

  /// @throws JsonException where the time is none that may be written
  static Instant requireTime(Instant at) {
    if (at.isAfter(LAST)) {
      throw new JsonException("expected a time up to " + LAST + ", found " + at);
    }
    return at;
  }

  @Override
  public int compareTo(Stamp other) {
    int order = at.compareTo(other.at);
    if (order == 0) {
      order = writer.compareTo(other.writer);
    }
    if (order == 0) {
      order = Long.compare(sequence, other.sequence);
    }
    return order == 0 ? Integer.compare(index, other.index) : order;
  }
}
