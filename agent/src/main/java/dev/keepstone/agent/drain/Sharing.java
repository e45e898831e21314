package dev.keepstone.agent.drain;

import dev.keepstone.core.tensor.Piece;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.file.SegmentFile;
import dev.keepstone.segment.layout.Layout;
import dev.keepstone.segment.layout.PiecePlace;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.layout.ShardPlace;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// What is known of the bytes of one segment: which file holds those of each shard, and which
/// pieces do not change (docs/spec/segment.md §5.1).
///
/// One thread compares and learns; any thread asks. Nothing is compared while a monitor is held.
public final class Sharing {
  /// Equal comparisons one after another that make a piece steady.
  private static final int STEADY = 3;

  /// As many it takes at most, for a piece that has changed after all again and again.
  private static final int MOST_STEADY = 1024;

  /// Saves under a layout before another one may be asked for; doubled by each that was asked for.
  private static final int LEAST_SAVES = 4;

  private static final int MOST_DOUBLINGS = 10;

  /// Comparisons that are left out at most where next to nothing was found equal: the slot of the
  /// generation before is then lent again without waiting for its turn.
  private static final int LONGEST_PAUSE = 16;

  private static final long LEAST_GAIN = 1 << 20;
  private static final int GAIN_SHARE = 100;

  /// The JVM cannot stop for a collection while one comparison runs.
  private static final long STRIDE_BYTES = 8L << 20;

  private final Layout layout;
  private final List<List<Integer>> inFile = new ArrayList<>();
  private final @Nullable Owner[] owners;
  private final int[] equal;
  private final int[] needed;
  private final int layouts;
  private int saves;
  private int pause;
  private int skip;
  private boolean asks;

  /// A generation that is still in memory.
  ///
  /// @param sharing of its segment
  public record Image(SegmentFile file, int slot, long generation, Sharing sharing) {}

  /// @param before that of the segment which this one follows; what it saw of pieces goes on
  public Sharing(Layout layout, @Nullable Sharing before) {
    this.layout = layout;
    for (int shard = 0; shard < layout.shards().size(); shard++) {
      inFile.add(layout.fileOrder(shard));
    }
    this.owners = new Owner[layout.shards().size()];
    this.equal = new int[layout.pieces().size()];
    this.needed = new int[layout.pieces().size()];
    this.layouts = before == null ? 0 : before.layouts + (before.asks() ? 1 : 0);
    Arrays.fill(needed, STEADY);
    if (before != null) {
      Map<RegisteredPiece, int[]> known = before.known();
      for (int i = 0; i < equal.length; i++) {
        int[] counts = known.get(layout.registered(layout.pieces().get(i)));
        if (counts != null) {
          equal[i] = counts[0];
          needed[i] = counts[1];
        }
      }
    }
  }

  private synchronized Map<RegisteredPiece, int[]> known() {
    Map<RegisteredPiece, int[]> known = new HashMap<>();
    for (int i = 0; i < equal.length; i++) {
      known.put(layout.registered(layout.pieces().get(i)), new int[] {equal[i], needed[i]});
    }
    return known;
  }

  /// The pieces that have not changed for long, frozen ones apart: what the next layout keeps
  /// together.
  public synchronized Set<RegisteredPiece> steady() {
    Set<RegisteredPiece> steady = new HashSet<>();
    for (int i = 0; i < equal.length; i++) {
      if (equal[i] >= needed[i]) {
        steady.add(layout.registered(layout.pieces().get(i)));
      }
    }
    return steady;
  }

  /// Whether another layout would save enough.
  public synchronized boolean asks() {
    return asks;
  }

  /// Whether the generation before the next one is worth keeping for a comparison. To be asked once
  /// for each generation.
  public synchronized boolean wantsComparison() {
    if (skip > 0) {
      skip--;
      return false;
    }
    return true;
  }

  /// Compares a generation with the one before it.
  ///
  /// @param previous null where it is not to be had any more
  /// @return for each shard the file that holds its bytes, or null where none is known
  public List<@Nullable Owner> compare(
      SegmentFile file, SealRecord seal, @Nullable Image previous) {
    List<@Nullable Owner> found = new ArrayList<>();
    boolean[] same = new boolean[equal.length];
    boolean[] compared = new boolean[equal.length];
    for (int shard = 0; shard < layout.shards().size(); shard++) {
      Owner owner = layout.shards().get(shard).constant() ? owner(shard) : null;
      if (owner == null && previous != null) {
        owner = compare(file, seal, previous, shard, same, compared);
      }
      found.add(owner == null ? null : owner.at(seal.generation()));
    }
    synchronized (this) {
      for (int shard = 0; shard < owners.length; shard++) {
        owners[shard] = found.get(shard);
      }
      if (previous != null && previous.sharing == this) {
        count(same, compared);
      }
      saves++;
      asks = saves >= LEAST_SAVES << Math.min(layouts, MOST_DOUBLINGS) && gains(found);
    }
    return found;
  }

  private synchronized @Nullable Owner owner(int shard) {
    return owners[shard];
  }

