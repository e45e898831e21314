package dev.keepstone;

import dev.keepstone.core.convert.Conversion;
import dev.keepstone.core.convert.ConvertPlan;
import dev.keepstone.core.convert.ConvertReport;
import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.JsonWriter;
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

/// Writes all of a checkpoint into a folder of plain files: a safetensors file or set per
/// component, and the state tree.
public final class Restore {
  /// The state tree of the checkpoint (docs/spec/state-tree.md).
  private static final String STATE = "state.json";

  private Restore() {}

  /// What was restored.
  public record Report(String run, CheckpointId id, ConvertReport report) {}

  /// Restores a checkpoint of one rank. Every byte read is checked.
  ///
  /// @param reference of a checkpoint in a store
  /// @param folder a name that is free; it appears with everything in it, or not at all
  /// @param maxShardBytes tensor bytes per file of a set
  /// @throws KeepstoneException.Refused where several ranks wrote it, or the name is taken
  /// @throws KeepstoneException of the kind of what went wrong; nothing lies under the folder's
  ///   name then
  public static Report run(
      Host host, String reference, Path folder, long maxShardBytes, Progress progress) {
    Reference parsed = Reference.parse(reference, host.disk());
    Run run = Store.open(host, parsed.store()).run(parsed.run());
    CheckpointId id = run.lookDecided(host.clock()).find(parsed.which());
    try (StoredView view = StoredView.open(host, run, id)) {
      if (view.ranks() > 1) {
        throw new KeepstoneException.Refused(
            view.ranks() + " ranks wrote the checkpoint, and only that of one can be restored",
            run.name() + "@" + id,
            "export takes the tensors that lie whole");
      }
      Map<String, List<StoredTensor>> components = new LinkedHashMap<>();
      view.tensors()
          .forEach(tensor ->
              components.computeIfAbsent(tensor.component(), _ -> new ArrayList<>()).add(tensor));
      List<ConvertPlan.SmallFile> beside = new ArrayList<>();
      view.state()
          .map(JsonWriter::bytes)
          .ifPresent(tree -> beside.add(new ConvertPlan.SmallFile(STATE, tree)));
      view.config()
          .ifPresent(config -> beside.add(new ConvertPlan.SmallFile("config.json", config)));
      ConvertPlan plan = ConvertPlan.toFolder(components, maxShardBytes, beside);
      return new Report(run.name(), id, Conversion.run(host.disk(), view, plan, folder, progress));
    } catch (IOException e) {
      throw KeepstoneException.from(e, "could not read the checkpoint", reference);
    }
  }
}
