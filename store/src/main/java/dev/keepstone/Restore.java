package dev.keepstone;

import dev.keepstone.core.convert.Conversion;
import dev.keepstone.core.convert.ConvertPlan;
import dev.keepstone.core.convert.ConvertReport;
import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.convert.Share;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.view.StoredTensor;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.run.Run;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/// Writes all of a checkpoint into a folder of plain files, without any trainer: tensors as
/// safetensors, joined from the pieces in which ranks saved them, and state trees.
public final class Restore {
  /// The most ranks that a checkpoint is written for.
  private static final int MAX_RANKS = 100_000;

  /// The state tree of a rank (docs/spec/state-tree.md).
  private static final String STATE = "state.json";

  /// Which part of which tensor a rank's folder holds.
  private static final String SHARES = "shares.json";

  private Restore() {}

  /// What is wanted.
  ///
  /// @param maxShardBytes tensor bytes per file of a set
  /// @param ranks empty: one folder with every tensor whole; else one for each of so many ranks,
  ///   with its even share of every tensor along the first dimension
  public record Options(long maxShardBytes, OptionalInt ranks) {}

  /// What was restored.
  ///
  /// @param world ranks that saved it
  public record Report(String run, CheckpointId id, int world, ConvertReport report) {}

  /// Restores a checkpoint. Every byte read is checked.
  ///
  /// @param reference of a checkpoint in a store
  /// @param folder a name that is free; it appears with everything in it, or not at all
  /// @throws KeepstoneException.Refused where the name is taken, or the ranks are too many
  /// @throws KeepstoneException of the kind of what went wrong; nothing lies under the folder's
  ///   name then
  public static Report run(
      Host host, String reference, Path folder, Options options, Progress progress) {
    Reference parsed = Reference.parse(reference, host.disk());
    Run run = Store.open(host, parsed.store()).run(parsed.run());
    CheckpointId id = run.lookDecided(host.clock()).find(parsed.which());
    try (StoredView view = StoredView.open(host, run, id)) {
      Map<String, List<StoredTensor>> components = new LinkedHashMap<>();
      view.tensors()
          .forEach(tensor ->
              components.computeIfAbsent(tensor.component(), _ -> new ArrayList<>()).add(tensor));
      ConvertPlan plan =
          options.ranks().isPresent()
              ? forRanks(view, components, options.ranks().getAsInt(), options.maxShardBytes())
              : whole(view, components, options.maxShardBytes());
      ConvertReport report = Conversion.run(host.disk(), view, plan, folder, progress);
      return new Report(run.name(), id, view.ranks(), report);
    } catch (IOException e) {
      throw KeepstoneException.from(e, "could not read the checkpoint", reference);
    }
  }

  private static ConvertPlan whole(
      StoredView view, Map<String, List<StoredTensor>> components, long maxShardBytes) {
    List<ConvertPlan.SmallFile> beside = new ArrayList<>();
    beside.add(new ConvertPlan.SmallFile(STATE, JsonWriter.bytes(view.state(0))));
    config(view, beside);
    return ConvertPlan.toFolder(components, maxShardBytes, beside);
  }

  private static ConvertPlan forRanks(
      StoredView view, Map<String, List<StoredTensor>> components, int ranks, long maxShardBytes) {
    if (ranks < 1 || ranks > MAX_RANKS) {
      throw new KeepstoneException.Refused(
          "expected 1 to " + MAX_RANKS + " ranks, found " + ranks,
          "ranks to restore for",
          "name a number in between");
    }
    List<ConvertPlan.SmallFile> beside = new ArrayList<>();
    for (int rank = 0; rank < ranks; rank++) {
      String inside = ConvertPlan.rankFolder(rank) + "/";
      // What a rank keeps for itself means something on as many ranks only.
      Json.Obj state = view.state(ranks == view.ranks() ? rank : 0);
      beside.add(new ConvertPlan.SmallFile(inside + STATE, JsonWriter.bytes(state)));
      Json.Obj shares = shares(view, rank, ranks);
      beside.add(new ConvertPlan.SmallFile(inside + SHARES, JsonWriter.bytes(shares)));
    }
    config(view, beside);
    return ConvertPlan.toRanks(components, ranks, maxShardBytes, beside);
  }

  private static Json.Obj shares(StoredView view, int rank, int ranks) {
    List<Json> shares = new ArrayList<>();
    for (StoredTensor stored : view.tensors()) {
      Slice slice = Share.of(stored, rank, ranks).slice();
      shares.add(
          Json.object()
              .put("component", stored.component())
              .put("name", stored.tensor().name())
              .put("dtype", stored.tensor().dtype().name())
              .put("shape", Json.integers(stored.tensor().shape().extents()))
              .put("offset", Json.integers(slice.offset()))
              .put("extent", Json.integers(slice.extent().extents()))
              .build());
    }
    return Json.object()
        .put("rank", rank)
        .put("ranks", ranks)
        .put("tensors", Json.array(shares))
        .build();
  }

  private static void config(StoredView view, List<ConvertPlan.SmallFile> beside) {
    view.config().ifPresent(config -> beside.add(new ConvertPlan.SmallFile("config.json", config)));
  }
}
