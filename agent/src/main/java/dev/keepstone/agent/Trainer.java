package dev.keepstone.agent;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.store.reference.CheckpointId;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// A client with its segments and attempts, living or dead. Guarded by [Roster].
final class Trainer {
  /// Steps whose end is remembered, to answer `wait` and to refuse a step that was saved before. Of
  /// older ones the store knows.
  private static final int REMEMBERED = 4096;

  final String client;
  long pid;

  /// Connections that greeted under this name and are open.
  int connections;

  /// The client's lock was free: its process is gone, and everything it wrote is in memory.
  boolean gone;

  /// It said that it saves no more.
  boolean closed;

  @Nullable Membership membership;

  /// Ranks of its start on this node; 1 where that is not known.
  int local = 1;

  /// The number of its newest layout.
  int layouts;

  /// The step that it is told to save because somebody asked, or 0.
  long due;

  final Pulse pulse = new Pulse();

  /// Newest last.
  final List<LiveSegment> segments = new ArrayList<>();

  /// What is under way, oldest first.
  final Map<CheckpointId, Attempt> open = new LinkedHashMap<>();

  private final Map<CheckpointId, Ended> history = new LinkedHashMap<>();
  private final List<Ended> unreported = new ArrayList<>();

  Trainer(String client) {
    this.client = client;
  }

  Membership member() {
    if (membership == null) {
      throw new KeepstoneException.Refused(
          "this client has not joined a start", "client " + client, "send \"start\" first");
    }
    return membership;
  }

  /// The newest segment, if any is left.
  Optional<LiveSegment> newest() {
    return segments.isEmpty() ? Optional.empty() : Optional.of(segments.getLast());
  }

  Optional<LiveSegment> segment(int layout) {
    return segments.stream().filter(segment -> segment.layout() == layout).findFirst();
  }

  /// How this step ended before, if it was tried and is remembered.
  Optional<Ended> earlier(CheckpointId id) {
    return Optional.ofNullable(history.get(id));
  }

  void ended(CheckpointId id, Ended ended) {
    open.remove(id);
    history.put(id, ended);
    if (history.size() > REMEMBERED) {
      history.remove(history.keySet().iterator().next());
    }
    unreported.add(ended);
  }

  /// What ended since the last call.
  List<Ended> report() {
    List<Ended> report = List.copyOf(unreported);
    unreported.clear();
    return report;
  }
}
