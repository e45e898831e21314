package dev.keepstone.store.run;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.fact.Facts;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Decision;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Names.BatchName;
import dev.keepstone.store.object.Names.HoldName;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.object.RunMarker;
import dev.keepstone.store.object.Start;
import dev.keepstone.store.object.Tomb;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PartRecord;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.tier.StoreClock;
import dev.keepstone.store.tier.Tier;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.Set;

/// One run in one tier: its identity, and looks at it.
///
/// Objects never change once they are put, so what a look needs of each is read once and
/// remembered: a look lists three directories and reads what is new. Safe for use by several
/// threads.
public final class Run {
  /// How long readers wait for a start to choose its parent before they answer from the line before
  /// it.
  public static final Duration DECISION_WAIT = Duration.ofSeconds(2);

  private static final Duration DECISION_POLL = Duration.ofMillis(50);

  private final Tier tier;
  private final Names names;
  private final RunMarker marker;
  private final Objects objects;

  Run(Tier tier, Names names, RunMarker marker) {
    this.tier = tier;
    this.names = names;
    this.marker = marker;
    this.objects = new Objects(tier, names, marker.uid());
  }

  public Tier tier() {
    return tier;
  }

  public Names names() {
    return names;
  }

  public String name() {
    return names.run();
  }

  /// 32 hex digits, in every object of the run.
  public String uid() {
    return marker.uid();
  }

  /// Looks at manifests, then starts, then tombs and ends, then facts: a checkpoint that is on the
  /// line of the starts seen later was either seen or is newer than the look.
  public View look() {
    ManifestsSeen manifests = objects.manifests();
    return view(manifests, objects.starts());
  }

  /// Looks at starts, then manifests, then tombs, ends and facts: for a start that chooses its
  /// parent. The parent of every decided start that it sees is then among the manifests, so that
  /// the new start never goes back behind it.
  public View lookToStart() {
    StartsSeen starts = objects.starts();
    return view(objects.manifests(), starts);
  }

  /// [#look], again until the newest start has chosen its parent or [#DECISION_WAIT] is over; then
  /// the answer comes from the line before it, and [View#undecided] says so.
  public View lookDecided(StoreClock clock) {
    long begin = clock.nanos();
    while (true) {
      View view = look();
      if (!view.undecided() || clock.nanos() - begin >= DECISION_WAIT.toNanos()) {
        return view;
      }
      clock.pause(DECISION_POLL);
    }
  }

  /// Looks at tombs and ends, then at facts, then at the parts of these checkpoints and of
  /// unfinished ones, then at manifests, then at starts: for who is about to delete them. What
  /// needs one was put before its tomb was looked for, and a start that announced itself meanwhile
  /// is seen last.
  public LookToDelete lookToDelete(Set<CheckpointId> ids) {
    Objects.Ends ends = objects.ends();
    Set<CheckpointId> committed = objects.manifestNames();
    Map<CheckpointId, Attempt> attempts = new HashMap<>();
    ids.stream()
        .filter(id -> !committed.contains(id))
        .forEach(id -> attempts.put(id, objects.attempt(id)));
    List<Attempt> unfinished = objects.unfinished();
    ManifestsSeen manifests = objects.manifests();
    StartsSeen starts = objects.starts();
    return new LookToDelete(attempts, unfinished, view(manifests, starts, ends, ids));
  }

  /// @param attempts what lies in the folders of those asked for that had no manifest
  /// @param unfinished what may yet be committed: its parts may name shards of others
  /// @param view the rest
  public record LookToDelete(
      Map<CheckpointId, Attempt> attempts, List<Attempt> unfinished, View view) {}

  private View view(ManifestsSeen manifests, StartsSeen starts) {
    return view(manifests, starts, objects.ends(), Set.of());
  }

  private View view(
      ManifestsSeen manifests, StartsSeen starts, Objects.Ends ends, Set<CheckpointId> besides) {
    TombsSeen tombs =
        objects.read(
            ends.tombs(), id -> manifests.summaries().containsKey(id) || besides.contains(id));
    List<Damaged> damaged = new ArrayList<>(manifests.damaged());
    damaged.addAll(starts.damaged());
    damaged.addAll(tombs.damaged());
    damaged.addAll(ends.facts().damaged());
    return new View(name(), manifests.summaries(), starts, tombs, ends.facts().facts(), damaged);
  }

