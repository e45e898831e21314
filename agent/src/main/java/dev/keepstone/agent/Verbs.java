package dev.keepstone.agent;

import dev.keepstone.agent.serve.Talk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Which;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/// One connection's conversation: every verb of docs/spec/wire.md.
final class Verbs implements Talk {
  private final Agent agent;
  private final Roster roster;
  private @Nullable Trainer trainer;
  private @Nullable Restore restore;

  Verbs(Agent agent) {
    this.agent = agent;
    this.roster = agent.roster();
  }

  @Override
  public Answer answer(Request<?> request) throws InterruptedException {
    return switch (request) {
      case Request.Hello hello -> hello(hello);
      case Request.Start start -> agent.starting().start(greeted(), start);
      case Request.Open(String id) -> open(id);
      case Request.Want want -> opened().want(want.tensors());
      case Request.Next _ -> opened().next();
      case Request.Done _ -> done();
      case Request.Register register -> agent.registration().register(greeted(), run(), register);
      case Request.Lend(long timeoutMs) -> lend(timeoutMs);
      case Request.Sealed sealed -> sealed(sealed);
      case Request.Refuse refuse -> refuse(refuse);
      case Request.Wait(String id, long timeoutMs) -> await(id, timeoutMs);
      case Request.Report report -> report(report);
      case Request.Preempt preempt -> run().due().preempt(greeted(), preempt);
      case Request.Close _ -> close();
      case Request.Status _ -> agent.status();
      case Request.Metrics _ -> new Answer.Metrics(metrics());
      case Request.Free(String store, String run) -> free(store, run);
      case Request.Events _, Request.Stop _ -> new Answer.Ok();
      case Request.Rate rate -> rate(rate);
    };
  }

  @Override
  public String metrics() {
    return agent.metrics();
  }

  @Override
  public void answered(Request<?> request) {
    if (request instanceof Request.Stop(boolean now)) {
      agent.stop(now);
    }
  }

  @Override
  public void ended() {
    endRestore();
    Trainer mine = trainer;
    if (mine != null) {
      synchronized (roster) {
        mine.connections--;
      }
      agent.watch().look(mine);
    }
  }

  private Trainer greeted() {
    if (trainer == null) {
      throw new KeepstoneException.Refused(
          "expected \"hello\" before this", "the agent's socket", "greet first");
    }
    return trainer;
  }

  private LiveRun run() {
    return agent.run(greeted().member().run());
  }

  private Answer.Hello hello(Request.Hello hello) {
    if (trainer != null) {
      throw new KeepstoneException.Refused(
          "this connection has greeted before", "client " + hello.client(), "greet once");
    }
    Trainer mine = roster.trainer(hello.client());
    synchronized (roster) {
      if (mine.gone) {
        throw new KeepstoneException.Refused(
            "client " + hello.client() + " is dead: its lock was free",
            "the agent's socket",
            "begin anew under another name");
      }
      mine.pid = hello.pid();
      mine.connections++;
      trainer = mine;
      mine.newest().ifPresent(segment -> announce(segment, hello.sealed()));
    }
    return agent.greeting();
  }

  /// An agent that was started anew learns from the greeting what was sealed while there was none.
  private void announce(LiveSegment segment, long generation) {
    int lent = segment.slots.lent();
    if (lent != Slots.NONE && segment.slots.generation(lent) == generation) {
      segment
          .file
          .seal(lent)
          .filter(seal -> seal.generation() == generation)
          .ifPresent(seal -> agent.seal(segment, seal));
    }
  }

  private Answer.Open open(String id) {
    endRestore();
    Restore begun = agent.restores().open(greeted(), run(), checkpoint(id));
    restore = begun;
    return begun.opened();
  }

  private Restore opened() {
    if (restore == null) {
      throw new KeepstoneException.Refused(
          "no restore has begun", "client " + greeted().client, "send \"open\" first");
    }
    return restore;
  }

  private Answer.Ok done() {
    opened();
    endRestore();
    return new Answer.Ok();
  }

  private void endRestore() {
    Restore begun = restore;
    restore = null;
    if (begun != null) {
      begun.close();
    }
  }

  private Answer.Lend lend(long timeoutMs) throws InterruptedException {
    LiveSegment segment =
        greeted()
            .newest()
            .orElseThrow(() ->
                new KeepstoneException.Refused(
                    "no layout is registered", "client " + greeted().client, "register first"));
    boolean lent = awaitSlot(segment, timeoutMs);
    synchronized (roster) {
      int slot = segment.slots.lent();
      if (slot != Slots.NONE) {
        return new Answer.Lend(slot, segment.slots.generation(slot));
      }
      throw lent
          ? new KeepstoneException.Refused(
              "the segment takes no more saves", segment.path().toString(), "register again")
          : new KeepstoneException.Busy(
              "every slot still waits for its drain after " + timeoutMs + " ms",
              segment.path().toString(),
              "save less often, or let drains go faster");
    }
  }

  /// Whether a slot is lent, or none ever will be; a wait for one is told.
  private boolean awaitSlot(LiveSegment segment, long timeoutMs) throws InterruptedException {
    BooleanSupplier over = () -> segment.retired || segment.slots.lent() != Slots.NONE;
    if (roster.await(over, 0)) {
      return true;
    }
    return agent.tellWaiting(greeted(), () -> roster.await(over, timeoutMs));
  }

