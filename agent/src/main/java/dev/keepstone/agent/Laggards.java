package dev.keepstone.agent;

import dev.keepstone.store.commit.Commit.Written;
import dev.keepstone.store.reference.CheckpointId;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// What can be said of ranks whose parts are missing: of those on this node how far they are, of
/// others what they have written.
final class Laggards {
  /// As many are described.
  private static final int MOST = 8;

  private final LiveRun live;
  private final Roster roster;

  Laggards(LiveRun live, Roster roster) {
    this.live = live;
    this.roster = roster;
  }

  /// Who is missing, and the last that is known of each.
  String describe(CheckpointId id, List<Integer> missing, Map<Integer, Written> written) {
    List<String> told = new ArrayList<>();
    for (int rank : missing.subList(0, Math.min(MOST, missing.size()))) {
      told.add("rank " + rank + " " + progress(id, rank, written.get(rank)));
    }
    String more = missing.size() > MOST ? ", and " + (missing.size() - MOST) + " more ranks" : "";
    return String.join(", ", told) + more;
  }

  private String progress(CheckpointId id, int rank, @Nullable Written written) {
    return here(id, rank)
        .orElseGet(() ->
            written == null
                ? live.arrivals().came(id.start(), rank)
                    ? "has stored nothing of it"
                    : "has never come to this store"
                : "has stored %d bytes in %d files and no part"
                    .formatted(written.bytes(), written.files()));
  }

  /// How far a rank of this node is.
  private Optional<String> here(CheckpointId id, int rank) {
    synchronized (roster) {
      return roster.members(live.key()).reversed().stream()
          .filter(trainer -> trainer.member().rank() == rank)
          .filter(trainer -> trainer.member().start() == id.start())
          .findFirst()
          .map(trainer -> phase(trainer, id));
    }
  }

  private static String phase(Trainer trainer, CheckpointId id) {
    Attempt attempt = trainer.open.get(id);
    if (attempt != null) {
      return switch (attempt.segment().slots.state(attempt.slot())) {
        case DRAINING -> "is on this node and being written";
        case FREE, LENT, SEALED, KEPT -> "is on this node and waits to be written";
      };
    }
    return trainer.gone ? "was on this node and is gone" : "is on this node and has not sealed it";
  }
}
