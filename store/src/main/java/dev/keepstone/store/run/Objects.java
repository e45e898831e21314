package dev.keepstone.store.run;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.fact.Facts;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Decision;
import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.object.End;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Names.BatchName;
import dev.keepstone.store.object.Names.HoldName;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.object.Start;
import dev.keepstone.store.object.Tomb;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PartRecord;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.tier.Tier;
import java.util.ArrayList;
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
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// Reads the objects of one run, trusts those that are what their place says, and remembers what
/// never changes.
final class Objects {
  private final Tier tier;
  private final Names names;
  private final String uid;

  private final KnownFacts facts;
  private final Map<CheckpointId, Manifest.Summary> summaries = new ConcurrentHashMap<>();
  private final Map<Integer, Parent> decisions = new ConcurrentHashMap<>();
  private final Map<Integer, Start> starts = new ConcurrentHashMap<>();
  private final Map<TombName, End.Outcome> ends = new ConcurrentHashMap<>();

  Objects(Tier tier, Names names, String uid) {
    this.tier = tier;
    this.names = names;
    this.uid = uid;
    this.facts =
        new KnownFacts(
            tier,
            names,
            uid,
            told -> told.forEach(summary -> summaries.putIfAbsent(summary.id(), summary)));
  }

  /// Looks at facts alone.
  FactsSeen facts() {
    return facts.look();
  }

  BatchName nextBatch(String nonce) {
    return facts.next(nonce);
  }

  /// What is known of facts without looking.
  Facts knownFacts() {
    return facts.facts();
  }

  ManifestsSeen manifests() {
    NavigableMap<CheckpointId, Manifest.Summary> seen = new TreeMap<>();
    List<Damaged> damaged = new ArrayList<>();
    NavigableSet<CheckpointId> listed = manifestNames();
    if (!summaries.keySet().containsAll(listed)) {
      // A snapshot may know what would else be read one by one.
      facts.look();
    }
    for (CheckpointId id : listed) {
      try {
        Manifest.Summary summary = summaries.get(id);
        if (summary == null) {
          // Gone since it was listed: purged meanwhile, and seen as if the look had begun later.
          summary = manifest(id).map(Manifest::summary).orElse(null);
        }
        if (summary != null) {
          seen.put(id, summary);
        }
      } catch (KeepstoneException e) {
        damaged.add(new Damaged(names.manifest(id), e));
      }
    }
    summaries.keySet().retainAll(seen.keySet());
    summaries.putAll(seen);
    return new ManifestsSeen(seen, damaged);
  }

  StartsSeen starts() {
    NavigableSet<Integer> announced = new TreeSet<>();
    NavigableMap<Integer, Parent> decided = new TreeMap<>();
    List<Damaged> damaged = new ArrayList<>();
    for (String file : tier.list(names.starts())) {
      Names.startOf(file).ifPresent(announced::add);
      Optional<Integer> start = Names.parentOf(file);
      if (start.isPresent()) {
        try {
          decision(start.get()).ifPresent(found -> decided.put(found.start(), found.parent()));
        } catch (KeepstoneException e) {
          damaged.add(new Damaged(names.parent(start.get()), e));
        }
      }
    }
    return new StartsSeen(announced, decided, damaged);
  }

  /// Lists tombs and ends, then facts. Ends never change, so what they say may be read later
  /// ([#read]) and the look is still as old as this listing. Facts come after: an end that is no
  /// longer there is in a snapshot put before it was removed.
  Ends ends() {
    TombsSeen tombs = tombs();
    FactsSeen seen = facts.look();
    return new Ends(new TombsSeen(tombs.tombs(), seen.purged(), List.of()), seen);
  }

  record Ends(TombsSeen tombs, FactsSeen facts) {}

