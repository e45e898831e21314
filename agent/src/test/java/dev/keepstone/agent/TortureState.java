package dev.keepstone.agent;

import dev.keepstone.client.Registration;
import dev.keepstone.client.Source;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// A training state of some MiB in which every byte follows from the step, the tensor and the
/// place.
final class TortureState {
  /// Elements of eight bytes of each tensor, by name.
  private static final Map<String, Integer> TENSORS =
      Map.of(
          "embed", 130_001, "head", 7, "empty", 0, "moment", 140_000, "square", 60_000, "base",
          100_003, "still", 150_000);

  private static final List<String> MODEL = List.of("embed", "head", "empty", "base", "still");

  /// What never changes: promised by the trainer, and seen by the agent alone.
  private static final String FROZEN = "base";

  private static final Set<String> UNCHANGING = Set.of(FROZEN, "still");
  private static final List<String> OPTIMIZER = List.of("moment", "square");

  private final Map<String, MemorySegment> memory = new LinkedHashMap<>();

  TortureState() {
    TENSORS.forEach((name, count) -> memory.put(name, Arena.global().allocate(count * 8L, 8)));
  }

  void set(long step) {
    memory.forEach((name, bytes) -> {
      for (long i = 0; i < bytes.byteSize() / 8; i++) {
        bytes.setAtIndex(ValueLayout.JAVA_LONG, i, expected(name, step, i));
      }
    });
  }

  /// The i-th element.
  static long expected(String tensor, long step, long i) {
    long of = UNCHANGING.contains(tensor) ? 0 : step;
    long mixed = (of * 0x9E3779B97F4A7C15L ^ tensor.hashCode()) + i * 0xBF58476D1CE4E5B9L;
    return mixed ^ mixed >>> 29;
  }

  /// The first place where bytes of a tensor are not those of a step.
  ///
  /// @param offset of the bytes in the tensor
  static Optional<String> wrong(String tensor, long step, long offset, MemorySegment bytes) {
    for (long at = 0; at + 8 <= bytes.byteSize(); at += 8) {
      long found = bytes.get(ValueLayout.JAVA_LONG_UNALIGNED, at);
      if (found != expected(tensor, step, (offset + at) / 8)) {
        return Optional.of(tensor + " at byte " + (offset + at) + " is not that of step " + step);
      }
    }
    return Optional.empty();
  }

  static long byteLength() {
    return TENSORS.values().stream().mapToLong(count -> count * 8L).sum();
  }

  /// What the one hole of the state tree holds at a step.
  static Json tokens(long step) {
    return Json.of(step * 1000);
  }

  /// The state tree as it comes back from a restore.
  static Json.Obj tree(Json tokens) {
    return Json.object()
        .put("state", Json.object().put("tokens", tokens).build())
        .put("keepstone", Json.object().build())
        .build();
  }

  Registration registration() {
    Json.Obj none = Json.object().build();
    return new Registration(
        List.of("embed", "moment", "base", "head", "still", "empty", "square").stream()
            .map(this::source)
            .toList(),
        tree(Json.object().put("~", "hole").put("v", 0).build()),
        none,
        Json.object().put("client", "torture").build(),
        Registration.Space.DEFAULT);
  }

  private Source source(String name) {
    MemorySegment bytes = memory.get(name);
    if (bytes == null || MODEL.contains(name) == OPTIMIZER.contains(name)) {
      throw new IllegalStateException(name);
    }
    Tensor tensor = new Tensor(name, Dtype.I64, new Shape(List.of(bytes.byteSize() / 8)));
    Source source = Source.of(MODEL.contains(name) ? "model" : "optimizer", tensor, bytes);
    return name.equals(FROZEN) ? source.asFrozen() : source;
  }
}
