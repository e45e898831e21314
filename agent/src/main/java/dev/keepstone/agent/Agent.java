package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.agent.events.Exposition;
import dev.keepstone.agent.place.Lifespan;
import dev.keepstone.agent.place.Memory;
import dev.keepstone.agent.serve.Server;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.layout.LayoutOwner;
import dev.keepstone.segment.memory.RecordLock;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.place.AgentInfo;
import dev.keepstone.segment.place.Outlives;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.store.reference.CheckpointId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/// One agent, in this process: it holds `agent.lock`, so there is one per directory.
///
/// [#start] adopts what lies there and then opens the socket; the agent ends by [#stop], by the
/// verb of that name, or for lack of work. [#awaitEnd] tells when.
final class Agent implements AutoCloseable {
  /// The version that agents and clients tell each other.
  static final String VERSION = "keepstone " + version();

  private final AgentOptions options;
  private final Node node;
  private final AgentDirectory directory;
  private final RecordLock lock;
  private final EventLog events;
  private final Roster roster;
  private final Registration registration;
  private final Starting starting;
  private final Watch watch;
  private final Restores restores;
  private final Leftovers leftovers;
  private final Heap heap = new Heap();
  private final @Nullable Scrubbing scrubbing;
  private final Outlives outlives = Lifespan.here(System.getenv());
  private final long pid = ProcessHandle.current().pid();
  private final Budget budget;
  private final CountDownLatch stopped = new CountDownLatch(1);
  private final CountDownLatch ended = new CountDownLatch(1);
  private volatile boolean atOnce;
  private volatile int left;
  private @Nullable Server server;

  private Agent(AgentOptions options, Node node, RecordLock lock) throws IOException {
    this.options = options;
    this.node = node;
    this.lock = lock;
    this.directory = options.directory();
    this.events = new EventLog(directory.path(), node.clock(), options.echo());
    this.roster = new Roster(events, node.clock());
    this.budget = new Budget(directory, roster, events, node, options.budget());
    this.registration = new Registration(directory, roster, events, budget);
    this.starting = new Starting(this, node);
    this.restores = new Restores(directory, roster, events, node);
    this.leftovers = new Leftovers(roster);
    this.watch = new Watch(directory, this, events, node.clock());
    Long rate = options.scrubRate();
    this.scrubbing = rate == null ? null : new Scrubbing(roster, events, node, rate);
  }

  /// Starts an agent.
  ///
  /// @throws KeepstoneException.Busy where one runs already, telling which
  public static Agent start(AgentOptions options, Node node) throws IOException {
    AgentDirectory directory = options.directory();
    directory.create();
    RecordLock lock = RecordLock.tryTake(directory.lock()).orElseThrow(() -> running(directory));
    try {
      Agent agent = new Agent(options, node, lock);
      agent.begin();
      return agent;
    } catch (IOException | RuntimeException e) {
      lock.close();
      throw e;
    }
  }

  private static KeepstoneException running(AgentDirectory directory) {
    String who =
        switch (RecordLock.probe(directory.lock())) {
          case RecordLock.Holder.Held(long pid) -> "pid " + pid;
          case RecordLock.Holder.Nobody() -> "which just ended";
        };
    return new KeepstoneException.Busy(
        "an agent runs already, " + who,
        directory.path().toString(),
        "keepstone agent stop ends it");
  }

  private void begin() throws IOException {
    Instant started = node.clock().instant();
    AgentInfo info = new AgentInfo(pid, node.nonce(), started, VERSION, outlives);
    Path temporary = directory.path().resolve("agent.json." + node.nonce() + ".tmp");
    Files.write(temporary, JsonWriter.bytes(info.toJson()));
    Files.move(temporary, directory.info(), StandardCopyOption.REPLACE_EXISTING);
    events.add(
        "started",
        Json.object()
            .put("pid", pid)
            .put("nonce", node.nonce())
            .put("version", VERSION)
            .put("outlives", outlives.word())
            .put("budget", budget.bytes())
            .build());
    new Adoption(directory, this, events, node.clock()).adopt();
    server = Server.open(directory, node.nonce(), events, () -> new Verbs(this));
    Thread.ofPlatform().daemon().name("watch").start(this::live);
    if (scrubbing != null) {
      scrubbing.begin();
    }
  }

