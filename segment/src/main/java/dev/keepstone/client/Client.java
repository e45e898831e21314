package dev.keepstone.client;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.file.AgentRecord;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.file.SegmentFile;
import dev.keepstone.segment.memory.RecordLock;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.segment.wire.Request;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// A trainer's side of Keepstone.
///
/// ```java
/// try (Client client = Client.connect(environment, "my-trainer 1.0")) {
///   client.start(Launch.single(store, "my-run", token));
///   client.resume(restore -> restore.into(tensor -> List.of(memoryOf(tensor))));
///   client.register(registration);
///   Saved saved = client.save(step, values, Map.of("loss", loss));
///   client.awaitDurable(saved, Duration.ofMinutes(1));
/// }
/// ```
///
/// For one thread that trains and one that waits: [#awaitDurable] may be called from any thread,
/// the rest from the thread that trains. When the agent dies, the next call starts or meets a new
/// one, which adopts what was sealed.
public final class Client implements AutoCloseable {
  // The agent answers one request after the other: while a wait is pending it does not see that
  // another generation was sealed. So waits are cut short and repeated.
  private static final Duration WAIT_SLICE = Duration.ofMillis(50);

  /// How often a restore begins again because others could not wait for it.
  private static final int MOST_TIMES_LATE = 5;

  private final ClientEnvironment environment;
  private final String name;
  private final String version;
  private final RecordLock lock;
  private final Map<String, Ended> ended = new ConcurrentHashMap<>();
  private final Object reconnecting = new Object();

  private volatile AgentLink link;
  private volatile Answer.Hello agent;
  private volatile @Nullable Launch launch;
  private volatile long sealed;

  /// The layout instead of which the agent asks for another one.
  private volatile int replan;

  private int start;
  private @Nullable String parent;
  private @Nullable Capture capture;
  private @Nullable Saved last;
  private boolean closed;

  private Client(ClientEnvironment environment, String version, String name, RecordLock lock) {
    this.environment = environment;
    this.version = version;
    this.name = name;
    this.lock = lock;
    this.link = AgentLink.connect(environment.directory(), environment.starter());
    this.agent = greet(link);
  }

  /// Meets the agent of this node.
  ///
  /// @param version of the trainer's software, for people
  /// @throws KeepstoneException.AgentUnavailable where none runs and none could be started
  public static Client connect(ClientEnvironment environment, String version) {
    environment.directory().create();
    String name = HexFormat.of().toHexDigits(environment.random().nextLong());
    Path file = environment.directory().clientLock(name);
    // Taken before the greeting: from then on the agent takes the lock's end for our death.
    RecordLock lock =
        RecordLock.tryTake(file)
            .orElseThrow(() ->
                new KeepstoneException.Failed(
                    "two clients chose one name",
                    file.toString(),
                    "give each process its own random numbers",
                    null));
    try {
      return new Client(environment, version, name, lock);
    } catch (RuntimeException | Error e) {
      lock.close();
      throw e;
    }
  }

  private Answer.Hello greet(AgentLink fresh) {
    boolean done = false;
    try {
      Answer.Hello greeted =
          fresh.ask(new Request.Hello(name, ProcessHandle.current().pid(), version, sealed));
      Launch announced = launch;
      if (announced != null) {
        // A connection after the first: the same token joins the same start.
        Answer.Start _ = fresh.ask(announced.request());
      }
      done = true;
      return greeted;
    } catch (IOException e) {
      throw unavailable(e);
    } finally {
      if (!done) {
        fresh.close();
      }
    }
  }

  /// What the agent told in its greeting.
  public Answer.Hello agent() {
    return agent;
  }

  /// Announces this launch, or joins what another rank announced, and learns what to continue from.
  ///
  /// @throws KeepstoneException.NotFound where what it wants is not there
  public synchronized Answer.Start start(Launch announced) {
    Answer.Start answer = ask(announced.request());
    launch = announced;
    start = answer.start();
    parent = answer.parent();
    return answer;
  }

  /// Restores the parent of the start that was announced. Where it turns out damaged, and no
  /// certain one was wanted, another start is announced, which the agent gives the checkpoint
  /// before it.
  ///
  /// @param restoring called again for each checkpoint that is tried, and where the ranks beside
  ///   this one could not wait for it
  /// @return false where there is nothing to go on from
  /// @throws KeepstoneException.Integrity where no other one may be taken
  public synchronized boolean resume(Consumer<Restore> restoring) {
    for (int late = 0; parent != null; ) {
      String id = parent;
      try (Restore restore = open(id)) {
        restoring.accept(restore);
        return true;
      } catch (KeepstoneException.Busy e) {
        late++;
        if (late == MOST_TIMES_LATE) {
          throw e;
        }
      } catch (KeepstoneException.Integrity e) {
        fallBack(id, e);
      }
    }
    return false;
  }

