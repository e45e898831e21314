package dev.keepstone.store.verify;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.state.StateTree;
import dev.keepstone.core.state.StateTreeException;
import dev.keepstone.store.manifest.Indexes;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PartRecord;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.part.StateObject;
import dev.keepstone.store.part.StoredPart;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.tier.Tier;
import dev.keepstone.store.verify.Problem.Kind;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// One look at one checkpoint. Problems are collected, not thrown: whoever repairs wants all of
/// them.
final class Inspection {
  private static final String UP = "../";

  private final Run run;
  private final Tier tier;
  private final Names names;
  private final CheckpointId id;

  private final List<Problem> problems = new ArrayList<>();
  private final Map<String, Long> sizes = new HashMap<>();
  private final List<Part> parts = new ArrayList<>();
  private long files;
  private long bytes;

  Inspection(Run run, CheckpointId id) {
    this.run = run;
    this.tier = run.tier();
    this.names = run.names();
    this.id = id;
  }

  VerifyReport report(boolean deep) {
    problems.sort(
        Comparator.comparing(Problem::file)
            .thenComparing(Problem::offset, Comparator.nullsFirst(Comparator.naturalOrder())));
    return new VerifyReport(deep, files, bytes, problems);
  }

  synchronized void add(Problem problem) {
    problems.add(problem);
  }

  /// Everything but the bytes of files.
  void objects() {
    start();
    Manifest manifest = sound(names.manifest(id), () -> run.manifest(id));
    if (manifest == null) {
      return;
    }
    for (Disk.Entry entry : tier.entries(names.checkpoint(id))) {
      if (entry.kind() == Disk.Kind.FILE) {
        sizes.put(entry.name(), entry.byteLength());
      }
    }
    List<StoredPart> stored = new ArrayList<>();
    for (int rank = 0; rank < manifest.parts().size(); rank++) {
      StoredPart part = part(manifest.parts().get(rank), rank);
      if (part != null) {
        stored.add(part);
        parts.add(part.part());
      }
    }
    if (stored.size() == manifest.parts().size()) {
      compare(manifest, stored);
    }
    for (CheckpointId used : manifest.summary().uses()) {
      for (Disk.Entry entry : tier.entries(names.checkpoint(used))) {
        if (entry.kind() == Disk.Kind.FILE) {
          sizes.put(path(used, entry.name()), entry.byteLength());
        }
      }
    }
    Set<String> seen = new HashSet<>();
    for (Manifest.StoredFile file : manifest.files()) {
      String path = path(file.home(id), file.file());
      if (!seen.add(path)) {
        add(
            Problem.of(
                describe(path), Kind.MALFORMED, "one file of this name", "two in the manifest"));
      }
      hasSize(path, file.bytes());
    }
  }

  /// The start that the checkpoint belongs to, and its decision: without them it is on no line.
  private void start() {
    int start = id.start();
    sound(names.start(start), () -> run.start(start));
    sound(names.parent(start), () -> run.decision(start).orElseThrow(Inspection::gone));
  }

  /// What `read` gives, or null where it fails; then the problem is noted.
  private <T> @Nullable T sound(String name, Supplier<T> read) {
    files++;
    try {
      return read.get();
    } catch (KeepstoneException.NotFound e) {
      if (name.equals(names.manifest(id))) {
        throw e;
      }
      add(Problem.of(tier.describe(name), Kind.MISSING, "an object", "nothing"));
    } catch (KeepstoneException.Integrity e) {
      add(Problem.of(tier.describe(name), Kind.MALFORMED, "the object that was put", e.what()));
    } catch (KeepstoneException e) {
      add(Problem.of(tier.describe(name), Kind.UNREADABLE, "a readable object", e.what()));
    }
    return null;
  }

  private static KeepstoneException.NotFound gone() {
    return new KeepstoneException.NotFound("gone", "", "");
  }

  private @Nullable StoredPart part(Manifest.PartFile expected, int rank) {
    if (!hasSize(expected.file(), expected.bytes())) {
      return null;
    }
    String name = names.file(id, expected.file());
    files--;
    byte[] read = sound(name, () -> tier.read(name).orElseThrow(Inspection::gone));
    if (read == null || !hasSum(expected.file(), read, expected.crc32())) {
      return null;
    }
    files--;
    PartRecord record = sound(name, () -> PartRecord.decode(read, tier.describe(name)));
    if (record != null
        && (!record.uid().equals(run.uid()) || !record.id().equals(id) || record.rank() != rank)) {
      add(
          Problem.of(
              tier.describe(name),
              Kind.MALFORMED,
              "the part of rank " + rank + " of " + id + " of run " + run.uid(),
              "that of rank " + record.rank() + " of " + record.id() + " of run " + record.uid()));
      return null;
    }
    if (record instanceof Part part) {
      return StoredPart.of(part, read);
    }
    if (record != null) {
      add(Problem.of(tier.describe(name), Kind.MALFORMED, "a receipt", "a refusal"));
    }
    return null;
  }