  private @Nullable Owner compare(
      SegmentFile file,
      SealRecord seal,
      Image previous,
      int shard,
      boolean[] same,
      boolean[] compared) {
    int other = previous.sharing == this ? shard : previous.sharing.alike(this, shard);
    if (other < 0) {
      return null;
    }
    MemorySegment image = file.shardImage(seal.slot(), shard);
    MemorySegment before = previous.file.shardImage(previous.slot, other);
    ShardPlace place = layout.shards().get(shard);
    boolean all = true;
    for (int piece : inFile.get(shard)) {
      PiecePlace lies = layout.pieces().get(piece);
      compared[piece] = true;
      same[piece] = equal(image, before, lies.at() - place.offset(), lies.end() - place.offset());
      all &= same[piece];
    }
    Owner owner = previous.sharing.owner(other);
    boolean known =
        owner != null
            && (owner.generation() == previous.generation
                || previous.sharing.layout.shards().get(other).constant());
    return all && known ? owner : null;
  }

  private static boolean equal(MemorySegment one, MemorySegment other, long from, long to) {
    for (long at = from; at < to; at += STRIDE_BYTES) {
      long end = Math.min(to, at + STRIDE_BYTES);
      if (MemorySegment.mismatch(one, at, end, other, at, end) >= 0) {
        return false;
      }
    }
    return true;
  }

  /// The shard that has the same form as one of another layout, or -1: a file of the one can then
  /// be a file of the other.
  private int alike(Sharing other, int shard) {
    return IntStream.range(0, owners.length)
        .filter(own -> form(own).equals(other.form(shard)))
        .findFirst()
        .orElse(-1);
  }

  /// All that the bytes of a shard depend on besides those of its tensors.
  private record Form(String component, long bytes, long header, List<Piece> pieces) {}

  private Form form(int shard) {
    ShardPlace place = layout.shards().get(shard);
    List<Piece> pieces =
        inFile.get(shard).stream().map(piece -> layout.pieces().get(piece).piece()).toList();
    return new Form(place.component(), place.byteLength(), place.headerBytes(), pieces);
  }

  private void count(boolean[] same, boolean[] compared) {
    long unchanged = 0;
    for (int i = 0; i < equal.length; i++) {
      if (!compared[i]) {
        continue;
      }
      if (same[i]) {
        equal[i]++;
        unchanged += layout.pieces().get(i).piece().byteLength();
      } else {
        if (equal[i] >= needed[i]) {
          needed[i] = Math.min(MOST_STEADY, 2 * needed[i]);
        }
        equal[i] = 0;
      }
    }
    boolean worth = unchanged > layout.capturedLength() / GAIN_SHARE;
    pause = worth ? 0 : Math.clamp(2L * pause, 1, LONGEST_PAUSE);
    skip = pause;
  }

  /// Steady bytes that are written only because they share a shard with others.
  private boolean gains(List<@Nullable Owner> found) {
    long gain = 0;
    for (int shard = 0; shard < found.size(); shard++) {
      if (found.get(shard) == null && !layout.shards().get(shard).constant()) {
        long steady = 0;
        boolean others = false;
        for (int piece : inFile.get(shard)) {
          if (equal[piece] >= needed[piece]) {
            steady += layout.pieces().get(piece).piece().byteLength();
          } else {
            others = true;
          }
        }
        gain += others ? steady : 0;
      }
    }
    return gain >= Math.max(LEAST_GAIN, layout.capturedLength() / GAIN_SHARE);
  }

  /// Whether a constant shard has no known file.
  public boolean lacksConstants() {
    return !unknownConstants().isEmpty();
  }

  /// For each shard the file that holds its bytes of the last generation compared, or null.
  public synchronized List<@Nullable Owner> owners() {
    return Arrays.asList(owners.clone());
  }

  /// The constant shards whose files are not known.
  synchronized List<Integer> unknownConstants() {
    return IntStream.range(0, owners.length)
        .filter(shard -> layout.shards().get(shard).constant() && owners[shard] == null)
        .boxed()
        .toList();
  }

  /// The bytes of a constant shard were compared with this file and are the same.
  synchronized void found(int shard, Owner owner) {
    owners[shard] = owner;
  }

  /// Learns which files hold a generation, from the part of it that stands: ours, or that of an
  /// agent which drained the same generation before.
  public void stored(long generation, Part part) {
    if (part.shards().size() != layout.shards().size()) {
      return;
    }
    for (int shard = 0; shard < layout.shards().size(); shard++) {
      ShardReceipt receipt = part.shards().get(shard);
      if (holds(receipt, shard)) {
        ShardReceipt there = receipt.usedFrom(null);
        synchronized (this) {
          owners[shard] = new Owner(generation, receipt.home(part.id()), there);
        }
      }
    }
  }

  /// Whether a file has the form of a shard of this layout.
  boolean holds(ShardReceipt receipt, int shard) {
    List<Piece> pieces = receipt.pieces().stream().map(PieceReceipt::piece).toList();
    return form(shard)
        .equals(new Form(receipt.component(), receipt.bytes(), receipt.header(), pieces));
  }
}
