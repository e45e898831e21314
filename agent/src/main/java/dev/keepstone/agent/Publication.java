package dev.keepstone.agent;

import dev.keepstone.agent.drain.Drain;
import dev.keepstone.agent.drain.Owner;
import dev.keepstone.agent.drain.Sharing;
import dev.keepstone.agent.drain.StoredConstants;
import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.layout.Layout;
import dev.keepstone.segment.layout.LayoutOwner;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.segment.wire.WireError;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.PartOutcome;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PartRecord;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// Takes one generation from its slot to the manifest (docs/spec/store.md §5): drain, part, extras,
/// manifest. Each step looks first at what stands, so that what an agent before this one began is
/// finished and not done twice.
final class Publication {
  /// Of ranks that are waited for, as many are named.
  private static final int MOST_TOLD = 16;

  private final LiveRun live;
  private final Roster roster;
  private final EventLog events;
  private final Node node;
  private final Map<CheckpointId, List<Integer>> told = new ConcurrentHashMap<>();
  private final Laggards laggards;

  Publication(LiveRun live, Roster roster, EventLog events, Node node) {
    this.live = live;
    this.roster = roster;
    this.events = events;
    this.node = node;
    this.laggards = new Laggards(live, roster);
  }

  /// How far an attempt came.
  sealed interface Step {
    /// Committed, failed, fenced, or given up.
    ///
    /// @param why it did not become a checkpoint; null where it did
    record Over(Ended ended, @Nullable KeepstoneException why) implements Step {}

    /// Its part stands. Ask again ([Committing]), or give up because of this.
    record Waiting(KeepstoneException why) implements Step {}
  }

  /// Makes the part stand, whoever wrote it, and tries to commit where no other rank is needed.
  Step store(Attempt attempt) throws InterruptedException {
    roster.draining(attempt);
    Layout layout = attempt.segment().file.layout();
    Drain drain;
    PartRecord standing;
    try {
      Run run = open(attempt);
      Optional<Refusal> refusal =
          layout.owner().world() == 1 ? Optional.empty() : new Commit(run).refusal(attempt.id());
      if (refusal.isPresent()) {
        // Nothing of it will be needed.
        return conclude(attempt, refused(attempt.id(), refusal.get(), String.valueOf(live.key())));
      }
      drain = new Drain(run.tier(), run.names(), node.nonce(), live.pace());
      standing = run.part(attempt.id(), layout.owner().rank()).orElse(null);
      if (standing == null) {
        Part drained = drain(drain, attempt, run);
        if (layout.owner().world() > 1) {
          // A configuration is the layout's alone. Were the part to stand without it and this agent
          // to die for good, nobody could complete the checkpoint.
          drain.putExtras(drained, layout);
        }
        standing = put(drained, run);
      }
    } catch (KeepstoneException e) {
      requireNotEnding();
      return refuse(attempt, e);
    }
    try {
      if (standing instanceof Part part) {
        attempt.segment().sharing.stored(attempt.seal().generation(), part);
        drain.putExtras(part, layout);
      }
    } catch (KeepstoneException e) {
      requireNotEnding();
      return giveUp(attempt, e);
    }
    return layout.owner().world() == 1
        ? publish(attempt)
        : new Step.Waiting(
            new KeepstoneException.Busy(
                "waits for the other ranks", attempt.id().toString(), "wait"));
  }

  private Run open(Attempt attempt) {
    Run run = live.open();
    String uid = attempt.segment().file.layout().owner().uid();
    if (!run.uid().equals(uid)) {
      throw new KeepstoneException.Refused(
          "the run is another one now: expected uid " + uid + ", found " + run.uid(),
          live.key().toString(),
          "restart the trainer, so that it registers with this run");
    }
    return run;
  }

  private Part drain(Drain drain, Attempt attempt, Run run) throws InterruptedException {
    CheckpointId id = attempt.id();
    Layout layout = attempt.segment().file.layout();
    long bytes = layout.byteLength();
    int rank = layout.owner().rank();
    events.add("draining", live.fields(id, rank).put("bytes", bytes).build());
    long begun = node.clock().nanos();
    Progress progress = new Progress(id, rank, bytes);
    try {
      List<@Nullable ShardReceipt> used = used(attempt, run);
      Part part = drain.write(attempt.segment().file, attempt.seal(), id, used, progress::more);
      double ms = Roster.millis(node.clock().nanos() - begun);
      long written =
          part.shards().stream()
              .filter(shard -> shard.from() == null)
              .mapToLong(ShardReceipt::bytes)
              .sum();
      events.add(
          "drained",
          live.fields(id, rank).put("bytes", bytes).put("written", written).put("ms", ms).build());
      return part;
    } catch (KeepstoneException e) {
      drain.discard(layout, id);
      throw e;
    }
  }