  private void fallBack(String damaged, KeepstoneException.Integrity found) {
    Launch before = launch;
    if (before == null || !before.takesAnother()) {
      throw found;
    }
    Answer.Start next = start(before.withoutDamaged(damaged));
    if (damaged.equals(next.parent())) {
      throw found;
    }
  }

  /// Begins a restore.
  ///
  /// @param id of a visible checkpoint of the run, mostly the start's parent
  public synchronized Restore open(String id) {
    Answer.Open opened = ask(new Request.Open(id));
    return new Restore(link, opened);
  }

  /// Registers the form of the state: before the first save, and again when it changes. Takes as
  /// long as memory must be reserved; what was sealed before stays until it is durable.
  ///
  /// @throws KeepstoneException.Refused where a tensor cannot be laid out, or memory is too small
  /// @throws KeepstoneException.Busy where an older segment did not become free in time
  public Answer.Register register(Registration registration) {
    return register(registration, 0);
  }

  private synchronized Answer.Register register(Registration registration, long stateBytes) {
    Answer.Register answer =
        ask(registration.request(stateBytes, environment.patience().register()));
    SegmentFile segment = SegmentFile.open(Path.of(answer.segment()));
    Capture next = Capture.open(registration, answer.layout(), segment);
    if (capture != null) {
      capture.segment().close();
    }
    capture = next;
    sealed = 0;
    return answer;
  }

  /// Captures the state: returns when all of it is copied and sealed. From then on it will become
  /// durable, whatever happens to this process.
  ///
  /// @param step counts up within a start
  /// @param values fill the holes of the registered state, by index
  /// @param metrics of this step
  /// @throws KeepstoneException.Busy where no slot became free in time; nothing was saved
  public synchronized Saved save(
      long step, List<? extends Json> values, Map<String, Double> metrics) {
    if (start == 0 || capture == null) {
      throw new KeepstoneException.Refused(
          "nothing is registered", "save of step " + step, "call start and register before");
    }
    long called = environment.clocks().nanos().getAsLong();
    byte[] state = StateArea.encode(metrics, values);
    boolean replanned =
        state.length > capture.segment().head().stateCapacity() || replan == capture.number();
    if (replanned) {
      register(capture.registration(), state.length);
      called = environment.clocks().nanos().getAsLong();
    }
    return save(capture, start + "-" + step, step, state, called, replanned);
  }

  private Saved save(
      Capture into, String id, long step, byte[] state, long called, boolean replanned) {
    SegmentFile segment = into.segment();
    Answer.Lend lent = lent(segment);
    into.copyTo(lent.slot());
    MemorySegment.copy(
        state, 0, segment.stateArea(lent.slot()), ValueLayout.JAVA_BYTE, 0, state.length);
    Instant now = environment.clocks().wall().instant();
    long stall = environment.clocks().nanos().getAsLong() - called;
    segment.write(
        new SealRecord(
            lent.slot(),
            lent.generation(),
            step,
            state.length,
            Crc32.of(state, 0, state.length),
            now.getEpochSecond() * 1_000_000_000L + now.getNano(),
            stall));
    sealed = lent.generation();
    Saved saved = new Saved(id, step, sealed, segment.layout().capturedLength(), stall, replanned);
    last = saved;
    tell(new Request.Sealed(into.number(), lent.slot(), lent.generation(), step), id);
    return saved;
  }

  /// The slot lent ahead, else one waited for.
  private Answer.Lend lent(SegmentFile segment) {
    Optional<AgentRecord> record = segment.agentRecord();
    // The record may still show the slot that was sealed just before.
    if (record.isPresent() && record.get().lentGeneration() > sealed) {
      return new Answer.Lend(record.get().lentSlot(), record.get().lentGeneration());
    }
    Answer.Lend lent = ask(new Request.Lend(environment.patience().save().toMillis()));
    if (lent.slot() >= segment.head().slots() || lent.generation() <= sealed) {
      throw new KeepstoneException.Integrity(
          "the agent lends slot "
              + lent.slot()
              + " for generation "
              + lent.generation()
              + " after generation "
              + sealed,
          segment.path().toString(),
          "restart the agent");
    }
    return lent;
  }

