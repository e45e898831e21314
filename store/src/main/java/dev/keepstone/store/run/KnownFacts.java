package dev.keepstone.store.run;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.fact.Batch;
import dev.keepstone.store.fact.Covers;
import dev.keepstone.store.fact.Facts;
import dev.keepstone.store.fact.Snapshot;
import dev.keepstone.store.fact.Stamped;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Names.BatchName;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.tier.Tier;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;

/// Reads the facts of one run: the newest good snapshot, and the batches that it does not cover.
/// What was read once is remembered, so that a look lists one directory and reads what is new.
final class KnownFacts {
  private final Tier tier;
  private final Names names;
  private final String uid;
  private final Consumer<Collection<Manifest.Summary>> summaries;

  private Facts facts = Facts.NONE;
  private Covers covers = Covers.NONE;
  private Set<CheckpointId> purged = Set.of();
  private long base;
  private final Map<String, Long> used = new HashMap<>();
  private FactsSeen.Contained contained = FactsSeen.Contained.NOTHING;

  /// @param summaries told what a snapshot says of manifests
  KnownFacts(Tier tier, Names names, String uid, Consumer<Collection<Manifest.Summary>> summaries) {
    this.tier = tier;
    this.names = names;
    this.uid = uid;
    this.summaries = summaries;
  }

  /// What is known without looking.
  synchronized Facts facts() {
    return facts;
  }

  /// The next number of a writer. Where its nonce was used before, by an earlier process or by
  /// chance, a number may look free and be in a snapshot, whose readers would pass over a new batch
  /// of that name.
  synchronized BatchName next(String nonce) {
    Long last = used.get(nonce);
    if (last == null) {
      last =
          look().batches().stream()
              .filter(name -> name.writer().equals(nonce))
              .mapToLong(BatchName::sequence)
              .reduce(covers.last(nonce), Math::max);
    }
    used.put(nonce, last + 1);
    return new BatchName(nonce, last + 1);
  }

  synchronized FactsSeen look() {
    while (true) {
      Listed listed = list();
      List<Damaged> damaged = new ArrayList<>();
      // Whatever is gone since it was listed is in a snapshot that came since.
      if (snapshot(listed, damaged) && batches(listed, damaged)) {
        return new FactsSeen(
            facts,
            covers,
            purged,
            listed.batches.keySet(),
            listed.snapshots,
            base,
            contained,
            damaged);
      }
    }
  }

  /// @param batches their sizes in bytes
  private record Listed(NavigableMap<BatchName, Long> batches, NavigableSet<Long> snapshots) {}

  private Listed list() {
    NavigableMap<BatchName, Long> batches = new TreeMap<>();
    NavigableSet<Long> snapshots = new TreeSet<>();
    for (Disk.Entry entry : tier.entries(names.facts())) {
      Names.batchOf(entry.name()).ifPresent(name -> batches.put(name, entry.byteLength()));
      Names.snapshotOf(entry.name()).ifPresent(snapshots::add);
    }
    return new Listed(batches, snapshots);
  }

  /// Takes in the newest good snapshot, where it is newer than the one known.
  ///
  /// @return false where one is gone since it was listed
  private boolean snapshot(Listed listed, List<Damaged> damaged) {
    for (long number : listed.snapshots.tailSet(base, false).descendingSet()) {
      String name = names.snapshot(number);
      try {
        Optional<byte[]> bytes = tier.read(name);
        if (bytes.isEmpty()) {
          return false;
        }
        takeIn(Snapshot.decode(bytes.get(), uid, tier.describe(name)), number);
        return true;
      } catch (KeepstoneException e) {
        damaged.add(new Damaged(name, e));
      }
    }
    return true;
  }

  private void takeIn(Snapshot snapshot, long number) {
    if (snapshot.number() != number) {
      throw foreign("snapshot " + number, "snapshot " + snapshot.number(), names.snapshot(number));
    }
    facts = snapshot.facts().merge(facts);
    covers = covers.with(snapshot.covers());
    // Besides, not instead: one that was taken where the one before could not be read knows less.
    Set<CheckpointId> gone = new HashSet<>(purged);
    gone.addAll(snapshot.purged());
    purged = Collections.unmodifiableSet(gone);
    contained =
        new FactsSeen.Contained(
            snapshot.covers(), snapshot.checkpoints().size(), snapshot.purged().size());
    base = number;
    summaries.accept(snapshot.checkpoints());
  }

  /// Takes in the batches that are not known yet.
  ///
  /// @return false where one is gone since it was listed
  private boolean batches(Listed listed, List<Damaged> damaged) {
    List<Stamped<?>> news = new ArrayList<>();
    List<BatchName> read = new ArrayList<>();
    boolean all = true;
    for (var entry : listed.batches.entrySet()) {
      BatchName name = entry.getKey();
      if (covers.has(name)) {
        continue;
      }
      try {
        Optional<Batch> batch = batch(name, entry.getValue());
        batch.ifPresent(found -> {
          news.addAll(found.stamped());
          read.add(name);
        });
        all &= batch.isPresent();
      } catch (KeepstoneException e) {
        damaged.add(new Damaged(names.batch(name), e));
      }
    }
    facts = facts.with(news);
    covers = covers.with(read);
    return all;
  }

  private Optional<Batch> batch(BatchName name, long bytes) {
    String file = names.batch(name);
    if (bytes > Batch.MAX_BYTES) {
      throw new KeepstoneException.Integrity(
          "expected at most " + Batch.MAX_BYTES + " bytes, found " + bytes,
          tier.describe(file),
          "bring back a good copy of this file");
    }
    return tier.read(file)
        .map(found -> Batch.decode(found, tier.describe(file)))
        .map(batch -> {
          if (!batch.uid().equals(uid)) {
            throw foreign("run uid " + uid, batch.uid(), file);
          }
          if (!batch.name().equals(name)) {
            throw foreign(name.toString(), batch.name().toString(), file);
          }
          return batch;
        });
  }

  private KeepstoneException.Integrity foreign(String expected, String found, String name) {
    return new KeepstoneException.Integrity(
        "foreign: expected " + expected + ", found " + found,
        tier.describe(name),
        "bring back a good copy of this file");
  }
}