  /// Looks at the folders of checkpoints that have no manifest in a view and are not purged; in
  /// order.
  public List<Attempt> attempts(View view) {
    NavigableSet<CheckpointId> folders = objects.folders();
    folders.removeAll(view.manifests().keySet());
    view.damaged().forEach(damaged -> Names.manifestOf(damaged.file()).ifPresent(folders::remove));
    TombsSeen tombs = tombs(folders);
    return folders.stream()
        .filter(id -> !tombs.purged(id) && !tombs.doubtful(id))
        .map(objects::attempt)
        .toList();
  }

  /// Purged checkpoints of which something still lies there.
  public List<CheckpointId> leftovers() {
    NavigableSet<CheckpointId> ids = objects.folders();
    ids.addAll(objects.manifestNames());
    TombsSeen tombs = tombs(ids);
    return ids.stream().filter(tombs::purged).toList();
  }

  /// Looks at holds alone.
  public Set<HoldName> holds() {
    return objects.holds();
  }

  /// Looks at facts alone.
  public FactsSeen lookAtFacts() {
    return objects.facts();
  }

  /// The name of the next batch of a writer: one that was never used, by this process or by an
  /// earlier one of that nonce.
  public BatchName nextBatch(String nonce) {
    return objects.nextBatch(nonce);
  }

  /// What this process has read of facts, without looking: who writes one writes it after these.
  public Facts knownFacts() {
    return objects.knownFacts();
  }

  /// Looks as [#look] does, and reads every end: for who is about to write down all of it.
  public LookToRecord lookToRecord() {
    ManifestsSeen manifests = objects.manifests();
    StartsSeen starts = objects.starts();
    Objects.Ends ends = objects.ends();
    return new LookToRecord(
        view(manifests, starts, ends, ends.tombs().tombs().keySet()), ends.facts());
  }

  /// @param view the run
  /// @param facts what lies there of facts, and how much of it is in a snapshot already
  public record LookToRecord(View view, FactsSeen facts) {}

  /// Looks at starts alone.
  public StartsSeen starts() {
    return objects.starts();
  }

  /// Looks at tombs alone, and reads the ends of one checkpoint.
  public TombsSeen tombs(CheckpointId id) {
    return objects.read(objects.ends().tombs(), id::equals);
  }

  /// Looks at tombs alone, and reads the ends of these checkpoints.
  public TombsSeen tombs(Collection<CheckpointId> ids) {
    return objects.read(objects.ends().tombs(), Set.copyOf(ids)::contains);
  }

  /// Makes the names in a directory of the run durable, whoever put them.
  ///
  /// What another process has linked is seen before it is synced. Who does something for good
  /// because of what he saw syncs first: else a loss of power could undo the reason and leave the
  /// act (a manifest without the part it names, a deletion without its end).
  public void makeDurable(String directory) {
    try {
      tier.syncDirectory(directory);
    } catch (KeepstoneException.NotFound e) {
      // Nothing was seen in it.
    }
  }

  /// The announcement of a start.
  ///
  /// @throws KeepstoneException.NotFound where there is none
  public Start start(int number) {
    return objects
        .start(number)
        .orElseThrow(() -> missing("there is no start " + number, names.start(number)));
  }

  /// The decision of a start, where it has one.
  public Optional<Decision> decision(int start) {
    return objects.decision(start);
  }

  /// A tomb, where it is there.
  public Optional<Tomb> tomb(TombName name) {
    return objects.tomb(name);
  }

  /// All of a manifest.
  ///
  /// @throws KeepstoneException.NotFound where there is none
  public Manifest manifest(CheckpointId id) {
    return findManifest(id)
        .orElseThrow(() -> missing("there is no checkpoint " + id, names.manifest(id)));
  }

  /// All of a manifest, or empty where there is none.
  public Optional<Manifest> findManifest(CheckpointId id) {
    return objects.manifest(id);
  }

  /// What a rank put for a checkpoint, or empty where it has put nothing yet.
  public Optional<PartRecord> part(CheckpointId id, int rank) {
    return objects.part(id, rank);
  }

  /// The parts of a committed checkpoint, in order of rank, each as the manifest says it is.
  ///
  /// @throws KeepstoneException.Integrity where one is missing or another than the manifest's
  public List<Part> parts(Manifest manifest) {
    return objects.parts(manifest);
  }

  private KeepstoneException.NotFound missing(String what, String name) {
    return new KeepstoneException.NotFound(
        what,
        tier.describe(name),
        "keepstone ls " + tier.describe(name()) + " shows what is there");
  }
}
