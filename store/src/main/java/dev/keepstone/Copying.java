package dev.keepstone;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.hold.ReaderHold;
import dev.keepstone.store.hold.Secure;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Decision;
import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.RunMarker;
import dev.keepstone.store.object.StoreObject;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.shard.ShardCopy;
import dev.keepstone.store.tier.Put;
import dev.keepstone.store.tier.Tier;
import dev.keepstone.store.verify.Problem;
import dev.keepstone.store.verify.Verify;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;

/// One copy: all files first, which take long and which nobody sees without manifests; then what is
/// small, in the order in which a trainer's agents would have put it; manifests last, those of used
/// checkpoints before those of users.
///
/// Objects are copied as the bytes they are, so that identities, checksums and the line are the
/// source's.
final class Copying {
  /// As long as network file systems remember a listing, a minute.
  private static final int LOOKS = 21;

  private static final Duration BETWEEN_LOOKS = Duration.ofSeconds(3);

  private static final String RETRY = "the same command goes on where this one ended";

  private final Host host;
  private final Run source;
  private final Path root;
  private final Tier target;
  private final Names names;
  private final Progress progress;
  private final Map<CheckpointId, Stored> wanted = new TreeMap<>();
  private final List<ReaderHold> holds = new ArrayList<>();
  private final String nonce;
  private int temporaries;
  private long heldAt;
  private long files;
  private long bytes;
  private long keptBytes;
  private long doneBytes;
  private boolean repaired;

  Copying(Host host, Run source, Path store, Names names, Progress progress) {
    this.host = host;
    this.source = source;
    this.root = store;
    this.target = host.tier(store);
    this.names = names;
    this.progress = progress;
    this.nonce = host.nonce();
  }

  /// A checkpoint of the source, its objects as they are.
  private record Stored(Manifest manifest, byte[] bytes, List<Part> parts) {}

  Copy.Report copy(CheckpointId id) throws IOException {
    try {
      gather(id);
      makeDurable();
      requireSameRun();
      wanted.keySet().forEach(this::requireSameWay);
      holdThere();
      copyShards();
      Run run = publish();
      CopiedFacts facts = new CopiedFacts(host, source, run, nonce);
      long told = facts.take(wanted.keySet());
      for (CheckpointId copied : wanted.keySet()) {
        requireWhole(run, copied);
      }
      return new Copy.Report(
          names.run(),
          List.copyOf(wanted.keySet()),
          files,
          bytes,
          keptBytes,
          told,
          facts.warnings());
    } finally {
      release();
    }
  }

  // What is to be copied

  /// The checkpoint and all that it uses, held.
  private void gather(CheckpointId id) {
    TreeSet<CheckpointId> open = new TreeSet<>(List.of(id));
    while (!open.isEmpty()) {
      CheckpointId next = open.pollFirst();
      hold(next);
      Manifest manifest = source.manifest(next);
      byte[] object =
          source
              .tier()
              .read(source.names().manifest(next))
              .orElseThrow(() -> gone(source.names().manifest(next)));
      wanted.put(next, new Stored(manifest, object, source.parts(manifest)));
      manifest.summary().uses().stream()
          .filter(used -> !wanted.containsKey(used))
          .forEach(open::add);
    }
  }

  /// What was seen may not be synced yet: a loss of power would take it from the source, which
  /// would go another way than the copy under the same names.
  private void makeDurable() {
    source.makeDurable(source.names().manifests());
    source.makeDurable(source.names().starts());
  }

  /// A source that cannot be written to has no hold, and nobody on this machine who could delete.
  private void hold(CheckpointId id) {
    try {
      holds.add(ReaderHold.take(source, id, host.nonce()));
      heldAt = host.clock().nanos();
    } catch (KeepstoneException.Denied e) {
      System.getLogger(Copying.class.getName())
          .log(System.Logger.Level.DEBUG, "no hold on " + id, e);
    }
  }

  /// Where the run is there, somebody may look after it, and take what lies there without a
  /// manifest for longer than an hour for abandoned.
  private void holdThere() {
    if (target.read(names.marker()).isPresent()) {
      Run run = there();
      wanted.keySet().forEach(id -> holds.add(ReaderHold.take(run, id, host.nonce())));
    }
  }

  private void stay() {
    if (host.clock().nanos() - heldAt >= ReaderHold.RENEW_EVERY.toNanos()) {
      holds.forEach(ReaderHold::renew);
      heldAt = host.clock().nanos();
    }
  }

  private void release() {
    for (ReaderHold hold : holds) {
      try {
        hold.close();
      } catch (KeepstoneException e) {
        // One that stays is taken for dead after a grace.
        System.getLogger(Copying.class.getName()).log(System.Logger.Level.DEBUG, "a hold stays", e);
      }
    }
  }

