package dev.keepstone.segment.layout;

import dev.keepstone.core.json.Json;
import java.util.List;

/// What a trainer registers: the form of its state, apart from the values.
///
/// @param pieces in the trainer's order; offsets are answered in the same order
/// @param state the state tree with holes
/// @param stateBytes what the state area needs now; capacity becomes at least twice that
/// @param configs the own configuration of each component that has one
/// @param provenance which client and framework wrote it
public record LayoutRequest(
    List<RegisteredPiece> pieces,
    Json state,
    long stateBytes,
    Json.Obj configs,
    Json.Obj provenance) {
  public LayoutRequest {
    pieces = List.copyOf(pieces);
  }
}
