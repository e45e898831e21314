package dev.keepstone.segment.wire;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.reshard.Wanted;
import dev.keepstone.segment.layout.LayoutRequest;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What a client asks of the agent: one record per verb of docs/spec/wire.md. Each knows the type
/// of its [Answer], so that who asks gets it without a cast.
public sealed interface Request<A extends Answer> {
  /// The word after `"do"`.
  String verb();

  /// Reads the answer to this request.
  A readAnswer(Json.Obj frame);

  /// Greets: first on every connection of a trainer.
  ///
  /// @param client 16 hex digits; `<client>.lock` is locked before this
  /// @param sealed the last generation sealed in its newest segment, 0 for none
  record Hello(String client, long pid, String version, long sealed)
      implements Request<Answer.Hello> {
    @Override
    public String verb() {
      return "hello";
    }

    @Override
    public Answer.Hello readAnswer(Json.Obj frame) {
      return AnswerCodec.hello(frame);
    }
  }

  /// Announces or joins a start and decides its parent.
  ///
  /// @param token shared by all ranks of one launch, new for every launch
  /// @param wanted `latest`, `must`, `fresh`, or which checkpoint
  /// @param policy the retention policy; `keep_last` is known
  /// @param node name of the rank's machine, for people; may be empty
  /// @param local ranks of this launch on that machine, 1 where that is not known
  /// @param commitTimeoutMs how long an attempt waits for the parts of all ranks
  record Start(
      String store,
      String run,
      String token,
      int rank,
      int world,
      String wanted,
      Json.Obj policy,
      String node,
      int local,
      long commitTimeoutMs)
      implements Request<Answer.Start> {
    @Override
    public String verb() {
      return "start";
    }

    @Override
    public Answer.Start readAnswer(Json.Obj frame) {
      return AnswerCodec.start(frame);
    }
  }

  /// Begins a restore of a visible checkpoint.
  record Open(String id) implements Request<Answer.Open> {
    @Override
    public String verb() {
      return "open";
    }

    @Override
    public Answer.Open readAnswer(Json.Obj frame) {
      return RestoreCodec.open(frame);
    }
  }

  /// Says what of the opened checkpoint is wanted: once per [Open], before the first [Next].
  ///
  /// @param tensors each at most once, by its index in the answer to [Open]
  record Want(List<Wanted> tensors) implements Request<Answer.Want> {
    public Want {
      tensors = List.copyOf(tensors);
    }

    @Override
    public String verb() {
      return "want";
    }

    @Override
    public Answer.Want readAnswer(Json.Obj frame) {
      return RestoreCodec.want(frame);
    }
  }

  /// Asks for the next chunks of the restore and gives back those handed out before.
  record Next() implements Request<Answer.Next> {
    @Override
    public String verb() {
      return "next";
    }

    @Override
    public Answer.Next readAnswer(Json.Obj frame) {
      return RestoreCodec.next(frame);
    }
  }

  /// Ends the restore.
  record Done() implements Request<Answer.Ok> {
    @Override
    public String verb() {
      return "done";
    }

    @Override
    public Answer.Ok readAnswer(Json.Obj frame) {
      return AnswerCodec.ok(frame);
    }
  }

  /// Registers a layout.
  ///
  /// @param slots 2 to 16
  /// @param budget bytes for all segments of this run on this node; null for the agent's own
  /// @param limitRate drain limit in bytes per second; null for none
  /// @param timeoutMs how long to wait for the space of an older layout
  record Register(
      LayoutRequest layout,
      int slots,
      @Nullable Long budget,
      @Nullable Long limitRate,
      long timeoutMs)
      implements Request<Answer.Register> {
    @Override
    public String verb() {
      return "register";
    }

    @Override
    public Answer.Register readAnswer(Json.Obj frame) {
      return AnswerCodec.register(frame);
    }
  }

  /// Waits until a slot is lent.
  record Lend(long timeoutMs) implements Request<Answer.Lend> {
    @Override
    public String verb() {
      return "lend";
    }

    @Override
    public Answer.Lend readAnswer(Json.Obj frame) {
      return AnswerCodec.lend(frame);
    }
  }

  /// Announces a sealed generation.
  record Sealed(int layout, int slot, long generation, long step)
      implements Request<Answer.Sealed> {
    @Override
    public String verb() {
      return "sealed";
    }

    @Override
    public Answer.Sealed readAnswer(Json.Obj frame) {
      return AnswerCodec.sealed(frame);
    }
  }

