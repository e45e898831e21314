package dev.keepstone.agent;

import dev.keepstone.client.AgentStarter;
import dev.keepstone.client.Client;
import dev.keepstone.client.ClientEnvironment;
import dev.keepstone.client.Keep;
import dev.keepstone.client.Launch;
import dev.keepstone.client.Restore;
import dev.keepstone.client.Saved;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.store.reference.CheckpointId;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;

/// A trainer to be killed: `<agent directory> <store> <seed>`. It goes on from what its start
/// chose, checks every byte of it, and then saves without end; now and then it restores an older
/// checkpoint. It tells what it does on standard output, one line each:
///
/// ```
/// parent <id or none>        what the start goes on from
/// opening <id>               a restore is asked for
/// restoring memory|store     its first bytes are here
/// restored <id>
/// saving <step>
/// sealed <id>                the save returned
/// wrong <what>               anything that must not be; the trainer ends
/// ```
final class TortureTrainer {
  private static final int KEEP_LAST = 3;

  /// A save in that many is followed by the restore of an older checkpoint.
  private static final int RESTORE_EVERY = 4;

  private final Path store;
  private final Client client;
  private final Random random;
  private final TortureState state = new TortureState();

  private TortureTrainer(Path store, Client client, Random random) {
    this.store = store;
    this.client = client;
    this.random = random;
  }

  public static void main(String[] arguments) {
    AgentDirectory directory = new AgentDirectory(Path.of(arguments[0]));
    Random random = new Random(Long.parseLong(arguments[2]));
    ClientEnvironment environment =
        new ClientEnvironment(
            directory,
            TortureTrainer::awaitAgent,
            new SecureRandom(),
            new ClientEnvironment.Clocks(Nodes.CLOCK, Nodes.CLOCK::nanos),
            ClientEnvironment.Patience.DEFAULT);
    try {
      Client client = persistent(() -> Client.connect(environment, "torture"));
      new TortureTrainer(Path.of(arguments[1]), client, random).train(random.nextLong());
    } catch (RuntimeException | Error e) {
      e.printStackTrace();
      say("wrong " + e);
    }
  }

  /// The other side of [AgentStarter]: the test starts agents, here they are waited for.
  static void awaitAgent(AgentDirectory directory) {
    for (int look = 0; look < 10_000; look++) {
      try {
        SocketChannel.open(UnixDomainSocketAddress.of(directory.socket())).close();
        return;
      } catch (IOException e) {
        Nodes.CLOCK.pause(Duration.ofMillis(2));
      }
    }
    AgentStarter.none().start(directory);
  }

  private void train(long token) {
    Launch launch =
        new Launch(store, "run", Long.toHexString(token), 0, 1, "latest", Keep.last(KEEP_LAST));
    Answer.Start started = persistent(() -> client.start(launch));
    String parent = started.parent();
    say("parent " + (parent == null ? "none" : parent));
    long step = 0;
    if (parent != null) {
      step = CheckpointId.parse(parent).step();
      persistent(() -> restore(parent));
    }
    state.set(0);
    persistent(() -> client.register(state.registration()));
    while (true) {
      long next = ++step;
      state.set(next);
      say("saving " + next);
      Saved saved =
          persistent(() ->
              client.save(next, List.of(TortureState.tokens(next)), Map.of("loss", 1.0 / next)));
      say("sealed " + saved.id());
      state.set(-next);
      if (random.nextInt(RESTORE_EVERY) == 0) {
        restoreOlder();
      }
      Nodes.CLOCK.pause(Duration.ofMillis(random.nextInt(6)));
    }
  }

  private void restoreOlder() {
    List<CheckpointId> visible = Stores.run(store).look().visible();
    if (!visible.isEmpty()) {
      try {
        persistent(() -> restore(visible.getFirst().toString()));
      } catch (KeepstoneException.NotFound e) {
        // Deleted meanwhile, as the policy has it.
        say("gone " + e.what());
      }
    }
  }

  private boolean restore(String id) {
    say("opening " + id);
    long step = CheckpointId.parse(id).step();
    AtomicBoolean begun = new AtomicBoolean();
    long[] bytes = new long[1];
    try (Restore restore = client.open(id)) {
      restore.read((piece, offset, range) -> {
        if (!begun.getAndSet(true)) {
          say("restoring " + (restore.fromMemory() ? "memory" : "store"));
        }
        Optional<String> wrong =
            TortureState.wrong(piece.piece().tensor().name(), step, offset, range);
        require(wrong.isEmpty(), id + ": " + wrong.orElse(""));
        bytes[0] += range.byteSize();
      });
      require(
          restore.state().equals(TortureState.tree(TortureState.tokens(step))),
          id + ": state " + restore.state());
    }
    require(bytes[0] == TortureState.byteLength(), id + ": " + bytes[0] + " bytes");
    say("restored " + id);
    return true;
  }

  private static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new IllegalStateException(otherwise);
    }
  }

  /// Again and again while agents die under it.
  private static <T> T persistent(Supplier<T> attempt) {
    while (true) {
      try {
        return attempt.get();
      } catch (KeepstoneException.AgentUnavailable e) {
        say("again " + e.what());
      }
    }
  }

  private static void say(String line) {
    System.out.println(line);
    System.out.flush();
  }
}