  private TombsSeen tombs() {
    Map<CheckpointId, NavigableMap<Integer, TombsSeen.Standing>> tombs = new HashMap<>();
    for (String file : tier.list(names.tombs())) {
      Optional<TombName> tomb = Names.tombOf(file);
      Optional<TombName> end = Names.endOf(file);
      tomb.or(() -> end)
          .ifPresent(name ->
              tombs
                  .computeIfAbsent(name.id(), id -> new TreeMap<>())
                  .merge(
                      name.k(),
                      end.isPresent() ? TombsSeen.Standing.ENDED : TombsSeen.Standing.OPEN,
                      (one, other) -> TombsSeen.Standing.ENDED));
    }
    ends.keySet().removeIf(name -> !tombs.containsKey(name.id()));
    return new TombsSeen(tombs, Set.of(), List.of());
  }

  /// The same look, with the ends of these checkpoints read.
  TombsSeen read(TombsSeen listed, Predicate<CheckpointId> wanted) {
    Map<CheckpointId, NavigableMap<Integer, TombsSeen.Standing>> tombs =
        new HashMap<>(listed.tombs());
    List<Damaged> damaged = new ArrayList<>();
    tombs.replaceAll((id, numbers) -> {
      if (!wanted.test(id) || listed.gone().contains(id)) {
        return numbers;
      }
      NavigableMap<Integer, TombsSeen.Standing> read = new TreeMap<>(numbers);
      read.replaceAll((k, standing) ->
          standing == TombsSeen.Standing.ENDED ? standing(new TombName(id, k), damaged) : standing);
      return read;
    });
    return new TombsSeen(tombs, listed.gone(), damaged);
  }

  private TombsSeen.Standing standing(TombName tomb, List<Damaged> damaged) {
    try {
      return switch (end(tomb)) {
        case PURGED -> TombsSeen.Standing.PURGED;
        case RESTORED -> TombsSeen.Standing.RESTORED;
      };
    } catch (KeepstoneException e) {
      damaged.add(new Damaged(names.end(tomb.id(), tomb.k()), e));
      return TombsSeen.Standing.DAMAGED;
    }
  }

  NavigableSet<CheckpointId> folders() {
    return listed(names.checkpoints(), CheckpointId::find);
  }

  NavigableSet<CheckpointId> manifestNames() {
    return listed(names.manifests(), Names::manifestOf);
  }

  Set<HoldName> holds() {
    Set<HoldName> holds = new HashSet<>();
    tier.list(names.holds()).forEach(file -> Names.holdOf(file).ifPresent(holds::add));
    return holds;
  }

  Attempt attempt(CheckpointId id) {
    long bytes = 0;
    NavigableSet<Integer> ranks = new TreeSet<>();
    Set<String> files = new HashSet<>();
    for (Disk.Entry entry : tier.entries(names.checkpoint(id))) {
      bytes += entry.byteLength();
      files.add(entry.name());
      Names.partOf(entry.name()).ifPresent(ranks::add);
    }
    List<Integer> parts = new ArrayList<>();
    Optional<Refusal> refusal = Optional.empty();
    Set<CheckpointId> uses = new HashSet<>();
    int world = 0;
    for (int rank : ranks) {
      switch (trusted(id, rank)) {
        case Part part -> {
          world = part.world();
          uses.addAll(part.uses());
          if (part.extrasIn(files)) {
            parts.add(rank);
          }
        }
        case Refusal refused -> refusal = refusal.or(() -> Optional.of(refused));
        case null -> {
          // Damaged or gone: as if it were not there; commit names it.
        }
      }
    }
    return new Attempt(id, world, parts, refusal, uses, bytes);
  }

  /// What has no trusted manifest yet and may still get one.
  List<Attempt> unfinished() {
    NavigableSet<CheckpointId> folders = folders();
    folders.removeAll(manifests().summaries().keySet());
    TombsSeen ended = read(tombs(), folders::contains);
    return folders.stream()
        .filter(id -> !ended.purged(id))
        .map(this::attempt)
        .filter(attempt -> attempt.refusal().isEmpty())
        .toList();
  }

  private @Nullable PartRecord trusted(CheckpointId id, int rank) {
    try {
      return part(id, rank).orElse(null);
    } catch (KeepstoneException.Integrity e) {
      return null;
    }
  }

