package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.restore.RestorePlan;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// The restores of this node: a checkpoint is opened once for all clients that restore it at one
/// time, and ranks of one start read it together.
final class Restores {
  /// Of which checkpoints' rounds the newest is remembered.
  private static final int REMEMBERED = 64;

  private final AgentDirectory directory;
  private final Roster roster;
  private final EventLog events;
  private final Node node;

  // Guarded by this.
  private final Map<Key, Shared> open = new HashMap<>();
  private final Map<Key, Round> rounds = new LinkedHashMap<>();

  /// @param start of the clients; different starts share nothing
  private record Key(RunKey run, int start, CheckpointId id) {}

  /// An opened checkpoint and how many restores use it. The first of them opens it, under the
  /// monitor of this object: those that come meanwhile wait, instead of each reading the parts.
  private static final class Shared {
    private @Nullable OpenedCheckpoint checkpoint;

    /// Guarded by the restores.
    int users;

    synchronized OpenedCheckpoint opened(Supplier<OpenedCheckpoint> opening) {
      OpenedCheckpoint known = checkpoint;
      if (known == null) {
        known = opening.get();
        checkpoint = known;
      }
      return known;
    }

    synchronized void close() {
      if (checkpoint != null) {
        checkpoint.close();
      }
    }
  }

  /// One restore of one checkpoint by all ranks of a start. Who has taken part in it and comes
  /// again begins another one; who has not, and comes when reading has begun, reads alone.
  private static final class Round {
    OpenedCheckpoint checkpoint;
    SharedReading reading;
    final Set<String> clients = new HashSet<>();

    /// Clients that the others could not wait for: when they come again, they read alone.
    final Set<String> slow = new HashSet<>();

    Round(OpenedCheckpoint checkpoint, SharedReading reading) {
      this.checkpoint = checkpoint;
      this.reading = reading;
    }
  }

  Restores(AgentDirectory directory, Roster roster, EventLog events, Node node) {
    this.directory = directory;
    this.roster = roster;
    this.events = events;
    this.node = node;
  }

  /// Begins a restore.
  ///
  /// @throws KeepstoneException.NotFound where the run has no such checkpoint
  Restore open(Trainer trainer, LiveRun live, CheckpointId id) {
    if (!live.open().look().standing().contains(id)) {
      throw new KeepstoneException.NotFound(
          "there is no checkpoint " + id, live.key().toString(), "keepstone ls " + live.key());
    }
    Membership member = trainer.member();
    Key key = new Key(live.key(), member.start(), id);
    Shared shared;
    synchronized (this) {
      shared = open.computeIfAbsent(key, _ -> new Shared());
      shared.users++;
    }
    boolean begun = false;
    try {
      OpenedCheckpoint checkpoint = shared.opened(() -> opening(live, id));
      Restore restore =
          new Restore(
              checkpoint,
              member.rank(),
              member.world(),
              new Joining(key, checkpoint, trainer.client, trainer.local),
              events,
              () -> release(key, shared));
      begun = true;
      return restore;
    } catch (KeepstoneException.Integrity e) {
      live.condemn(id, e);
      throw e;
    } finally {
      if (!begun) {
        release(key, shared);
      }
    }
  }

  private OpenedCheckpoint opening(LiveRun live, CheckpointId id) {
    String nonce = HexFormat.of().toHexDigits(node.random().nextInt());
    return new OpenedCheckpoint(live, id, roster, events, nonce);
  }

  private void release(Key key, Shared shared) {
    synchronized (this) {
      shared.users--;
      if (shared.users > 0) {
        return;
      }
      open.remove(key);
    }
    shared.close();
  }

  private SharedReading reading(OpenedCheckpoint checkpoint, int expected) {
    Path window = directory.window(HexFormat.of().toHexDigits(node.random().nextLong()));
    return new SharedReading(checkpoint, expected, window, node.clock()::nanos);
  }

  /// How one client comes to its reading.
  final class Joining {
    private final Key key;
    private final OpenedCheckpoint checkpoint;
    private final String client;
    private final int local;

    Joining(Key key, OpenedCheckpoint checkpoint, String client, int local) {
      this.key = key;
      this.checkpoint = checkpoint;
      this.client = client;
      this.local = local;
    }

    /// @param plan what the client wants from the store, perhaps nothing
    SharedReading.Member join(RestorePlan plan) {
      synchronized (Restores.this) {
        Round round = rounds.get(key);
        if (round != null && round.slow.remove(client)) {
          return alone(plan);
        }
        if (round == null || round.clients.contains(client)) {
          round = begin();
        } else if (round.checkpoint != checkpoint && !round.reading.begun()) {
          // Those before wanted nothing from the store and are done.
          round.checkpoint = checkpoint;
          round.reading = reading(checkpoint, Math.max(1, local - round.clients.size()));
        }
        round.clients.add(client);
        return round.reading.join(plan).orElseGet(() -> alone(plan));
      }
    }

    private Round begin() {
      Round round = new Round(checkpoint, reading(checkpoint, local));
      rounds.remove(key);
      rounds.put(key, round);
      if (rounds.size() > REMEMBERED) {
        rounds.remove(rounds.keySet().iterator().next());
      }
      return round;
    }

    private SharedReading.Member alone(RestorePlan plan) {
      return reading(checkpoint, 1).join(plan).orElseThrow();
    }

    /// The client was cut off.
    void slow() {
      synchronized (Restores.this) {
        Round round = rounds.get(key);
        if (round != null) {
          round.slow.add(client);
        }
      }
    }
  }
}
