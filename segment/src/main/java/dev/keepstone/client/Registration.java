package dev.keepstone.client;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.layout.LayoutRequest;
import dev.keepstone.segment.wire.Request;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The form of a trainer's state: what every save until the next registration will hold.
///
/// @param sources all tensors
/// @param state the state tree of docs/spec/state-tree.md, with holes where values change
/// @param configs the own configuration of each component that has one
/// @param provenance which client and framework writes
/// @param space how much shared memory it may take
public record Registration(
    List<Source> sources, Json.Obj state, Json.Obj configs, Json.Obj provenance, Space space) {
  /// @param slots 2 to 16; with two, a save waits while the one before the last is draining
  /// @param budget bytes for all segments of this run on this node; null for the agent's own
  /// @param limitRate drain limit in bytes per second; null for none
  public record Space(int slots, @Nullable Long budget, @Nullable Long limitRate) {
    /// Two slots, the agent's budget, no limit.
    public static final Space DEFAULT = new Space(2, null, null);
  }

  public Registration {
    sources = List.copyOf(sources);
  }

  Request.Register request(long stateBytes, Duration patience) {
    LayoutRequest layout =
        new LayoutRequest(
            sources.stream().map(Source::registered).toList(),
            state,
            stateBytes,
            configs,
            provenance);
    return new Request.Register(
        layout, space.slots(), space.budget(), space.limitRate(), patience.toMillis());
  }
}
