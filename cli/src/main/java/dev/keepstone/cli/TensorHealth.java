package dev.keepstone.cli;

import dev.keepstone.core.health.Health;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The health of one tensor, from the receipts of its pieces: no tensor byte is read.
///
/// @param health null where some piece has none
record TensorHealth(String component, Tensor tensor, @Nullable Health health) {
  private record Key(String component, String name) {}

  /// Of all tensors, worst first: most elements that are not finite, then the largest.
  static List<TensorHealth> of(List<Part> parts) {
    Map<Key, TensorHealth> tensors = new LinkedHashMap<>();
    for (Part part : parts) {
      for (ShardReceipt shard : part.shards()) {
        for (PieceReceipt piece : shard.pieces()) {
          Tensor tensor = piece.piece().tensor();
          if (tensor.shape().elementCount() > 0 && piece.bytes() == 0) {
            continue;
          }
          tensors.merge(
              new Key(shard.component(), tensor.name()),
              new TensorHealth(shard.component(), tensor, piece.health()),
              TensorHealth::with);
        }
      }
    }
    List<TensorHealth> worst = new ArrayList<>(tensors.values());
    worst.sort(
        Comparator.comparingLong(TensorHealth::nonfinite)
            .thenComparingDouble(TensorHealth::magnitude)
            .reversed());
    return worst;
  }

  private TensorHealth with(TensorHealth other) {
    Health mine = health;
    Health its = other.health;
    return new TensorHealth(
        component,
        tensor,
        mine == null || its == null
            ? null
            : new Health(
                mine.nonfinite() + its.nonfinite(),
                pick(mine.min(), its.min(), true),
                pick(mine.max(), its.max(), false),
                norm(mine.norm(), its.norm())));
  }

  private static @Nullable Double pick(@Nullable Double a, @Nullable Double b, boolean least) {
    if (a == null || b == null) {
      return a == null ? b : a;
    }
    return least ? Math.min(a, b) : Math.max(a, b);
  }

  private static @Nullable Double norm(@Nullable Double a, @Nullable Double b) {
    if (a == null || b == null) {
      return a == null ? b : a;
    }
    double both = Math.hypot(a, b);
    return Double.isFinite(both) ? both : null;
  }

  private long nonfinite() {
    return health == null ? -1 : health.nonfinite();
  }

  private double magnitude() {
    Health known = health;
    Double min = known == null ? null : known.min();
    Double max = known == null ? null : known.max();
    return min == null || max == null ? -1 : Math.max(Math.abs(min), Math.abs(max));
  }

  static void tell(List<TensorHealth> worst, Console console) {
    Table table = new Table(console.columns(), "", "nonfinite>", "min>", "max>", "norm>", "tensor");
    int unknown = 0;
    for (TensorHealth one : worst) {
      Health health = one.health;
      if (health == null) {
        unknown++;
        continue;
      }
      table.row(
          Long.toString(health.nonfinite()),
          text(health.min()),
          text(health.max()),
          text(health.norm()),
          one.component + ": " + one.tensor.name());
    }
    console.say("");
    table.lines().forEach(console::say);
    if (unknown > 0) {
      console.say(Units.count(unknown, "tensor") + " without health: of a type that has no order");
    }
  }

  private static String text(@Nullable Double value) {
    return value == null ? "-" : String.format(Locale.ROOT, "%.4g", value);
  }

  Json.Obj json() {
    Json.Builder fields =
        Json.object()
            .put("component", component)
            .put("name", tensor.name())
            .put("dtype", tensor.dtype().name())
            .put("shape", Json.integers(tensor.shape().extents()))
            .put("bytes", tensor.byteLength());
    return fields.put("health", health == null ? Json.NULL : health.toJson()).build();
  }
}