  /// Says that a save of this step did not happen here.
  ///
  /// @param why as in the refusal object of docs/spec/store.md
  record Refuse(long step, String why, String detail) implements Request<Answer.Ok> {
    @Override
    public String verb() {
      return "refuse";
    }

    @Override
    public Answer.Ok readAnswer(Json.Obj frame) {
      return AnswerCodec.ok(frame);
    }
  }

  /// Waits until a checkpoint has ended.
  ///
  /// @param id null for all of this client's
  record Wait(@Nullable String id, long timeoutMs) implements Request<Answer.Wait> {
    @Override
    public String verb() {
      return "wait";
    }

    @Override
    public Answer.Wait readAnswer(Json.Obj frame) {
      return AnswerCodec.waited(frame);
    }
  }

  /// Lets this client's segments go once durable.
  record Close() implements Request<Answer.Ok> {
    @Override
    public String verb() {
      return "close";
    }

    @Override
    public Answer.Ok readAnswer(Json.Obj frame) {
      return AnswerCodec.ok(frame);
    }
  }

  /// Asks what the agent is doing; for people.
  record Status() implements Request<Answer.Status> {
    @Override
    public String verb() {
      return "status";
    }

    @Override
    public Answer.Status readAnswer(Json.Obj frame) {
      return AnswerCodec.status(frame);
    }
  }

  /// Asks for the agent's figures, as scrapers read them.
  record Metrics() implements Request<Answer.Metrics> {
    @Override
    public String verb() {
      return "metrics";
    }

    @Override
    public Answer.Metrics readAnswer(Json.Obj frame) {
      return AnswerCodec.metrics(frame);
    }
  }

  /// Frees what dead trainers left in memory and is durable.
  ///
  /// @param store of one run; null for all
  /// @param run null for all
  record Free(@Nullable String store, @Nullable String run) implements Request<Answer.Free> {
    @Override
    public String verb() {
      return "free";
    }

    @Override
    public Answer.Free readAnswer(Json.Obj frame) {
      return AnswerCodec.free(frame);
    }
  }

  /// Turns the connection into a stream of [Event]s.
  ///
  /// @param after the last sequence already seen, 0 for all that is remembered
  record Events(long after) implements Request<Answer.Ok> {
    @Override
    public String verb() {
      return "events";
    }

    @Override
    public Answer.Ok readAnswer(Json.Obj frame) {
      return AnswerCodec.ok(frame);
    }
  }

  /// Asks for a save by all ranks, or says that this one is past the step that was agreed upon, or
  /// only asks what is due.
  ///
  /// @param step steps done
  /// @param graceMs how long this rank has; null where nobody sent it a signal
  /// @param missed the due step that it has passed; null for none
  record Preempt(long step, @Nullable Long graceMs, @Nullable Long missed)
      implements Request<Answer.Preempt> {
    @Override
    public String verb() {
      return "preempt";
    }

    @Override
    public Answer.Preempt readAnswer(Json.Obj frame) {
      return AnswerCodec.preempt(frame);
    }
  }

  /// Metrics of a checkpoint that came after its save.
  ///
  /// @param which a step, an id, or any other choice of a reference
  /// @param metrics numbers; those that are not finite in the state tree's form
  record Report(String which, Json.Obj metrics) implements Request<Answer.Report> {
    @Override
    public String verb() {
      return "report";
    }

    @Override
    public Answer.Report readAnswer(Json.Obj frame) {
      return AnswerCodec.report(frame);
    }
  }

  /// Sets how fast a run's drains go.
  ///
  /// @param limitRate bytes per second; null for no limit
  /// @param gentle whether they run at low priority; null leaves that as it is
  record Rate(String store, String run, @Nullable Long limitRate, @Nullable Boolean gentle)
      implements Request<Answer.Ok> {
    @Override
    public String verb() {
      return "rate";
    }

    @Override
    public Answer.Ok readAnswer(Json.Obj frame) {
      return AnswerCodec.ok(frame);
    }
  }

  /// Ends the agent.
  ///
  /// @param now at once, leaving segments for the next agent; else after draining what is sealed
  record Stop(boolean now) implements Request<Answer.Ok> {
    @Override
    public String verb() {
      return "stop";
    }

    @Override
    public Answer.Ok readAnswer(Json.Obj frame) {
      return AnswerCodec.ok(frame);
    }
  }
}
