package dev.keepstone.store.shard;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Granules of a shard that are read by one request, in file order. Between them may lie a little
/// that is read with them and not wanted.
///
/// @param granules at least one
public record Span(ShardReceipt shard, List<Granule> granules) {
  /// Bytes of memory that reading a span takes: what disks like best in one request, blocks at both
  /// ends included.
  public static final int SLOT_BYTES = 8 << 20;

  /// What lies between wanted granules and is smaller than this is read with them: a request of its
  /// own for each would take longer.
  private static final long GAP_BYTES = 64 << 10;

  /// At most a 32nd of what is wanted of a shard is read besides.
  private static final int WANTED_PER_GAP = 32;

  private static final BitSet NONE = new BitSet(0);

  public Span {
    granules = List.copyOf(granules);
  }

  /// All tensor bytes of a shard, in file order, cut at granules.
  public static Stream<Span> of(ShardReceipt shard) {
    return of(shard, piece -> all(Math.toIntExact(Granules.count(piece.bytes()))));
  }

  private static BitSet all(int granules) {
    BitSet all = new BitSet(granules);
    all.set(0, granules);
    return all;
  }

  /// What is wanted of a shard, in file order, cut at granules.
  ///
  /// @param wanted which granules of each piece; null for none
  public static Stream<Span> of(
      ShardReceipt shard, Function<PieceReceipt, @Nullable BitSet> wanted) {
    List<Span> spans = new ArrayList<>();
    List<Granule> granules = new ArrayList<>();
    long taken = 0;
    long gaps = 0;
    for (PieceReceipt piece : shard.pieces()) {
      BitSet bits = Objects.requireNonNullElse(wanted.apply(piece), NONE);
      for (int g = bits.nextSetBit(0); g >= 0; g = bits.nextSetBit(g + 1)) {
        Granule granule = granule(piece, g);
        if (!granules.isEmpty()) {
          long gap = granule.begin() - granules.getLast().end();
          boolean apart =
              gap > GAP_BYTES || gap > 0 && gaps + gap > (taken + granule.bytes()) / WANTED_PER_GAP;
          if (apart || blockEnd(granule.end()) - block(granules.getFirst().begin()) > SLOT_BYTES) {
            spans.add(new Span(shard, granules));
            granules.clear();
          } else {
            gaps += gap;
          }
        }
        granules.add(granule);
        taken += granule.bytes();
      }
    }
    if (!granules.isEmpty()) {
      spans.add(new Span(shard, granules));
    }
    return spans.stream();
  }

  private static Granule granule(PieceReceipt piece, int g) {
    long begin = piece.at() + (long) g * Granules.BYTES;
    long end = Math.min(begin + Granules.BYTES, piece.at() + piece.bytes());
    return new Granule(piece, begin, end, Crc32.parse(piece.crcs().substring(8 * g, 8 * g + 8)));
  }

  private static long block(long position) {
    return position - position % OpenFile.ALIGNMENT;
  }

  private static long blockEnd(long position) {
    return block(position + OpenFile.ALIGNMENT - 1);
  }

  /// Where it begins in the file.
  public long begin() {
    return granules.getFirst().begin();
  }

  /// After its last byte in the file.
  public long end() {
    return granules.getLast().end();
  }

  /// Bytes from the first wanted one to the last.
  public long bytes() {
    return end() - begin();
  }

  /// Reads whole blocks, so that the request may go around the page cache.
  ///
  /// @param slot at least [#SLOT_BYTES], at a multiple of [OpenFile#ALIGNMENT]
  /// @return the part of `slot` that holds this span's bytes; shorter than it where the file ends
  ///   before
  public MemorySegment read(OpenFile file, MemorySegment slot) throws IOException {
    long from = block(begin());
    long count = file.read(from, slot.asSlice(0, blockEnd(end()) - from));
    long lead = begin() - from;
    return slot.asSlice(Math.min(lead, count), Math.clamp(count - lead, 0, bytes()));
  }

  /// The granules of this whose bytes are not what was stored, each with what is wrong.
  ///
  /// @param bytes what [#read] gave
  public List<Mismatch> check(MemorySegment bytes) {
    List<Mismatch> mismatches = new ArrayList<>();
    for (Granule granule : granules) {
      long at = Math.min(granule.begin() - begin(), bytes.byteSize());
      long present = Math.min(granule.bytes(), bytes.byteSize() - at);
      int found = Crc32.of(bytes.asSlice(at, present));
      if (present < granule.bytes() || found != granule.crc32()) {
        mismatches.add(new Mismatch(granule, found));
      }
    }
    return mismatches;
  }

  /// A granule that is not what was stored.
  ///
  /// @param found the checksum of the bytes that are there
  public record Mismatch(Granule granule, int found) {
    /// For people: byte range, both checksums, tensor and elements.
    public String what() {
      return granule.mismatch(found);
    }
  }
}
