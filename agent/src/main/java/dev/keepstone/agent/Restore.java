package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.reshard.Need;
import dev.keepstone.core.reshard.Wanted;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.store.restore.RestorePlan;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// One restore of one connection (docs/spec/wire.md "open", "want", "next", "done"): what lies in
/// sealed generations on this node the client copies from there, the rest comes checked through a
/// window.
final class Restore implements AutoCloseable {
  private final OpenedCheckpoint checkpoint;
  private final EventLog events;
  private final Answer.Open opened;

  private final Restores.Joining joining;
  private final Runnable release;
  private SharedReading.@Nullable Member member;
  private long bytes;
  private boolean wants;
  private boolean ended;
  private boolean closed;

  /// @param rank of the client
  /// @param world ranks of the client's launch
  /// @param release called once at the end
  Restore(
      OpenedCheckpoint checkpoint,
      int rank,
      int world,
      Restores.Joining joining,
      EventLog events,
      Runnable release) {
    this.checkpoint = checkpoint;
    this.events = events;
    this.joining = joining;
    this.release = release;
    this.opened = checkpoint.answer(rank, world);
  }

  /// What the checkpoint holds.
  Answer.Open opened() {
    return opened;
  }

  /// Where all that is wanted comes from.
  ///
  /// @throws KeepstoneException.Refused where that was said before, or cannot be
  Answer.Want want(List<Wanted> wanted) {
    if (wants) {
      throw new KeepstoneException.Refused(
          "what is wanted was said before", opened.id(), "open the checkpoint again");
    }
    List<Need> needs = checkpoint.needs(wanted);
    wants = true;
    List<Need> stored = needs.stream().filter(need -> !checkpoint.inMemory(need.piece())).toList();
    RestorePlan plan = RestorePlan.of(stored, checkpoint::receipt);
    List<Answer.SavedPiece> pieces = new ArrayList<>(needs.size());
    int inStream = 0;
    for (Need need : needs) {
      boolean streamed = !checkpoint.inMemory(need.piece());
      long at = streamed ? plan.places().get(inStream++).at() : 0;
      pieces.add(checkpoint.piece(need.piece(), at));
      bytes += checkpoint.bytes(need);
    }
    SharedReading.Member joined = joining.join(plan);
    member = joined;
    if (plan.places().isEmpty()) {
      restored("memory");
      return new Answer.Want(checkpoint.sources(), pieces, 0, null);
    }
    return new Answer.Want(checkpoint.sources(), pieces, plan.total(), joined.window());
  }

  /// The next chunks.
  ///
  /// @throws KeepstoneException.Integrity where bytes are not what they were
  /// @throws KeepstoneException.Busy where others could not wait for this client any longer
  Answer.Next next() throws InterruptedException {
    SharedReading.Member mine = member;
    if (mine == null) {
      throw new KeepstoneException.Refused(
          "nothing is wanted yet", opened.id(), "send \"want\" first");
    }
    Answer.Next next;
    try {
      next = mine.next();
    } catch (KeepstoneException.Integrity e) {
      // Before the client hears of it: the start it makes next has to pass this one over.
      checkpoint.condemn(e);
      throw e;
    } catch (KeepstoneException.Busy e) {
      joining.slow();
      throw e;
    }
    if (next.end()) {
      restored("store");
    }
    return next;
  }

  private void restored(String from) {
    if (!ended) {
      ended = true;
      Json.Obj fields = checkpoint.fields().put("from", from).put("bytes", bytes).build();
      events.add("restored", fields);
    }
  }

  /// Ends it: nothing is pinned, held or mapped for it any more. May be called twice.
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    SharedReading.Member mine = member;
    if (mine != null) {
      mine.leave();
    }
    release.run();
  }
}
