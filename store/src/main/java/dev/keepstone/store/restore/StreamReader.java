package dev.keepstone.store.restore;

import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.shard.Granule;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/// One reader of a [RestoreStream] and what is on its way to it. Guarded by the stream.
final class StreamReader {
  private final Map<PieceReceipt, RestorePlan.Place> places = new IdentityHashMap<>();

  /// Granules that it has not been given and that are not on their way.
  private long missing;

  /// Spans on their way to it, in the order of the stream.
  final Deque<Reading> ahead = new ArrayDeque<>();

  /// What it was given by its last two questions: it may still be copying either.
  List<Reading> handedLast = List.of();

  List<Reading> handedBefore = List.of();

  /// It waits for an answer.
  boolean asking;

  /// When it was answered last.
  long answered;

  /// It gets no more: it stood still, or left.
  boolean gone;

  StreamReader(RestorePlan plan, long now) {
    plan.places().forEach(place -> places.put(place.piece(), place));
    this.missing = plan.granules();
    this.answered = now;
  }

  /// Takes note of a span that is about to be read.
  ///
  /// @return whether this wants something of it
  boolean expects(Reading reading) {
    long wanted = reading.span.granules().stream().filter(this::wants).count();
    if (gone || wanted == 0) {
      return false;
    }
    missing -= wanted;
    ahead.addLast(reading);
    return true;
  }

  private boolean wants(Granule granule) {
    RestorePlan.Place place = places.get(granule.piece());
    return place != null && place.wanted().get(granule.index());
  }

  boolean headIsDone() {
    return !ahead.isEmpty() && ahead.getFirst().done;
  }

  /// Whether nothing more will come.
  boolean exhausted() {
    return ahead.isEmpty() && missing == 0;
  }

  /// Whether it keeps others from slots without asking for anything.
  boolean holdsUp() {
    return !gone && !asking && !(handedLast.isEmpty() && handedBefore.isEmpty() && ahead.isEmpty());
  }

  /// What of a span that has been read is this reader's, as ranges of its stream.
  void chunks(Reading reading, List<RestoreStream.Chunk> into) {
    long at = 0;
    long bytes = 0;
    long in = 0;
    for (Granule granule : reading.span.granules()) {
      RestorePlan.Place place = places.get(granule.piece());
      if (place == null || !place.wanted().get(granule.index())) {
        continue;
      }
      long position = place.at() + granule.begin() - granule.piece().at();
      long offset = reading.in + granule.begin() - reading.span.begin();
      if (bytes > 0 && position == at + bytes && offset == in + bytes) {
        bytes += granule.bytes();
      } else {
        add(at, bytes, in, into);
        at = position;
        bytes = granule.bytes();
        in = offset;
      }
    }
    add(at, bytes, in, into);
  }

  private static void add(long at, long bytes, long in, List<RestoreStream.Chunk> into) {
    if (bytes > 0) {
      into.add(new RestoreStream.Chunk(at, bytes, in));
    }
  }

  /// Takes out everything that it holds.
  List<Reading> letGo() {
    List<Reading> held = new ArrayList<>(ahead);
    held.addAll(handedLast);
    held.addAll(handedBefore);
    ahead.clear();
    handedLast = List.of();
    handedBefore = List.of();
    gone = true;
    return held;
  }
}
