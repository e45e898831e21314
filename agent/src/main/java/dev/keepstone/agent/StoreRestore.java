package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.memory.SharedFile;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.store.hold.ReaderHold;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.StateObject;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.restore.RestorePlan;
import dev.keepstone.store.restore.RestoreStream;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.shard.Span;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A restore from the store: checked bytes, read ahead through a window of shared memory. While it
/// lasts, a hold keeps the checkpoint from being deleted.
final class StoreRestore implements Restore {
  /// Bytes of the window: four spans, two in the client's hands and two being read.
  private static final long WINDOW_BYTES = 4L * Span.SLOT_BYTES;

  private final ReaderHold hold;
  private final Thread renewal;
  private final LiveRun live;
  private final EventLog events;
  private final CheckpointId id;
  private final RestorePlan plan;
  private final SharedFile window;
  private final RestoreStream stream;
  private final Answer.Open opened;
  private boolean closed;

  private StoreRestore(
      LiveRun live, CheckpointId id, ReaderHold hold, Path file, int rank, EventLog events) {
    this.live = live;
    this.id = id;
    this.hold = hold;
    this.events = events;
    Run run = live.open();
    Manifest manifest = run.manifest(id);
    List<Part> parts = run.parts(manifest);
    this.plan = RestorePlan.of(parts);
    Answer.Window place = new Answer.Window(file.toString(), WINDOW_BYTES, Span.SLOT_BYTES);
    this.opened =
        new Answer.Open(
            id.toString(),
            id.step(),
            parts.size(),
            parts.getFirst().metrics(),
            pieces(plan),
            state(run, parts.get(rank < parts.size() ? rank : 0)).tree(),
            new Answer.Source.Store(plan.total(), place));
    this.window = SharedFile.create(file, WINDOW_BYTES);
    this.stream = RestoreStream.open(run.tier(), run.names(), id, plan, window.bytes());
    this.renewal = Thread.ofVirtual().name("hold-" + id).start(this::renew);
  }

  /// Begins a restore.
  ///
  /// @param file the window's; one that an earlier restore left is removed
  /// @param nonce of the hold
  /// @param rank whose state tree is wanted
  static StoreRestore open(
      LiveRun live, CheckpointId id, Path file, String nonce, int rank, EventLog events) {
    ReaderHold hold = ReaderHold.take(live.open(), id, nonce);
    boolean begun = false;
    try {
      remove(file);
      StoreRestore restore = new StoreRestore(live, id, hold, file, rank, events);
      begun = true;
      return restore;
    } catch (KeepstoneException.Integrity e) {
      live.condemn(id, e);
      throw e;
    } finally {
      if (!begun) {
        hold.close();
      }
    }
  }

  private static void remove(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw KeepstoneException.from(e, "remove an old window", file.toString());
    }
  }

  private static List<Answer.OpenedPiece> pieces(RestorePlan plan) {
    return plan.places().stream()
        .map(place ->
            new Answer.OpenedPiece(
                new RegisteredPiece(place.component(), place.piece()), place.at()))
        .toList();
  }

  private static StateObject state(Run run, Part part) {
    String name = run.names().file(part.id(), part.state().file());
    String on = run.tier().describe(name);
    byte @Nullable [] bytes = run.tier().read(name).orElse(null);
    if (bytes == null
        || bytes.length != part.state().bytes()
        || Crc32.of(bytes, 0, bytes.length) != part.state().crc32()) {
      throw new KeepstoneException.Integrity(
          "expected a state tree of "
              + part.state().bytes()
              + " bytes and crc32 "
              + Crc32.hex(part.state().crc32())
              + ", found "
              + (bytes == null
                  ? "none"
                  : bytes.length + " of " + Crc32.hex(Crc32.of(bytes, 0, bytes.length))),
          on,
          "restore an earlier checkpoint, or bring back a good copy of this file");
    }
    return StateObject.decode(bytes, on);
  }

  private void renew() {
    try {
      while (true) {
        Thread.sleep(ReaderHold.RENEW_EVERY);
        hold.renew();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (KeepstoneException e) {
      events.note("the hold on " + live.key() + "@" + id + " was not renewed: " + e.what());
    }
  }

  @Override
  public Answer.Open opened() {
    return opened;
  }

  @Override
  public Answer.Next next() {
    RestoreStream.Answer answer;
    try {
      answer = stream.next();
    } catch (KeepstoneException.Integrity e) {
      // Before the client hears of it: the start it makes next has to pass this one over.
      live.condemn(id, e);
      throw e;
    }
    if (answer.end()) {
      events.add(
          "restored", live.fields(id).put("from", "store").put("bytes", plan.total()).build());
    }
    return new Answer.Next(
        answer.chunks().stream()
            .map(chunk -> new Answer.Chunk(chunk.at(), chunk.bytes(), chunk.in()))
            .toList(),
        answer.end());
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    stream.close();
    window.unlink();
    window.close();
    renewal.interrupt();
    try {
      hold.close();
    } catch (KeepstoneException e) {
      // One that stays is taken for dead after a grace.
      events.note("the hold on " + live.key() + "@" + id + " stays: " + e.what());
    }
  }
}