  /// The run there, whose marker was seen. That of the store another copy may have put just now, so
  /// that this host does not see it yet.
  private Run there() {
    return StoreRoot.openOrMake(target, host.clock()).run(names.run());
  }

  // Whether it may be

  private void requireSameRun() {
    Optional<byte[]> marker = target.read(names.marker());
    if (marker.isEmpty()) {
      return;
    }
    RunMarker there = RunMarker.decode(marker.get(), target.describe(names.marker()));
    if (!there.uid().equals(source.uid())) {
      throw new KeepstoneException.Refused(
          "another run of that name is there: expected uid "
              + source.uid()
              + ", found "
              + there.uid(),
          target.describe(names.run()),
          "give it another name: STORE/RUN");
    }
  }

  /// An id, a part or a start that is there with other bytes comes of a copy of this run that went
  /// its own way.
  private void requireSameWay(CheckpointId id) {
    Stored stored = stored(id);
    if (target.read(names.marker()).isPresent() && there().tombs(id).purged(id)) {
      throw new KeepstoneException.Refused(
          "checkpoint " + id + " was deleted there, and no id is used twice",
          target.describe(names.run()),
          "copy the run into another store");
    }
    requireSame(names.manifest(id), stored.bytes);
    for (Manifest.PartFile part : stored.manifest.parts()) {
      requireSame(names.file(id, part.file()), read(source.names().file(id, part.file())));
    }
    starts(id).forEach(this::requireSame);
  }

  private void requireSame(String name, byte[] expected) {
    Optional<byte[]> there = target.read(name);
    if (there.isPresent() && !Arrays.equals(there.get(), expected) && sound(there.get(), name)) {
      throw new KeepstoneException.Refused(
          "the run has gone another way there: the object is another one",
          target.describe(name),
          "copy into another store");
    }
  }

  private boolean sound(byte[] object, String name) {
    try {
      StoreObject.kind(object, target.describe(name));
      return true;
    } catch (KeepstoneException.Integrity e) {
      return false;
    }
  }

  /// Announcements and decisions of the starts behind a checkpoint, by name: without them it would
  /// be on no line. Decisions come first: a start that is seen has chosen.
  private Map<String, byte[]> starts(CheckpointId id) {
    Map<String, byte[]> objects = new LinkedHashMap<>();
    Optional<CheckpointId> next = Optional.of(id);
    while (next.isPresent()) {
      int start = next.get().start();
      objects.put(names.parent(start), read(source.names().parent(start)));
      objects.put(names.start(start), read(source.names().start(start)));
      next =
          source
              .decision(start)
              .map(Decision::parent)
              .flatMap(parent ->
                  parent instanceof Parent.Of(CheckpointId of)
                      ? Optional.of(of)
                      : Optional.empty());
    }
    return objects;
  }

  private byte[] read(String name) {
    return source.tier().read(name).orElseThrow(() -> gone(name));
  }

  private KeepstoneException.Integrity gone(String name) {
    return new KeepstoneException.Integrity(
        "the object is missing", source.tier().describe(name), "copy another checkpoint");
  }

  private Stored stored(CheckpointId id) {
    Stored stored = wanted.get(id);
    if (stored == null) {
      throw new IllegalStateException("not gathered: " + id);
    }
    return stored;
  }

  // Shards

  private record Shard(CheckpointId id, ShardReceipt receipt) {}

  private void copyShards() throws IOException {
    List<Shard> shards = new ArrayList<>();
    wanted.forEach((id, stored) -> {
      for (Part part : stored.parts) {
        part.shards().stream()
            .filter(shard -> shard.from() == null)
            .forEach(shard -> shards.add(new Shard(id, shard)));
      }
    });
    long total = shards.stream().mapToLong(shard -> shard.receipt.bytes()).sum();
    StoreRoot.openOrMake(target, host.clock());
    try (ShardCopy copy = new ShardCopy()) {
      for (Shard shard : shards) {
        copy(copy, shard, total);
      }
    }
  }

  private void copy(ShardCopy copy, Shard shard, long total) throws IOException {
    String name = names.file(shard.id, shard.receipt.file());
    long before = doneBytes;
    if (standsThere(shard, name)) {
      try (OpenFile there = target.openShard(name)) {
        copy.copy(there, shard.receipt, target.describe(name), null, count -> tell(count, total));
        keptBytes += shard.receipt.bytes();
        return;
      } catch (KeepstoneException.Integrity e) {
        // Only this shard ever bears its name, so what is damaged is replaced and nothing lost.
        doneBytes = before;
        repaired = true;
        target.delete(name);
      }
    }
    String from = source.names().file(shard.id, shard.receipt.file());
    String temporary = name + "." + nonce + "." + ++temporaries + ".tmp";
    try (OpenFile in = source.tier().openShard(from)) {
      try (OpenFile out = target.createShard(temporary)) {
        copy.copy(
            in, shard.receipt, source.tier().describe(from), out, count -> tell(count, total));
      }
      link(temporary, name);
    } finally {
      target.delete(temporary);
    }
    files++;
    bytes += shard.receipt.bytes();
  }

