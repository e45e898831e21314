package dev.keepstone.agent.drain;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.file.SegmentFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

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
      Json tree = fill(segment.layout().state(), document.array("values"));
      if (!(tree instanceof Json.Obj filled)) {
        throw new JsonException("the state tree is no object");
      }
      return new StateArea(document.object("metrics"), filled);
    } catch (JsonException | IllegalArgumentException e) {
      throw new KeepstoneException.Integrity(
          "state area: " + e.getMessage(), on, "use a client and an agent of one version", e);
    }
  }

  /// The registered document with each hole replaced by its value.
  private static Json fill(Json template, List<Json> values) {
    return switch (template) {
      case Json.Obj object -> {
        if (object.get("~") instanceof Json.Text(String word) && word.equals("hole")) {
          long index = object.integer("v");
          if (index < 0 || index >= values.size()) {
            throw new JsonException(
                "hole " + index + " has no value: expected " + values.size() + " holes at most");
          }
          yield values.get((int) index);
        }
        Json.Builder filled = Json.object();
        object.fields().forEach((name, value) -> filled.put(name, fill(value, values)));
        yield filled.build();
      }
      case Json.Array(List<Json> items) ->
          new Json.Array(items.stream().map(item -> fill(item, values)).toList());
      case Json.Null _, Json.Bool _, Json.Int _, Json.Real _, Json.Text _ -> template;
    };
  }
}