  /// Compares the generation with the one before it.
  ///
  /// @return for each shard what another checkpoint holds of it, or null where it is to be written
  private List<@Nullable ShardReceipt> used(Attempt attempt, Run run) {
    LiveSegment segment = attempt.segment();
    Previous previous = attempt.previous();
    List<@Nullable Owner> owners;
    try {
      Sharing.Image before = previous == null ? null : previous.image();
      owners = segment.sharing.compare(segment.file, attempt.seal(), before);
    } finally {
      roster.release(previous);
    }
    if (segment.sharing.lacksConstants()) {
      findStored(attempt, run);
      owners = segment.sharing.owners();
    }
    View view = owners.stream().allMatch(Objects::isNull) ? null : run.look();
    List<@Nullable ShardReceipt> used = new ArrayList<>();
    for (Owner owner : owners) {
      boolean may = owner != null && view != null && mayUse(owner.home(), view);
      used.add(owner != null && may ? owner.used() : null);
    }
    return used;
  }

  /// Looks for what is frozen in the newest checkpoint of the line.
  private void findStored(Attempt attempt, Run run) {
    LiveSegment segment = attempt.segment();
    int rank = segment.file.layout().owner().rank();
    try {
      Optional<CheckpointId> latest = run.look().latest();
      if (latest.isPresent() && run.part(latest.get(), rank).orElse(null) instanceof Part part) {
        StoredConstants.find(segment.file, attempt.seal(), segment.sharing, part, run);
      }
    } catch (IOException e) {
      events.note("what is frozen is stored again: " + e);
    } catch (KeepstoneException e) {
      events.note("what is frozen is stored again: " + e.what() + " (" + e.on() + ")");
    }
  }

  /// Whether a checkpoint is there, good as far as anybody knows, and likely to stay until its use
  /// is known: committed, on the line, and nobody wishes to delete it. What changes after this look
  /// is seen before the manifest ([Commit]).
  private static boolean mayUse(CheckpointId home, View view) {
    return view.manifests().containsKey(home)
        && view.starts().line().has(home)
        && !view.tombs().purged(home)
        && !view.tombs().doubtful(home)
        && view.tombs().open(home).isEmpty()
        && !view.quarantined(home);
  }

  /// @return what stands under the rank's name now
  private PartRecord put(Part part, Run run) {
    PartRecord standing =
        switch (new Commit(run).putPart(part)) {
          case PartOutcome.Stands() -> part;
          case PartOutcome.Lost(PartRecord other) -> other;
          case PartOutcome.Unknown(String why) ->
              throw new KeepstoneException.OutcomeUnknown(
                  "whether the part stands is not known: " + why,
                  part(run, part.id(), part.rank()),
                  "look at the store");
        };
    events.add("part", live.fields(part.id(), part.rank()).build());
    return standing;
  }

  /// Tries to commit an attempt whose part stands and that needs no other rank.
  private Step publish(Attempt attempt) throws InterruptedException {
    Step step = look(attempt.id(), 1);
    return step instanceof Step.Over over ? conclude(attempt, over) : step;
  }

  /// Commits a checkpoint where all its parts stand, and says how it stands without telling
  /// anybody.
  Step look(CheckpointId id, int world) throws InterruptedException {
    return outcome(id, commit -> world == 1 ? commit.publish(id) : commit.publish(id, world));
  }

  /// Whether others have committed or refused it, by two looks.
  Step glance(CheckpointId id) throws InterruptedException {
    return outcome(
        id, commit -> commit.ended(id).orElseGet(() -> new Published.Incomplete(List.of())));
  }

  /// Whether a newer start goes on from before it: then nobody waits for it any more.
  Optional<Step.Over> overtaken(CheckpointId id) throws InterruptedException {
    Step step =
        outcome(
            id,
            commit -> {
              OptionalInt by = commit.overtaken(id);
              return by.isPresent()
                  ? new Published.Fenced(by.getAsInt())
                  : new Published.Incomplete(List.of());
            });
    return step instanceof Step.Over over ? Optional.of(over) : Optional.empty();
  }

