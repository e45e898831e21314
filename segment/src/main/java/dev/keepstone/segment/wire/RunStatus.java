package dev.keepstone.segment.wire;

import java.util.List;
import org.jspecify.annotations.Nullable;

/// How one run on this node stands.
///
/// @param ranks clients of this run on this node
/// @param lastSealed step; null where none was sealed
/// @param lastDurable step; null where none is durable
/// @param queue sealed generations not yet durable
/// @param held bytes of its segments
/// @param limitRate bytes a second that its drains may write; null for no limit
/// @param gentle whether its drains run at low priority
/// @param due a save that somebody asked for; null where there is none
/// @param slowest of the last checkpoint: the rank here that took longest from seal to part
/// @param saves those under way, oldest first
/// @param heldUp who waits for memory or a slot
public record RunStatus(
    String store,
    String run,
    int start,
    int ranks,
    @Nullable Long lastSealed,
    @Nullable Long lastDurable,
    int queue,
    int failures,
    long held,
    @Nullable Long limitRate,
    boolean gentle,
    @Nullable Due due,
    @Nullable Slowest slowest,
    List<Save> saves,
    List<HeldUp> heldUp) {
  public RunStatus {
    saves = List.copyOf(saves);
    heldUp = List.copyOf(heldUp);
  }

  /// @param needsMs until it is durable, as it was told; null where nothing was measured
  /// @param graceMs how long the rank that was signalled has; null where none was
  public record Due(
      long step, String why, int attempt, @Nullable Double needsMs, @Nullable Long graceMs) {}

  /// @param ms from its seal until its part stood
  public record Slowest(String id, int rank, double ms) {}

  /// One rank's save on its way.
  ///
  /// @param phase the last of `phases`
  /// @param done bytes of `bytes` that are on the disk
  /// @param waitingFor ranks whose parts are missing, 16 at most
  /// @param phases in order, with the time that each took, or has taken so far
  public record Save(
      String id,
      int rank,
      String phase,
      long done,
      long bytes,
      List<Long> waitingFor,
      List<Phase> phases) {
    public Save {
      waitingFor = List.copyOf(waitingFor);
      phases = List.copyOf(phases);
    }
  }

  /// @param name `sealed`, `draining`, `committing`
  public record Phase(String name, double ms) {}

  /// @param why `memory` or `slots`
  public record HeldUp(int rank, String why, double ms) {}
}
