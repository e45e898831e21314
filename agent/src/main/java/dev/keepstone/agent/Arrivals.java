package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.start.Attendance;
import java.util.BitSet;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// Looks whether all ranks of the newest launch have come to the store, and tells who has not.
///
/// A store that is not shared looks like ranks that are late. What tells them apart: an agent that
/// had to announce the start itself, and whose ranks have trained and sealed a step, while rank 0,
/// which trains with them, has not been here at all.
final class Arrivals {
  /// From the first rank of this node on, and again from what it has sealed on.
  private static final long PATIENCE = TimeUnit.SECONDS.toNanos(25);

  private static final long PERIOD = TimeUnit.SECONDS.toNanos(2);

  private final LiveRun live;
  private final EventLog events;
  private final Node node;

  // The launch is guarded by this object's monitor, the rest is of one thread's own.
  private @Nullable Launch launch;
  private BitSet told = new BitSet();
  private long lookAt;
  private volatile Arrivals.@Nullable Seen seen;

  /// @param own whether this agent announced the start
  /// @param node of the rank that came first
  private record Launch(String token, int start, int world, boolean own, String node, long since) {}

  /// @param at when the look began
  private record Seen(Launch launch, BitSet ranks, long at) {}

  Arrivals(LiveRun live, EventLog events, Node node) {
    this.live = live;
    this.events = events;
    this.node = node;
  }

  /// A rank of this node has joined a start.
  synchronized void joined(String token, int start, int world, boolean own, String host) {
    Launch known = launch;
    if (world > 1 && (known == null || known.start < start)) {
      launch = new Launch(token, start, world, own, host, node.clock().nanos());
    }
  }

  /// Whether somebody is awaited.
  synchronized boolean pending() {
    Launch of = launch;
    Seen last = seen;
    return of != null && (last == null || last.launch != of || last.ranks.cardinality() < of.world);
  }

  /// Looks, now and then, until all are there.
  void round() throws InterruptedException {
    Launch of;
    synchronized (this) {
      of = launch;
    }
    long now = node.clock().nanos();
    if (of == null || !pending() || now - of.since < PATIENCE || now - lookAt < 0 && seen != null) {
      return;
    }
    lookAt = now + PERIOD;
    try {
      BitSet ranks = new Attendance(live.open(), of.token).ranks();
      seen = new Seen(of, ranks, now);
      tell(of, ranks);
    } catch (KeepstoneException e) {
      Publication.requireNotEnding();
      events.note("could not look who has come: " + e.what());
    }
  }

  private void tell(Launch of, BitSet ranks) {
    BitSet absent = new BitSet();
    absent.set(0, of.world);
    absent.andNot(ranks);
    if (!absent.equals(told) && !absent.isEmpty()) {
      events.add(
          "absent",
          live.fields()
              .put("start", of.start)
              .put("ranks", Json.integers(absent.stream().mapToObj(rank -> (long) rank).toList()))
              .put("detail", "they are late, or do not see this store")
              .build());
    }
    told = absent;
  }

  /// Whether a rank of that start has been here, as far as was looked.
  boolean came(int start, int rank) {
    Seen last = seen;
    return last == null || last.launch.start != start || last.ranks.get(rank);
  }

  /// Why what ranks of this node have sealed in that start cannot become a checkpoint; empty where
  /// it may.
  ///
  /// @param since when it was stored: rank 0 has had time since to come
  Optional<KeepstoneException> unshared(int start, long since) {
    Seen last = seen;
    if (last == null
        || last.launch.start != start
        || !last.launch.own
        || last.ranks.get(0)
        || last.at - since < PATIENCE) {
      return Optional.empty();
    }
    String host = last.launch.node.isEmpty() ? "this node" : "node " + last.launch.node;
    String here =
        IntStream.range(0, last.launch.world).filter(last.ranks::get).boxed().toList().toString();
    return Optional.of(
        new KeepstoneException.Refused(
            "the store is not shared: "
                + host
                + " has ranks "
                + here
                + " of "
                + last.launch.world
                + ", and rank 0 has never come",
            live.key().toString(),
            "mount the same store under this path on every node; keepstone doctor checks it"));
  }
}