  /// Says that a save did not happen here, so that the other ranks need not wait for it.
  ///
  /// @param why `skipped`, `no-memory` or `failed`
  public synchronized void refuse(long step, String why, String detail) {
    Answer.Ok _ = ask(new Request.Refuse(step, why, detail));
  }

  /// Waits until a save has become a committed checkpoint.
  ///
  /// @throws KeepstoneException.Busy where it has not ended in time
  /// @throws KeepstoneException what it ended with instead
  public Ended.Committed awaitDurable(Saved saved, Duration timeout) {
    long until = environment.clocks().nanos().getAsLong() + timeout.toNanos();
    while (true) {
      Ended end = ended.get(saved.id());
      if (end != null) {
        return committed(end);
      }
      long left = Math.max(0, until - environment.clocks().nanos().getAsLong());
      long slice = Math.min(WAIT_SLICE.toMillis(), Duration.ofNanos(left).toMillis());
      try {
        remember(ask(new Request.Wait(saved.id(), slice)).ended());
      } catch (KeepstoneException.Busy e) {
        if (left == 0) {
          throw e;
        }
      }
    }
  }

  private static Ended.Committed committed(Ended end) {
    return switch (end) {
      case Ended.Committed committed -> committed;
      case Ended.Failed failed -> throw failed.error();
      case Ended.Fenced fenced ->
          throw new KeepstoneException.Fenced(
              "a newer start of the run has taken over",
              "checkpoint " + fenced.id(),
              "stop this trainer");
      case Ended.Unknown unknown ->
          throw new KeepstoneException.OutcomeUnknown(
              "whether it was committed cannot be known yet"
                  + (unknown.error() == null ? "" : ": " + unknown.error().what()),
              "checkpoint " + unknown.id(),
              "look again with: keepstone ls");
    };
  }

  private void remember(List<Ended> ends) {
    ends.forEach(end -> ended.put(end.id(), end));
  }

  private <A extends Answer> A ask(Request<A> request) {
    AgentLink used = link;
    try {
      return used.ask(request);
    } catch (IOException e) {
      reconnect(used, e);
    }
    try {
      return link.ask(request);
    } catch (IOException e) {
      throw unavailable(e);
    }
  }

  private void tell(Request.Sealed request, String id) {
    AgentLink used = link;
    try {
      var _ =
          used.tell(request)
              .thenAccept(frame -> {
                try {
                  Answer.Sealed answer = request.readAnswer(frame);
                  remember(answer.ended());
                  if (answer.replan()) {
                    replan = request.layout();
                  }
                } catch (KeepstoneException e) {
                  ended.put(id, new Ended.Failed(id, e));
                }
              });
    } catch (IOException e) {
      try {
        // The new agent learns from the greeting that this generation is sealed.
        reconnect(used, e);
      } catch (KeepstoneException.AgentUnavailable unreachable) {
        // The generation stands all the same, for whichever agent comes next. The next call that
        // needs one says that there is none.
      }
    }
  }

  /// Meets the agent again, or a new one, once for all threads that saw the connection end.
  private void reconnect(AgentLink broken, IOException cause) {
    if (Thread.currentThread().isInterrupted()) {
      throw new KeepstoneException.Failed(
          "interrupted while waiting for the agent",
          environment.directory().socket().toString(),
          "call again",
          cause);
    }
    synchronized (reconnecting) {
      if (link != broken) {
        return;
      }
      broken.close();
      AgentLink fresh = AgentLink.connect(environment.directory(), environment.starter());
      agent = greet(fresh);
      link = fresh;
    }
  }

  private KeepstoneException.AgentUnavailable unavailable(IOException e) {
    return new KeepstoneException.AgentUnavailable(
        "the agent went away: " + e.getMessage(),
        environment.directory().socket().toString(),
        "look at " + environment.directory().log());
  }

  /// Waits until the last save is durable and leaves; the agent then frees the memory.
  ///
  /// @throws KeepstoneException what the last save ended with instead
  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    try {
      if (last != null) {
        Ended.Committed _ = awaitDurable(last, environment.patience().close());
      }
      Answer.Ok _ = ask(new Request.Close());
    } finally {
      link.close();
      if (capture != null) {
        capture.segment().close();
      }
      lock.close();
    }
  }
}
