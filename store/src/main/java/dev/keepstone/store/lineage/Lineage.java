package dev.keepstone.store.lineage;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.object.Decision;
import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.object.Start;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.TombsSeen;
import dev.keepstone.store.run.View;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/// The chain behind a checkpoint: itself, what its start went on from, what that one's start went
/// on from, and so on.
public final class Lineage {
  private Lineage() {}

  /// How a checkpoint of the chain stands.
  public enum Standing {
    COMPLETE("complete"),
    /// Its deletion is announced.
    DELETING("deleting"),
    /// A verification found it bad.
    QUARANTINED("quarantined"),
    /// Deleted, and nothing of it is left.
    PURGED("purged"),
    /// Neither here nor deleted: the run was copied without it.
    ABSENT("absent"),
    /// Its manifest cannot be trusted.
    DAMAGED("damaged");

    private final String text;

    Standing(String text) {
      this.text = text;
    }

    public String text() {
      return text;
    }
  }

  /// One checkpoint of the chain.
  ///
  /// @param start that saved it; empty where its object cannot be read
  /// @param part of the first rank, which has provenance and moment; empty where it is gone
  /// @param parent what its start went on from; empty for a fresh start, and where [#parentKnown]
  ///   is false
  /// @param parentKnown whether the start's decision can be read
  public record Link(
      CheckpointId id,
      Standing standing,
      Optional<Start> start,
      Optional<Part> part,
      Optional<CheckpointId> parent,
      boolean parentKnown) {}

  /// The chain that ends in a checkpoint, which comes first.
  public static List<Link> of(Run run, View view, CheckpointId id) {
    List<Link> chain = new ArrayList<>();
    Optional<CheckpointId> next = Optional.of(id);
    // A parent is always of an earlier start (the decision's codec sees to it), so this ends.
    while (next.isPresent()) {
      Link link = link(run, view, next.get());
      chain.add(link);
      next = link.parent();
    }
    return chain;
  }

  private static Link link(Run run, View view, CheckpointId id) {
    Optional<Decision> decision = readable(() -> run.decision(id.start()));
    Optional<CheckpointId> parent =
        decision.flatMap(found ->
            found.parent() instanceof Parent.Of(CheckpointId of)
                ? Optional.of(of)
                : Optional.empty());
    return new Link(
        id,
        standing(run, view, id),
        readable(() -> Optional.of(run.start(id.start()))),
        readable(() -> run.part(id, 0)).filter(Part.class::isInstance).map(Part.class::cast),
        parent,
        decision.isPresent());
  }

  private static Standing standing(Run run, View view, CheckpointId id) {
    TombsSeen tombs = run.tombs(id);
    if (tombs.purged(id)) {
      return Standing.PURGED;
    }
    if (!view.manifests().containsKey(id)) {
      String name = run.names().manifest(id);
      return view.damaged().stream().anyMatch(damaged -> damaged.name().equals(name))
          ? Standing.DAMAGED
          : Standing.ABSENT;
    }
    if (view.quarantined(id)) {
      return Standing.QUARANTINED;
    }
    return tombs.open(id).isPresent() ? Standing.DELETING : Standing.COMPLETE;
  }

  /// What is told of a chain is worth telling without what cannot be read.
  private static <T> Optional<T> readable(Supplier<Optional<T>> read) {
    try {
      return read.get();
    } catch (KeepstoneException.Integrity | KeepstoneException.NotFound e) {
      return Optional.empty();
    }
  }
}
