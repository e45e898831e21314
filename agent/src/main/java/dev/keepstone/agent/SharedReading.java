package dev.keepstone.agent;

import dev.keepstone.segment.memory.SharedFile;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.store.restore.RestorePlan;
import dev.keepstone.store.restore.RestoreStream;
import dev.keepstone.store.shard.Span;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/// Ranks of one start on one node that read a checkpoint together, through one window: each granule
/// is read once and given to every rank that wants it. One rank alone is the same with one member.
///
/// It gathers until all ranks that were announced have said what they want, or for [#GATHER_MILLIS]
/// from when the first of them wants bytes.
final class SharedReading {
  static final long GATHER_MILLIS = TimeUnit.SECONDS.toMillis(10);

  /// Spans of the window for one: two in its hands and two being read.
  private static final int SLOTS = 4;

  /// For several: two answers in the hands of the slowest and as much being read.
  private static final int SHARED_SLOTS = 8;

  private final OpenedCheckpoint checkpoint;
  private final int expected;
  private final Path file;
  private final LongSupplier nanos;
  private final List<Member> members = new ArrayList<>();
  private int arrived;
  private boolean begun;
  private @Nullable SharedFile window;
  private @Nullable RestoreStream stream;

  /// @param expected ranks that will say what they want
  /// @param file the window's
  /// @param nanos monotonic
  SharedReading(OpenedCheckpoint checkpoint, int expected, Path file, LongSupplier nanos) {
    this.checkpoint = checkpoint;
    this.expected = expected;
    this.file = file;
    this.nanos = nanos;
  }

  /// One rank of it.
  final class Member {
    private final RestorePlan plan;
    private int reader = -1;
    private boolean left;

    private Member(RestorePlan plan) {
      this.plan = plan;
    }

    /// Through which its bytes come.
    Answer.Window window() {
      return new Answer.Window(file.toString(), slots() * (long) Span.SLOT_BYTES, Span.SLOT_BYTES);
    }

    /// The next chunks of its stream.
    Answer.Next next() throws InterruptedException {
      if (plan.places().isEmpty()) {
        return new Answer.Next(List.of(), true);
      }
      RestoreStream.Answer answer = begin().next(reader);
      return new Answer.Next(
          answer.chunks().stream()
              .map(chunk -> new Answer.Chunk(chunk.at(), chunk.bytes(), chunk.in()))
              .toList(),
          answer.end());
    }

    /// It wants nothing more.
    void leave() {
      SharedReading.this.leave(this);
    }
  }

  private int slots() {
    return expected == 1 ? SLOTS : SHARED_SLOTS;
  }

  /// Another rank.
  ///
  /// @param plan what it wants from the store, perhaps nothing
  /// @return empty where reading has begun without it
  synchronized Optional<Member> join(RestorePlan plan) {
    if (begun) {
      return Optional.empty();
    }
    Member member = new Member(plan);
    if (window == null && !plan.places().isEmpty()) {
      window = SharedFile.create(file, slots() * (long) Span.SLOT_BYTES);
    }
    arrived++;
    members.add(member);
    notifyAll();
    return Optional.of(member);
  }

  /// Whether reading has begun, so that nobody can join any more.
  synchronized boolean begun() {
    return begun;
  }

  /// Waits for the others, then reads.
  private synchronized RestoreStream begin() throws InterruptedException {
    long asked = nanos.getAsLong();
    while (!begun && arrived < expected) {
      long left = GATHER_MILLIS - TimeUnit.NANOSECONDS.toMillis(nanos.getAsLong() - asked);
      if (left <= 0) {
        break;
      }
      wait(left);
    }
    RestoreStream reading = stream;
    SharedFile into = window;
    if (reading == null) {
      if (into == null) {
        throw new IllegalStateException("nobody wants bytes of the store");
      }
      begun = true;
      List<RestorePlan> plans = new ArrayList<>();
      for (Member member : members) {
        if (!member.left && !member.plan.places().isEmpty()) {
          member.reader = plans.size();
          plans.add(member.plan);
        }
      }
      reading =
          RestoreStream.open(
              checkpoint.stream(),
              plans,
              into.bytes(),
              new RestoreStream.Patience(RestoreStream.PATIENCE, nanos));
      stream = reading;
      notifyAll();
    }
    return reading;
  }

  private void leave(Member member) {
    RestoreStream reading;
    SharedFile into;
    synchronized (this) {
      if (member.left) {
        return;
      }
      member.left = true;
      if (stream != null && member.reader >= 0) {
        stream.leave(member.reader);
      }
      boolean nothingYet = !begun && window == null;
      if (nothingYet || members.stream().anyMatch(other -> !other.left)) {
        return;
      }
      begun = true;
      reading = stream;
      into = window;
      window = null;
    }
    if (reading != null) {
      reading.close();
    }
    if (into != null) {
      into.unlink();
      into.close();
    }
  }
}
