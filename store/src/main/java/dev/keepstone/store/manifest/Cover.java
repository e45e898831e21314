package dev.keepstone.store.manifest;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The proof that the pieces of a checkpoint are its tensors: every element of every tensor lies in
/// exactly one piece.
///
/// A box that is cut into boxes along grid lines is taken apart the same way, recursively: along
/// some dimension the pieces fall into groups that no piece crosses. That is near linear for every
/// sharding that frameworks make; what cannot be cut so is compared pairwise, with its volume.
final class Cover {
  private Cover() {}

  /// @param parts one of each rank
  /// @throws KeepstoneException.Integrity naming the tensor and the hole, overlap or contradiction
  public static void prove(List<Part> parts) {
    Map<Key, Gathered> tensors = new LinkedHashMap<>();
    for (Part part : parts) {
      for (ShardReceipt shard : part.shards()) {
        for (PieceReceipt receipt : shard.pieces()) {
          Tensor tensor = receipt.piece().tensor();
          Source source = new Source(receipt.piece().slice(), part.rank(), shard.file());
          Gathered gathered =
              tensors.computeIfAbsent(
                  new Key(shard.component(), tensor.name()),
                  key -> new Gathered(tensor, source, new ArrayList<>()));
          if (!gathered.tensor.equals(tensor)) {
            throw defect(
                tensor,
                shard.component(),
                "is "
                    + gathered.tensor.dtype()
                    + gathered.tensor.shape()
                    + " in "
                    + gathered.first.file
                    + " and "
                    + tensor.dtype()
                    + tensor.shape()
                    + " in "
                    + shard.file(),
                parts);
          }
          gathered.sources.add(source);
        }
      }
    }
    tensors.forEach((key, gathered) -> {
      String found = gap(gathered);
      if (found != null) {
        throw defect(gathered.tensor, key.component, found, parts);
      }
    });
  }

  private record Key(String component, String name) {}

  private record Gathered(Tensor tensor, Source first, List<Source> sources) {}

  private record Source(Slice slice, int rank, String file) {}

  private static KeepstoneException.Integrity defect(
      Tensor tensor, String component, String found, List<Part> parts) {
    return new KeepstoneException.Integrity(
        "the parts do not make up tensor \"" + tensor.name() + "\" of " + component + ": " + found,
        "checkpoint " + parts.getFirst().id(),
        "save again; if it happens again, the trainer's ranks describe different shardings");
  }

  private static @Nullable String gap(Gathered gathered) {
    Slice whole = Slice.whole(gathered.tensor.shape());
    List<Source> full =
        gathered.sources.stream().filter(s -> s.slice.extent().elementCount() > 0).toList();
    if (whole.extent().elementCount() == 0) {
      return null;
    }
    return full.isEmpty() ? hole(whole) : gap(whole, full);
  }

  private static @Nullable String gap(Slice region, List<Source> sources) {
    if (sources.size() == 1) {
      return sources.getFirst().slice.equals(region)
          ? null
          : hole(region) + ", of which only " + box(sources.getFirst().slice) + " is there";
    }
    for (int d = 0; d < region.offset().size(); d++) {
      List<List<Source>> groups = groups(sources, d);
      if (groups.size() > 1) {
        return gap(region, groups, d);
      }
    }
    return pairwise(region, sources);
  }

  /// The sources in runs along a dimension, cut wherever nothing crosses.
  private static List<List<Source>> groups(List<Source> sources, int d) {
    List<Source> sorted =
        sources.stream()
            .sorted(Comparator.comparingLong(source -> source.slice.offset().get(d)))
            .toList();
    List<List<Source>> groups = new ArrayList<>();
    long end = Long.MIN_VALUE;
    for (Source source : sorted) {
      long from = source.slice.offset().get(d);
      if (from >= end) {
        groups.add(new ArrayList<>());
      }
      groups.getLast().add(source);
      end = Math.max(end, end(source.slice, d));
    }
    return groups;
  }

  private static @Nullable String gap(Slice region, List<List<Source>> groups, int d) {
    long at = region.offset().get(d);
    for (List<Source> group : groups) {
      long from = group.getFirst().slice.offset().get(d);
      long to = group.stream().mapToLong(source -> end(source.slice, d)).max().orElseThrow();
      if (from > at) {
        return hole(narrow(region, d, at, from));
      }
      String found = gap(narrow(region, d, from, to), group);
      if (found != null) {
        return found;
      }
      at = to;
    }
    return at < end(region, d) ? hole(narrow(region, d, at, end(region, d))) : null;
  }

  private static @Nullable String pairwise(Slice region, List<Source> sources) {
    long elements = 0;
    for (int i = 0; i < sources.size(); i++) {
      Source a = sources.get(i);
      for (int j = i + 1; j < sources.size(); j++) {
        Source b = sources.get(j);
        if (overlap(a.slice, b.slice)) {
          return "it overlaps: " + describe(a) + " and " + describe(b);
        }
      }
      elements += a.slice.extent().elementCount();
    }
    return elements == region.extent().elementCount()
        ? null
        : hole(region)
            + ", of which only "
            + elements
            + " of "
            + region.extent().elementCount()
            + " elements are there";
  }

  private static boolean overlap(Slice a, Slice b) {
    for (int d = 0; d < a.offset().size(); d++) {
      if (a.offset().get(d) >= end(b, d) || b.offset().get(d) >= end(a, d)) {
        return false;
      }
    }
    return true;
  }

  private static long end(Slice slice, int d) {
    return slice.offset().get(d) + slice.extent().extent(d);
  }

  private static Slice narrow(Slice region, int d, long from, long to) {
    List<Long> offset = new ArrayList<>(region.offset());
    List<Long> extent = new ArrayList<>(region.extent().extents());
    offset.set(d, from);
    extent.set(d, to - from);
    return new Slice(offset, new Shape(extent));
  }

  private static String hole(Slice region) {
    return "it has a hole: nothing holds all of " + box(region);
  }

  private static String describe(Source source) {
    return box(source.slice) + " of rank " + source.rank + " (" + source.file + ")";
  }

  /// As an index expression: `[0:2, 4:8]`.
  private static String box(Slice slice) {
    List<String> ranges = new ArrayList<>();
    for (int d = 0; d < slice.offset().size(); d++) {
      ranges.add(slice.offset().get(d) + ":" + end(slice, d));
    }
    return ranges.toString();
  }
}