  private Answer.Sealed sealed(Request.Sealed sealed) {
    Trainer mine = greeted();
    Membership member = mine.member();
    CheckpointId id = new CheckpointId(member.start(), sealed.step());
    synchronized (roster) {
      LiveSegment segment =
          mine.segment(sealed.layout())
              .orElseThrow(
                  () -> refused("layout " + sealed.layout() + " is not registered", id.toString()));
      if (!segment.slots.isLent(sealed.slot(), sealed.generation())) {
        throw refused(
            "generation "
                + sealed.generation()
                + " in slot "
                + sealed.slot()
                + " was not lent, or is sealed already",
            segment.path().toString());
      }
      Optional<SealRecord> seal = segment.file.seal(sealed.slot());
      if (seal.isEmpty()
          || seal.get().generation() != sealed.generation()
          || seal.get().step() != sealed.step()) {
        takeBack(segment, sealed.slot());
        throw new KeepstoneException.Integrity(
            "expected the seal of generation "
                + sealed.generation()
                + ", step "
                + sealed.step()
                + ", found "
                + seal.map(Object::toString).orElse("none that is whole"),
            segment.path() + ", slot " + sealed.slot(),
            "save the next step");
      }
      requireNew(mine, segment, sealed.slot(), id);
      agent.seal(segment, seal.get());
      boolean replan = segment.sharing.asks() && agent.registration().hasRoomBeside(segment);
      return new Answer.Sealed(id.toString(), mine.report(), replan);
    }
  }

  /// A start saves a step at most once.
  private void requireNew(Trainer mine, LiveSegment segment, int slot, CheckpointId id) {
    String before =
        mine.open.containsKey(id)
            ? "is being saved"
            : mine.earlier(id).map(ended -> "was tried before: " + describe(ended)).orElse("");
    if (!before.isEmpty()) {
      takeBack(segment, slot);
      throw refused("step " + id.step() + " of this start " + before, id.toString());
    }
  }

  private static String describe(Ended ended) {
    return switch (ended) {
      case Ended.Committed _ -> "it is committed";
      case Ended.Failed failed -> failed.error().what();
      case Ended.Fenced _ -> "a newer start has taken over";
      case Ended.Unknown _ -> "its outcome is not known";
    };
  }

  private void takeBack(LiveSegment segment, int slot) {
    segment.slots.returned(slot);
    segment.publish();
    roster.changed();
  }

  private static KeepstoneException.Refused refused(String what, String on) {
    return new KeepstoneException.Refused(what, on, "save the next step");
  }

  private Answer.Ok refuse(Request.Refuse refuse) {
    Trainer mine = greeted();
    CheckpointId id = new CheckpointId(mine.member().start(), refuse.step());
    synchronized (roster) {
      if (mine.open.containsKey(id)) {
        throw refused("step " + refuse.step() + " is being saved", id.toString());
      }
    }
    Refusal.Why why;
    try {
      why = Refusal.Why.parse(refuse.why());
    } catch (JsonException e) {
      throw refused(String.valueOf(e.getMessage()), id.toString());
    }
    run().refuse(mine, id, why, refuse.detail());
    return new Answer.Ok();
  }

  private Answer.Wait await(@Nullable String text, long timeoutMs) throws InterruptedException {
    Trainer mine = greeted();
    if (text == null) {
      boolean all = roster.await(mine.open::isEmpty, timeoutMs);
      synchronized (roster) {
        if (!all) {
          throw busy(mine.open.keySet().toString(), timeoutMs);
        }
        return new Answer.Wait(mine.report());
      }
    }
    CheckpointId id = checkpoint(text);
    boolean over = roster.await(() -> !mine.open.containsKey(id), timeoutMs);
    if (!over) {
      throw busy(text, timeoutMs);
    }
    return new Answer.Wait(
        List.of(
            remembered(mine, id)
                // Of what ended before this agent was there, the store knows.
                .or(() -> run().ended(id))
                .orElseThrow(() ->
                    new KeepstoneException.NotFound(
                        "nothing was saved as " + text,
                        run().key().toString(),
                        "keepstone ls " + run().key()))));
  }

  private Optional<Ended> remembered(Trainer mine, CheckpointId id) {
    synchronized (roster) {
      return mine.earlier(id);
    }
  }

  private static KeepstoneException.Busy busy(String what, long timeoutMs) {
    return new KeepstoneException.Busy(
        "not durable after " + timeoutMs + " ms", what, "wait longer, or look at agent status");
  }

  private Answer.Report report(Request.Report report) {
    Trainer mine = greeted();
    Which which = Which.parse(report.which(), run().key() + "@" + report.which());
    return run()
        .facts()
        .report(
            mine.member().start(),
            which,
            report.metrics(),
            id -> {
              synchronized (roster) {
                return mine.open.containsKey(id)
                    || mine.earlier(id).filter(Ended.Committed.class::isInstance).isPresent();
              }
            });
  }

  private Answer.Ok close() {
    Trainer mine = greeted();
    synchronized (roster) {
      mine.closed = true;
      mine.segments.forEach(LiveSegment::retire);
    }
    roster.sweep();
    return new Answer.Ok();
  }

  private Answer.Free free(@Nullable String store, @Nullable String run) {
    RunKey of = store == null || run == null ? null : new RunKey(Path.of(store), run);
    return agent.leftovers().free(of);
  }

  private Answer.Ok rate(Request.Rate rate) {
    agent.rate(new RunKey(Path.of(rate.store()), rate.run()), rate);
    return new Answer.Ok();
  }

  private static CheckpointId checkpoint(String text) {
    return CheckpointId.find(text)
        .orElseThrow(() ->
            new KeepstoneException.Refused(
                "expected an id as in 3-500, found \"" + text + "\"",
                "the agent's socket",
                "send an id"));
  }
}
