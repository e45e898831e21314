package dev.keepstone.store.commit;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.hold.Secure;
import dev.keepstone.store.manifest.Indexes;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PartRecord;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.part.StoredPart;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StartsSeen;
import dev.keepstone.store.tier.Put;
import dev.keepstone.store.tier.Tier;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;

/// Commits checkpoints of one run. Any process may commit any checkpoint any number of times.
public final class Commit {
  private final Run run;
  private final Tier tier;
  private final Names names;

  public Commit(Run run) {
    this.run = run;
    this.tier = run.tier();
    this.names = run.names();
  }

  /// Puts what one rank has to say of a checkpoint. All files that a receipt names are written and
  /// synced before.
  ///
  /// @throws KeepstoneException where it certainly did not happen: no space, no rights
  public PartOutcome putPart(PartRecord part) {
    if (part instanceof Part) {
      // The names of the shards must not be lost by a crash that the part survives.
      tier.syncDirectory(names.checkpoint(part.id()));
    }
    String name = names.part(part.id(), part.rank());
    return switch (tier.put(name, part.encode())) {
      case Put.Committed() -> {
        if (part instanceof Refusal refusal) {
          tell(refusal);
        }
        yield new PartOutcome.Stands();
      }
      case Put.Unknown(String why) -> new PartOutcome.Unknown(why);
      case Put.Lost(byte[] bytes) -> {
        PartRecord standing = PartRecord.decode(bytes, tier.describe(name));
        if (part instanceof Part own && !mayUseFilesOf(own, standing)) {
          remove(own);
        }
        yield new PartOutcome.Lost(standing);
      }
    };
  }

  /// Whether the part that stands names files of the one that lost: both are of one start of one
  /// agent then, which told the same state twice in other words.
  private static boolean mayUseFilesOf(Part lost, PartRecord standing) {
    return standing instanceof Part part && part.nonce().equals(lost.nonce());
  }

  private void remove(Part lost) {
    for (ShardReceipt shard : lost.shards()) {
      if (shard.from() == null) {
        tier.delete(names.file(lost.id(), shard.file()));
      }
    }
    FileReceipt state = lost.state();
    tier.delete(names.file(lost.id(), state.file()));
  }

  /// Puts a copy of a refusal that stands where the other ranks look. What comes of it does not
  /// matter: who does not find it finds the refusal among the parts.
  private void tell(Refusal refusal) {
    if (refusal.world() == 1) {
      return;
    }
    try {
      Put _ = tier.put(names.refused(refusal.id()), refusal.encode());
    } catch (KeepstoneException e) {
      System.getLogger(Commit.class.getName())
          .log(System.Logger.Level.DEBUG, "not told: " + refusal, e);
    }
  }

  /// The refusal that ended an attempt of several ranks, where one has been told. One look at one
  /// name.
  public Optional<Refusal> refusal(CheckpointId id) {
    String name = names.refused(id);
    try {
      return tier.read(name)
          .map(bytes -> Refusal.decode(bytes, tier.describe(name)))
          .filter(refusal -> refusal.uid().equals(run.uid()) && refusal.id().equals(id));
    } catch (KeepstoneException.Integrity e) {
      // A copy; the one that counts is a part.
      return Optional.empty();
    }
  }

  /// What became of a checkpoint that others are to commit, where it has ended: a look at two
  /// names, however many ranks there are.
  public Optional<Published> ended(CheckpointId id) {
    try {
      return run.findManifest(id).isPresent()
          ? Optional.of(afterwards(id))
          : refusal(id).map(Published.Refused::new);
    } catch (KeepstoneException.Integrity e) {
      return Optional.of(lost(e));
    }
  }

  /// The newer start that goes on from before this checkpoint, so that it can be no more than
  /// fenced; empty while it may yet be on the line.
  public OptionalInt overtaken(CheckpointId id) {
    return afterwards(id) instanceof Published.Fenced(int start)
        ? OptionalInt.of(start)
        : OptionalInt.empty();
  }