  private <T extends Comparable<T>> NavigableSet<T> listed(
      String directory, Function<String, Optional<T>> parse) {
    NavigableSet<T> found = new TreeSet<>();
    for (String file : tier.list(directory)) {
      parse.apply(file).ifPresent(found::add);
    }
    return found;
  }

  Optional<Manifest> manifest(CheckpointId id) {
    return read(names.manifest(id), Manifest::decode)
        .map(manifest ->
            inPlace(manifest, manifest.summary().uid(), manifest.id(), id, names.manifest(id)));
  }

  Optional<Start> start(int number) {
    Start known = starts.get(number);
    if (known != null) {
      return Optional.of(known);
    }
    Optional<Start> read =
        read(names.start(number), Start::decode)
            .map(s -> inPlace(s, s.uid(), s.number(), number, names.start(number)));
    read.ifPresent(start -> starts.put(number, start));
    return read;
  }

  Optional<Decision> decision(int start) {
    Parent known = decisions.get(start);
    if (known != null) {
      return Optional.of(new Decision(uid, start, known));
    }
    Optional<Decision> read =
        read(names.parent(start), Decision::decode)
            .map(d -> inPlace(d, d.uid(), d.start(), start, names.parent(start)));
    read.ifPresent(decision -> decisions.put(start, decision.parent()));
    return read;
  }

  Optional<Tomb> tomb(TombName name) {
    String file = names.tomb(name.id(), name.k());
    return read(file, Tomb::decode)
        .map(t -> inPlace(t, t.uid(), new TombName(t.id(), t.k()), name, file));
  }

  private End.Outcome end(TombName name) {
    End.Outcome known = ends.get(name);
    if (known != null) {
      return known;
    }
    String file = names.end(name.id(), name.k());
    End end =
        read(file, End::decode)
            .map(e -> inPlace(e, e.uid(), new TombName(e.id(), e.k()), name, file))
            .orElseThrow(() -> damaged("gone, and ends are never removed", file));
    ends.put(name, end.outcome());
    return end.outcome();
  }

  Optional<PartRecord> part(CheckpointId id, int rank) {
    String file = names.part(id, rank);
    return read(file, PartRecord::decode)
        .map(part -> inPlace(part, part.uid(), part.id(), id, file))
        .map(part -> inPlace(part, part.uid(), part.rank(), rank, file));
  }

  List<Part> parts(Manifest manifest) {
    List<Part> parts = new ArrayList<>();
    for (Manifest.PartFile expected : manifest.parts()) {
      String name = names.file(manifest.id(), expected.file());
      byte[] bytes =
          tier.read(name)
              .orElseThrow(() -> damaged("the manifest names a part that is missing", name));
      int crc = Crc32.of(bytes, 0, bytes.length);
      if (bytes.length != expected.bytes() || crc != expected.crc32()) {
        throw damaged(
            "expected "
                + expected.bytes()
                + " bytes of crc32 "
                + Crc32.hex(expected.crc32())
                + ", found "
                + bytes.length
                + " bytes of "
                + Crc32.hex(crc),
            name);
      }
      parts.add(Part.decode(bytes, tier.describe(name)));
    }
    return parts;
  }

  private <T> Optional<T> read(String name, BiFunction<byte[], String, T> decode) {
    return tier.read(name).map(bytes -> decode.apply(bytes, tier.describe(name)));
  }

  /// An object that was copied here from another run, or to another name, says so itself.
  private <T> T inPlace(T object, String foundUid, Object found, Object expected, String name) {
    if (!foundUid.equals(uid)) {
      throw damaged("foreign: expected run uid " + uid + ", found " + foundUid, name);
    }
    if (!found.equals(expected)) {
      throw damaged("foreign: expected the object of " + expected + ", found " + found, name);
    }
    return object;
  }

  private KeepstoneException.Integrity damaged(String what, String name) {
    return new KeepstoneException.Integrity(
        what, tier.describe(name), "bring back a good copy of this file");
  }
}