  private Step outcome(CheckpointId id, Function<Commit, Published> look)
      throws InterruptedException {
    try {
      return step(id, look.apply(new Commit(live.open())));
    } catch (KeepstoneException.NoSpace | KeepstoneException.Denied e) {
      requireNotEnding();
      // The part stands, so the next start commits it. Until a person has made room, the next
      // saves would wait for the slot.
      return givenUp(id, e);
    } catch (KeepstoneException e) {
      requireNotEnding();
      // The part stands, so that anybody may still commit it: it has not failed for good.
      return new Step.Waiting(e);
    }
  }

  /// An attempt has waited long enough. Where ranks are missing it is refused for one of them, so
  /// that either all agents give it up or the part comes first and nobody does.
  Step timeOut(CheckpointId id, int world, KeepstoneException why) throws InterruptedException {
    if (world == 1 || !(why instanceof KeepstoneException.Busy)) {
      return givenUp(id, why);
    }
    Commit commit = new Commit(live.open());
    try {
      if (commit.publish(id, world) instanceof Published.Incomplete(List<Integer> missing)
          && !missing.isEmpty()) {
        String who = laggards.describe(id, missing, commit.written(id));
        refuse(id, missing.getFirst(), world, Refusal.Why.TIMEOUT, who);
      }
      Step step = look(id, world);
      return step instanceof Step.Waiting ? givenUp(id, why) : step;
    } catch (KeepstoneException e) {
      requireNotEnding();
      return givenUp(id, why);
    }
  }

  /// Checkpoints of a start that have a folder and no manifest.
  Set<CheckpointId> unfinished(int start) {
    Run run = live.open();
    Set<CheckpointId> ids = new TreeSet<>();
    run.tier()
        .list(run.names().checkpoints())
        .forEach(folder ->
            CheckpointId.find(folder).filter(id -> id.start() == start).ifPresent(ids::add));
    run.tier()
        .list(run.names().manifests())
        .forEach(file -> Names.manifestOf(file).ifPresent(ids::remove));
    return ids;
  }

  /// Whether a rank's part, or its refusal, stands.
  boolean hasPart(CheckpointId id, int rank) {
    return live.open().part(id, rank).isPresent();
  }

  /// What became of an attempt that this agent does not know, as the store tells; empty where
  /// nothing of it is there, or it has not ended.
  Optional<Ended> ended(CheckpointId id) {
    return step(id, new Commit(live.open()).publish(id)) instanceof Step.Over(Ended ended, var _)
        ? Optional.of(ended)
        : Optional.empty();
  }

  private Step step(CheckpointId id, Published published) {
    Run run = live.open();
    String on = run.tier().describe(run.names().manifest(id));
    return switch (published) {
      case Published.Committed() -> new Step.Over(new Ended.Committed(id.toString(), 0), null);
      case Published.Incomplete(var missing) -> {
        tellMissing(id, missing);
        yield new Step.Waiting(
            new KeepstoneException.Busy("parts of ranks " + missing + " are missing", on, "wait"));
      }
      case Published.Unknown(String why) ->
          new Step.Waiting(new KeepstoneException.OutcomeUnknown(why, on, "look at the store"));
      case Published.Refused(Refusal refusal) -> refused(id, refusal, on);
      case Published.Lost(String why) -> failed(id, why, on);
      case Published.Fenced(int start) ->
          new Step.Over(
              new Ended.Fenced(id.toString()),
              new KeepstoneException.Fenced(
                  "start " + start + " has taken over and goes on from an older checkpoint",
                  on,
                  "stop this trainer"));
    };
  }

  /// Who is waited for, each time that this changes.
  private void tellMissing(CheckpointId id, List<Integer> missing) {
    if (!missing.isEmpty() && !missing.equals(told.put(id, missing))) {
      List<Long> some = missing.stream().limit(MOST_TOLD).map(Integer::longValue).toList();
      events.add(
          "waiting",
          live.fields(id).put("missing", missing.size()).put("ranks", Json.integers(some)).build());
    }
  }

  private static Step.Over refused(CheckpointId id, Refusal refusal, String on) {
    String who =
        switch (refusal.why()) {
          case TIMEOUT -> "not all of %d ranks came in time: ".formatted(refusal.world());
          case DIED -> "rank %d died: ".formatted(refusal.rank());
          case SKIPPED, NO_MEMORY, NO_SPACE, FAILED ->
              "rank %d refused, %s: ".formatted(refusal.rank(), refusal.why().text());
        };
    return failed(id, who + refusal.detail(), on);
  }