  /// Rounds of the watch until the agent is to stop, then the end.
  private void live() {
    long busy = node.clock().nanos();
    try {
      while (!stopped.await(Watch.PERIOD_MILLIS, TimeUnit.MILLISECONDS)) {
        if (!lock.isNamed()) {
          lose();
          break;
        }
        watch.round();
        roster.feelPulses();
        heap.round();
        if (!roster.idle()) {
          busy = node.clock().nanos();
        } else if (node.clock().nanos() - busy >= options.idle().toNanos()) {
          events.note("ends: nothing registered and nothing to drain for " + options.idle());
          stopped.countDown();
        }
      }
      if (!atOnce) {
        finish();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      end();
    }
  }

  /// The directory, or the lock in it, was removed or replaced: this agent cannot be found any
  /// more, and another may run in its place. It ends. Segments that still have their names are the
  /// other's; those that have none only this one can drain.
  private void lose() {
    events.note("ends: " + directory.lock() + " was removed or replaced");
    roster.stopFreeing();
    // Living trainers look for the other agent, and this one gets nothing more to drain.
    closeServer();
    atOnce =
        roster.trainers().stream()
            .flatMap(trainer -> trainer.segments.stream())
            .anyMatch(segment -> Files.exists(segment.path()));
    stopped.countDown();
  }

  /// Drains what is sealed.
  private void finish() throws InterruptedException {
    int queued = roster.queued();
    if (queued > 0) {
      events.note("drains " + queued + " sealed generations, then ends");
    }
    boolean drained =
        roster.await(() -> atOnce || roster.queued() == 0, options.stopTimeout().toMillis());
    if (!drained) {
      left = roster.queued();
      events.note(
          "not drained within "
              + options.stopTimeout()
              + ": leaves "
              + left
              + " sealed generations to the next agent");
    }
  }

  /// Frees what dead trainers kept. What living ones hold stays for the next agent, which they
  /// start when they miss this one.
  private void leave() {
    watch.round();
    synchronized (roster) {
      for (Trainer trainer : roster.trainers()) {
        if (trainer.gone) {
          trainer.segments.forEach(LiveSegment::retire);
        }
      }
    }
    watch.letGo();
  }

  private void end() {
    // Names in a directory whose lock is another agent's are that agent's too.
    boolean named = lock.isNamed();
    if (named) {
      remove(directory.socket());
    }
    closeServer();
    if (!atOnce && named) {
      // After the connections have ended, and with them what they were reading.
      leave();
    }
    if (scrubbing != null) {
      scrubbing.close();
    }
    roster.runs().forEach(LiveRun::close);
    events.note("ended");
    if (named) {
      remove(directory.info());
      // Still held: whoever opened it before and locks it after sees that it lost its name.
      remove(directory.lock());
    }
    events.close();
    lock.close();
    ended.countDown();
  }

  private void closeServer() {
    try {
      if (server != null) {
        server.close();
      }
    } catch (IOException e) {
      events.note("closing the socket: " + e.getMessage());
    }
  }

  private void remove(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      events.note("cannot remove " + file + ": " + e.getMessage());
    }
  }

  /// Ends the agent.
  ///
  /// @param now leave what is sealed to the next agent; else drain it first
  public void stop(boolean now) {
    if (now) {
      atOnce = true;
    }
    stopped.countDown();
    roster.changed();
  }

  /// Waits until the agent has ended.
  public void awaitEnd() throws InterruptedException {
    ended.await();
  }

  /// Sealed generations that an ordinary stop left to the next agent because its time was over.
  public int left() {
    return left;
  }

  /// Ends at once and waits for it.
  @Override
  public void close() throws InterruptedException {
    stop(true);
    awaitEnd();
  }

  Roster roster() {
    return roster;
  }

  Registration registration() {
    return registration;
  }

  Starting starting() {
    return starting;
  }

  Watch watch() {
    return watch;
  }

  Answer.Hello greeting() {
    return new Answer.Hello(node.nonce(), pid, VERSION, budget.bytes(), outlives);
  }

  /// The run of that name, known from now on.
  LiveRun run(RunKey key) {
    synchronized (roster) {
      LiveRun run = roster.run(key);
      if (run == null) {
        run = new LiveRun(key, roster, events, node, options);
        roster.add(run);
        run.begin();
      }
      return run;
    }
  }

  /// A generation in the lent slot stands.
  void seal(LiveSegment segment, SealRecord seal) {
    roster.seal(segment, seal, id(segment, seal), run(owner(segment)));
  }

  /// A generation stands in a slot that is marked as sealed already.
  void adopt(LiveSegment segment, SealRecord seal) {
    roster.adopt(segment, seal, id(segment, seal), run(owner(segment)));
  }

  private static RunKey owner(LiveSegment segment) {
    return Membership.of(segment.file.layout().owner()).run();
  }

  private static CheckpointId id(LiveSegment segment, SealRecord seal) {
    LayoutOwner owner = segment.file.layout().owner();
    return new CheckpointId(owner.start(), seal.step());
  }

  /// Sets how fast the drains of a run go that is known.
  void rate(RunKey key, Request.Rate rate) {
    LiveRun run = roster.run(key);
    if (run == null) {
      throw new KeepstoneException.NotFound(
          "this agent has nothing to do with that run", key.toString(), "keepstone agent status");
    }
    run.pace().limit(rate.limitRate());
    if (rate.gentle() != null) {
      run.pace().gentle(rate.gentle());
    }
  }

  Restores restores() {
    return restores;
  }

  /// Something that a trainer waits for.
  interface Wait {
    boolean await() throws InterruptedException;
  }

  /// A trainer waits until a slot comes free: back-pressure, which is told.
  boolean tellWaiting(Trainer trainer, Wait wait) throws InterruptedException {
    Membership member = trainer.member();
    LiveRun run = run(member.run());
    long begun = node.clock().nanos();
    List<CheckpointId> underWay = run.underWay();
    events.add(
        "held-up",
        run.fields()
            .put("rank", member.rank())
            .put("why", "slots")
            .put("by", underWay.isEmpty() ? "" : underWay.getFirst().toString())
            .build());
    try {
      return wait.await();
    } finally {
      double ms = Roster.millis(node.clock().nanos() - begun);
      events.add(
          "went-on",
          run.fields().put("rank", member.rank()).put("why", "slots").put("ms", ms).build());
    }
  }

  Leftovers leftovers() {
    return leftovers;
  }

  Answer.Status status() {
    return new Answer.Status(
        pid,
        directory.socket().toString(),
        outlives,
        budget.bytes(),
        roster.used(null),
        Memory.residentBytes(),
        budget.free(),
        roster.runs().stream().map(LiveRun::status).map(events.figures()::complete).toList(),
        leftovers.segments());
  }

  /// The figures as scrapers read them.
  String metrics() {
    return Exposition.of(status(), events.figures(), VERSION, node.nonce());
  }

  private static String version() {
    String version = Agent.class.getPackage().getImplementationVersion();
    return version == null ? "0.1.0" : version;
  }
}
