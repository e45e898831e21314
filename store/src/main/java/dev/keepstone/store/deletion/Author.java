package dev.keepstone.store.deletion;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;

/// Who deletes: its name in tombs, and its pen. What counts are tombs and ends; the journal is told
/// afterwards, for people, and may miss what its writer did not live to tell.
///
/// @param nonce of the process
/// @param who the process or person
/// @param journal of the run
public record Author(String nonce, String who, Journal journal) {
  private static final int MOST_WHY = 1000;

  public static Author of(Run run, InstantSource clock, String nonce, String who) {
    return new Author(nonce, who, Journal.of(run, clock, nonce, who));
  }

  /// Writes down what was done.
  ///
  /// @return the events, and whether that failed
  List<DeletionEvent> tell(List<DeletionEvent> events) {
    List<Fact> facts = new ArrayList<>();
    CheckpointId any = null;
    for (DeletionEvent event : events) {
      switch (event) {
        case DeletionEvent.Announced(CheckpointId id, int k, String why) ->
            facts.add(new Fact.Deleted(id, k, Fact.Act.ANNOUNCED, cut(why), who));
        case DeletionEvent.Spared(CheckpointId id, int k, String why) ->
            facts.add(new Fact.Deleted(id, k, Fact.Act.RESTORED, cut(why), who));
        case DeletionEvent.Purged(CheckpointId id, int k, String why, long _) ->
            facts.add(new Fact.Deleted(id, k, Fact.Act.PURGED, cut(why), who));
        case DeletionEvent.Cleared _, DeletionEvent.Failed _, DeletionEvent.Unwritten _ -> {}
      }
      any = event.id();
    }
    if (any == null || facts.isEmpty()) {
      return events;
    }
    try {
      journal.append(facts);
      return events;
    } catch (KeepstoneException e) {
      List<DeletionEvent> all = new ArrayList<>(events);
      all.add(new DeletionEvent.Unwritten(any, e));
      return all;
    }
  }

  /// Writes down what was taken back.
  void tellUndone(List<TombName> tombs) {
    List<Fact> facts = new ArrayList<>();
    tombs.forEach(tomb ->
        facts.add(new Fact.Deleted(tomb.id(), tomb.k(), Fact.Act.RESTORED, "taken back", who)));
    if (!facts.isEmpty()) {
      journal.append(facts);
    }
  }

  /// A reason may name many checkpoints; the journal takes so much.
  private static String cut(String why) {
    return why.length() <= MOST_WHY ? why : why.substring(0, MOST_WHY - 1) + "…";
  }
}