  private static Step.Over failed(CheckpointId id, String why, String on) {
    return failed(id, new KeepstoneException.Failed(why, on, "save the next step", null));
  }

  /// It will not become a checkpoint.
  static Step.Over failed(CheckpointId id, KeepstoneException why) {
    return new Step.Over(new Ended.Failed(id.toString(), why), why);
  }

  /// Tells how an attempt ended.
  Step.Over conclude(Attempt attempt, Step.Over over) {
    told.remove(attempt.id());
    return over.ended() instanceof Ended.Committed ? committed(attempt) : tell(attempt, over);
  }

  private Step.Over committed(Attempt attempt) {
    Instant called =
        Instant.ofEpochSecond(0, attempt.seal().sealedAt() - attempt.seal().stallNanos());
    Duration durable = Duration.between(called, node.clock().instant());
    double ms = Roster.millis(Math.max(0, durable.toNanos()));
    events.add(
        "committed",
        live.fields(attempt.id(), attempt.segment().file.layout().owner().rank())
            .put("bytes", attempt.segment().file.layout().byteLength())
            .put("durable_ms", ms)
            .build());
    return new Step.Over(new Ended.Committed(attempt.id().toString(), ms), null);
  }

  private static Step.Over givenUp(CheckpointId id, KeepstoneException why) {
    return new Step.Over(
        why instanceof KeepstoneException.Busy
            ? new Ended.Failed(id.toString(), why)
            : new Ended.Unknown(id.toString(), why),
        why);
  }

  private Step giveUp(Attempt attempt, KeepstoneException why) {
    return tell(attempt, givenUp(attempt.id(), why));
  }

  /// A bug ends its attempt.
  Step.Over bug(CheckpointId id, RuntimeException e) {
    return givenUp(
        id,
        new KeepstoneException.Failed(
            "bug: " + e, live.key() + "@" + id, "report this with agent.log", e));
  }

  /// The drain failed: say so in the store, where that can be, so that no rank waits for this one.
  private Step refuse(Attempt attempt, KeepstoneException why) {
    LayoutOwner owner = attempt.segment().file.layout().owner();
    Refusal.Why kind =
        why instanceof KeepstoneException.NoSpace ? Refusal.Why.NO_SPACE : Refusal.Why.FAILED;
    try {
      refuse(attempt.id(), owner.rank(), owner.world(), kind, why.what() + " (" + why.on() + ")");
    } catch (KeepstoneException e) {
      // The disk that failed the drain often fails this too; others then wait for their timeout.
      events.note("could not refuse " + attempt.id() + ": " + e.what());
    }
    return tell(attempt, failed(attempt.id(), why));
  }

  /// Puts a refusal of one rank.
  void refuse(CheckpointId id, int rank, int world, Refusal.Why why, String detail) {
    Run run = live.open();
    new Commit(run).putPart(new Refusal(run.uid(), id, rank, world, node.nonce(), why, detail));
  }

  private Step.Over tell(Attempt attempt, Step.Over over) {
    KeepstoneException why = over.why();
    if (why != null) {
      int rank = attempt.segment().file.layout().owner().rank();
      Json.Builder fields = live.fields(attempt.id(), rank);
      events.add("failed", fields.put("error", WireError.toJson(why)).build());
    }
    return over;
  }

  private static String part(Run run, CheckpointId id, int rank) {
    return run.tier().describe(run.names().part(id, rank));
  }

  /// An agent that ends at once interrupts its drains, and the JDK closes the files of an
  /// interrupted thread: that is no failure of the disk, and what is sealed is the next agent's.
  static void requireNotEnding() throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException("the agent ends");
    }
  }

  /// Events of a drain under way, ten a second at most.
  private final class Progress {
    private static final long PERIOD_NANOS = 100_000_000;

    private final CheckpointId id;
    private final int rank;
    private final long bytes;
    private long done;
    private long told;

    Progress(CheckpointId id, int rank, long bytes) {
      this.id = id;
      this.rank = rank;
      this.bytes = bytes;
      this.told = node.clock().nanos();
    }

    void more(long count) {
      done += count;
      long now = node.clock().nanos();
      if (now - told >= PERIOD_NANOS) {
        told = now;
        Json.Obj fields = live.fields(id, rank).put("done", done).put("bytes", bytes).build();
        events.add("progress", fields);
      }
    }
  }
}