  /// What ranks have written of a checkpoint that is not committed.
  ///
  /// @return files and bytes by rank; without those that have written nothing
  public SortedMap<Integer, Written> written(CheckpointId id) {
    SortedMap<Integer, Written> written = new TreeMap<>();
    for (Disk.Entry entry : tier.entries(names.checkpoint(id))) {
      Names.writerOf(entry.name())
          .ifPresent(rank -> written.merge(rank, new Written(1, entry.byteLength()), Written::and));
    }
    return written;
  }

  /// @param files shards and state trees, whole or not
  /// @param bytes of them
  public record Written(int files, long bytes) {
    private Written and(Written more) {
      return new Written(files + more.files, bytes + more.bytes);
    }
  }

  /// [#publish(CheckpointId)] for who knows how many ranks there are: no part is read before the
  /// names of all are there.
  public Published publish(CheckpointId id, int world) {
    Optional<Refusal> refusal = refusal(id);
    if (refusal.isPresent()) {
      return new Published.Refused(refusal.get());
    }
    BitSet there = new BitSet();
    tier.list(names.checkpoint(id)).forEach(file -> Names.partOf(file).ifPresent(there::set));
    if (there.cardinality() >= world) {
      return publish(id);
    }
    if (there.isEmpty() && run.tombs(id).purged(id)) {
      return collected(id);
    }
    List<Integer> missing = new ArrayList<>();
    for (int rank = 0; rank < world; rank++) {
      if (!there.get(rank)) {
        missing.add(rank);
      }
    }
    return new Published.Incomplete(missing);
  }

  private static Published lost(KeepstoneException.Integrity why) {
    return new Published.Lost(why.what() + " (" + why.on() + ")");
  }

  /// Publishes the manifest if all parts are there, and tells what became of the checkpoint.
  public Published publish(CheckpointId id) {
    try {
      return switch (gather(id)) {
        case Gathered.Ended(Published published) -> published;
        case Gathered.All(List<StoredPart> parts) -> publish(id, parts);
      };
    } catch (KeepstoneException.Integrity e) {
      return lost(e);
    } catch (KeepstoneException.OutcomeUnknown e) {
      return new Published.Unknown(e.what());
    }
  }

  private sealed interface Gathered {
    record All(List<StoredPart> parts) implements Gathered {}

    record Ended(Published published) implements Gathered {}
  }

  private Gathered gather(CheckpointId id) {
    TreeMap<Integer, StoredPart> parts = new TreeMap<>();
    int world = 0;
    Set<String> files = new TreeSet<>(tier.list(names.checkpoint(id)));
    for (String file : files) {
      Optional<Integer> rank = Names.partOf(file);
      Optional<byte[]> bytes = rank.flatMap(r -> tier.read(names.part(id, r)));
      if (bytes.isEmpty()) {
        continue;
      }
      String describe = tier.describe(names.part(id, rank.orElseThrow()));
      switch (PartRecord.decode(bytes.get(), describe)) {
        case Refusal refusal -> {
          tell(refusal);
          return new Gathered.Ended(new Published.Refused(refusal));
        }
        case Part part -> {
          requireInPlace(part, id, rank.orElseThrow(), describe);
          if (world != 0 && part.world() != world) {
            throw new KeepstoneException.Integrity(
                "expected a world of " + world + " ranks, found " + part.world(),
                describe,
                "give every launch a token of its own");
          }
          parts.put(part.rank(), StoredPart.of(part, bytes.get()));
          world = part.world();
        }
      }
    }
    List<Integer> missing = new ArrayList<>();
    for (int rank = 0; rank < world; rank++) {
      // A rank puts its extras after its part, because they follow from the part that stands.
      StoredPart stored = parts.get(rank);
      if (stored == null || !stored.part().extrasIn(files)) {
        missing.add(rank);
      }
    }
    if (!missing.isEmpty() || parts.isEmpty()) {
      return new Gathered.Ended(
          run.tombs(id).purged(id) ? collected(id) : new Published.Incomplete(missing));
    }
    return new Gathered.All(List.copyOf(parts.values()));
  }