  private void compare(Manifest manifest, List<StoredPart> stored) {
    @Nullable String found;
    try {
      found = Manifest.of(stored).equals(manifest) ? null : "another than what the parts add up to";
    } catch (KeepstoneException.Integrity e) {
      found = e.what();
    } catch (IllegalArgumentException | ArithmeticException e) {
      found = String.valueOf(e.getMessage());
    }
    if (found != null) {
      add(
          Problem.of(
              tier.describe(names.manifest(id)),
              Kind.MALFORMED,
              "the manifest of its parts",
              found));
    }
  }

  /// Counts a file; whether it is there with exactly that size.
  private boolean hasSize(String file, long expected) {
    files++;
    Long found = sizes.get(file);
    if (found == null) {
      add(Problem.of(describe(file), Kind.MISSING, "a file of " + expected + " bytes", "nothing"));
      return false;
    }
    bytes += found;
    if (found != expected) {
      long from = Math.min(found, expected);
      add(
          new Problem(
              describe(file),
              tensorAt(file, from),
              from,
              Math.abs(expected - found),
              Kind.SIZE,
              expected + " bytes",
              found + " bytes"));
      return false;
    }
    return true;
  }

  private @Nullable String tensorAt(String file, long position) {
    for (Part part : parts) {
      for (ShardReceipt shard : part.shards()) {
        if (shard.path().equals(file)) {
          for (PieceReceipt piece : shard.pieces()) {
            if (position >= piece.at() && position < piece.at() + piece.bytes()) {
              return piece.piece().tensor().name();
            }
          }
        }
      }
    }
    return null;
  }

  private boolean hasSum(String file, byte[] read, int expected) {
    int found = Crc32.of(read, 0, read.length);
    if (found != expected) {
      add(
          new Problem(
              describe(file),
              null,
              0L,
              (long) read.length,
              Kind.CHECKSUM,
              "crc32 " + Crc32.hex(expected),
              "crc32 " + Crc32.hex(found)));
    }
    return found == expected;
  }

  /// The bytes of files, so far as their parts are known.
  void contents(LongConsumer progress) {
    List<ShardReceipt> shards = new ArrayList<>();
    for (Part part : parts) {
      state(part);
      part.extra().forEach(this::whole);
      for (ShardReceipt shard : part.shards()) {
        if (sizes.containsKey(shard.path())) {
          shards.add(shard);
        }
      }
    }
    if (!parts.isEmpty() && parts.size() == parts.getFirst().world()) {
      Indexes.of(parts)
          .forEach((file, bytes) ->
              whole(new FileReceipt(file, bytes.length, Crc32.of(bytes, 0, bytes.length))));
    }
    new ShardInspection(tier, names, id, sizes, this::add).inspect(shards, progress);
  }

  private byte @Nullable [] whole(FileReceipt receipt) {
    Long size = sizes.get(receipt.file());
    if (size == null || size != receipt.bytes()) {
      return null;
    }
    String name = names.file(id, receipt.file());
    files--;
    byte[] read = sound(name, () -> tier.read(name).orElseThrow(Inspection::gone));
    return read != null && hasSum(receipt.file(), read, receipt.crc32()) ? read : null;
  }

  private void state(Part part) {
    byte[] read = whole(part.state());
    if (read == null) {
      return;
    }
    String name = names.file(id, part.state().file());
    files--;
    StateObject state = sound(name, () -> StateObject.decode(read, tier.describe(name)));
    if (state == null) {
      return;
    }
    String found = null;
    if (!state.uid().equals(run.uid()) || !state.id().equals(id) || state.rank() != part.rank()) {
      found = "that of rank " + state.rank() + " of " + state.id() + " of run " + state.uid();
    } else {
      try {
        StateTree.read(state.tree());
      } catch (StateTreeException e) {
        found = String.valueOf(e.getMessage());
      }
    }
    if (found != null) {
      add(
          Problem.of(
              tier.describe(name),
              Kind.MALFORMED,
              "the state tree of rank " + part.rank() + " of " + id,
              found));
    }
  }

  /// A file as seen from the checkpoint's folder ([ShardReceipt#path]).
  private String path(CheckpointId home, String file) {
    return home.equals(id) ? file : UP + home + "/" + file;
  }

  private String describe(String path) {
    return tier.describe(
        path.startsWith(UP)
            ? names.checkpoints() + path.substring(UP.length() - 1)
            : names.file(id, path));
  }
}