  private boolean standsThere(Shard shard, String name) {
    String file = name.substring(name.lastIndexOf('/') + 1);
    return target.entries(names.checkpoint(shard.id)).stream()
        .anyMatch(entry -> entry.name().equals(file));
  }

  private void tell(long count, long total) {
    stay();
    doneBytes += count;
    progress.copied(doneBytes, total);
  }

  /// A shard appears under its name whole or not at all: another copy of the same checkpoint may be
  /// under way, and what is not finished would be taken for damaged by it.
  private void link(String temporary, String name) throws IOException {
    try {
      host.disk().link(root.resolve(temporary), root.resolve(name));
    } catch (UnsupportedOperationException e) {
      host.disk().renameToFree(root.resolve(temporary), root.resolve(name));
    } catch (FileAlreadyExistsException e) {
      // Another copy was faster, and has checked the same bytes.
      return;
    }
  }

  // Objects

  private Run publish() {
    wanted.forEach((id, stored) -> {
      for (Manifest.StoredFile file : stored.manifest.files()) {
        if (file.component() == null && file.from() == null) {
          small(id, file);
        }
      }
      target.syncDirectory(names.checkpoint(id));
      for (Manifest.PartFile part : stored.manifest.parts()) {
        put(names.file(id, part.file()), read(source.names().file(id, part.file())));
      }
    });
    put(names.marker(), read(source.names().marker()));
    Run run = there();
    for (CheckpointId id : wanted.keySet()) {
      starts(id).forEach(this::put);
    }
    // A used checkpoint is of an earlier id than its users.
    wanted.forEach((id, stored) -> {
      secure(run, id);
      stored.manifest.summary().uses().forEach(used -> secure(run, used));
      put(names.manifest(id), stored.bytes);
    });
    return run;
  }

  private void small(CheckpointId id, Manifest.StoredFile file) {
    byte[] content = read(source.names().file(id, file.file()));
    int crc = Crc32.of(content, 0, content.length);
    if (content.length != file.bytes() || crc != file.crc32()) {
      throw new KeepstoneException.Integrity(
          "expected %d bytes with crc32 %s, found %d with %s"
              .formatted(file.bytes(), Crc32.hex(file.crc32()), content.length, Crc32.hex(crc)),
          source.tier().describe(source.names().file(id, file.file())),
          "copy another checkpoint");
    }
    put(names.file(id, file.file()), content);
  }

  /// Puts bytes under their name, over those of a damaged object too; whether what is there is
  /// another sound one has been looked at before.
  private void put(String name, byte[] content) {
    for (int attempt = 0; ; attempt++) {
      switch (target.put(name, content)) {
        case Put.Committed() -> {
          return;
        }
        case Put.Lost(byte[] there) -> {
          if (attempt > 0 || (isObject(name) && sound(there, name))) {
            throw new KeepstoneException.Refused(
                "the run has gone another way there: the object is another one",
                target.describe(name),
                "copy into another store");
          }
          repaired = true;
          target.delete(name);
        }
        case Put.Unknown(String why) ->
            throw new KeepstoneException.OutcomeUnknown(
                "whether it was written is not known: " + why, target.describe(name), RETRY);
      }
    }
  }

  /// Extras are no objects of the store: they have no checksum of their own.
  private static boolean isObject(String name) {
    return name.endsWith(".json")
        && !name.endsWith(".index.json")
        && !name.endsWith("/config.json");
  }

  private void secure(Run run, CheckpointId id) {
    if (!Secure.secure(run, id)) {
      throw new KeepstoneException.Refused(
          "checkpoint " + id + " was deleted there meanwhile",
          target.describe(names.run()),
          "copy the run into another store");
    }
  }

  /// What is there now is looked at once more; where something was replaced, to the last byte.
  private void requireWhole(Run run, CheckpointId id) {
    for (Problem problem : problems(run, id)) {
      throw new KeepstoneException.Integrity(
          "the copy is not whole: expected " + problem.expected() + ", found " + problem.found(),
          problem.file(),
          RETRY);
    }
    if (repaired) {
      CopiedFacts.good(run, host, nonce, id);
    }
  }

  /// Through a network this machine may not see for a while what another copy has put there.
  private List<Problem> problems(Run run, CheckpointId id) {
    for (int look = 1; ; look++) {
      List<Problem> problems =
          (repaired ? Verify.deep(run, id, count -> {}) : Verify.quick(run, id)).problems();
      if (problems.isEmpty() || look == LOOKS) {
        return problems;
      }
      host.clock().pause(BETWEEN_LOOKS);
    }
  }
}