  private void requireInPlace(Part part, CheckpointId id, int rank, String describe) {
    if (!part.uid().equals(run.uid()) || !part.id().equals(id) || part.rank() != rank) {
      throw new KeepstoneException.Integrity(
          "foreign: expected rank "
              + rank
              + " of "
              + id
              + " of run uid "
              + run.uid()
              + ", found rank "
              + part.rank()
              + " of "
              + part.id()
              + " of "
              + part.uid(),
          describe,
          "remove what was copied here from elsewhere");
    }
  }

  private static Published collected(CheckpointId id) {
    return new Published.Lost("checkpoint " + id + " was collected before it was complete");
  }

  private Published publish(CheckpointId id, List<StoredPart> parts) {
    Manifest manifest = Manifest.of(parts);
    // One that stands already is not kept from an operator's wish to delete it by who comes late.
    boolean stands = run.findManifest(id).isPresent();
    if (stands ? run.tombs(id).purged(id) : !Secure.secure(run, id)) {
      return collected(id);
    }
    if (!stands) {
      Optional<String> lacking = lacking(manifest.summary().uses());
      if (lacking.isPresent()) {
        return new Published.Lost(lacking.get());
      }
    }
    if (!stands) {
      for (Map.Entry<String, byte[]> index :
          Indexes.of(parts.stream().map(StoredPart::part).toList()).entrySet()) {
        if (!putIndex(names.file(id, index.getKey()), index.getValue())) {
          return new Published.Unknown("whether " + index.getKey() + " stands is not known");
        }
      }
    }
    // Parts and extras of other ranks may not be durable yet.
    run.makeDurable(names.checkpoint(id));
    return switch (tier.put(names.manifest(id), manifest.encode())) {
      case Put.Committed() -> afterwards(id);
      case Put.Unknown(String why) -> new Published.Unknown(why);
      case Put.Lost lost ->
          new Published.Lost(
              tier.describe(names.manifest(id)) + " stands and is not what the parts say");
    };
  }

  /// Whether it stands. The parts are what they are for good, so whoever commits puts these bytes.
  private boolean putIndex(String name, byte[] bytes) {
    return switch (tier.put(name, bytes)) {
      case Put.Committed() -> true;
      case Put.Unknown unknown -> false;
      case Put.Lost lost ->
          throw new KeepstoneException.Integrity(
              "expected the index that the parts give, found another one",
              tier.describe(name),
              "remove what was copied here from elsewhere");
    };
  }

  /// Secures what the parts, which stand, need of other checkpoints.
  ///
  /// @return what is not there any more
  private Optional<String> lacking(List<CheckpointId> uses) {
    for (CheckpointId used : uses) {
      if (!Secure.secure(run, used)) {
        return Optional.of("it uses shards of " + used + ", which has been deleted");
      }
      if (run.findManifest(used).isEmpty()) {
        if (!tier.staleness().isZero()) {
          // This host may have been told that it is absent before it came; another rank, on another
          // host, sees it and commits.
          throw new KeepstoneException.OutcomeUnknown(
              "it uses shards of " + used + ", whose manifest is not seen here yet",
              tier.describe(names.manifest(used)),
              "try again");
        }
        return Optional.of("it uses shards of " + used + ", which is no checkpoint");
      }
    }
    return Optional.empty();
  }

  /// Looks at starts after the manifest: a start that announced itself before may have chosen
  /// without seeing it.
  private Published afterwards(CheckpointId id) {
    StartsSeen starts = run.starts();
    OptionalInt newest = starts.newest();
    if (newest.isEmpty() || newest.getAsInt() <= id.start()) {
      return new Published.Committed();
    }
    if (starts.undecided()) {
      return new Published.Unknown(
          "start " + newest.getAsInt() + " has not chosen what it goes on from");
    }
    return starts.line().has(id)
        ? new Published.Committed()
        : new Published.Fenced(newest.getAsInt());
  }
}
