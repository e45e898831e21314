package dev.keepstone.agent.drain;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.state.StateTree;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.file.SegmentFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// What a sealed slot holds beside tensors (docs/spec/segment.md §3.1), checked against its seal.
///
/// @param metrics of the save
/// @param tree the registered state tree with its holes filled
public record StateArea(Json.Obj metrics, Json.Obj tree) {
  /// Reads the area of a sealed slot.
  ///
  /// @throws KeepstoneException.Integrity where it is not what was sealed
  public static StateArea read(SegmentFile segment, SealRecord seal) {
    MemorySegment area = segment.stateArea(seal.slot()).asSlice(0, seal.stateBytes());
    String on = segment.path() + ", slot " + seal.slot() + ", generation " + seal.generation();
    int crc = Crc32.of(area);
    if (crc != seal.stateCrc()) {
      throw new KeepstoneException.Integrity(
          "state area: expected crc32 " + Crc32.hex(seal.stateCrc()) + ", found " + Crc32.hex(crc),
          on,
          "look for a stray write in the trainer");
    }
    try {
      Json.Obj document = JsonReader.readObject(area.toArray(ValueLayout.JAVA_BYTE));
      Json tree =
          StateTree.fillJson(segment.layout().state(), new Json.Array(document.array("values")));
      if (!(tree instanceof Json.Obj filled)) {
        throw new JsonException("the state tree is no object");
      }
      return new StateArea(document.object("metrics"), filled);
    } catch (JsonException | IllegalArgumentException e) {
      throw new KeepstoneException.Integrity(
          "state area: " + e.getMessage(), on, "use a client and an agent of one version", e);
    }
  }
}
