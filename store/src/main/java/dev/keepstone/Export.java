package dev.keepstone;

import dev.keepstone.core.convert.Conversion;
import dev.keepstone.core.convert.ConvertPlan;
import dev.keepstone.core.convert.ConvertReport;
import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.convert.Selection;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;

/// Writes the tensors of a checkpoint as safetensors, for the tools that people have.
public final class Export {
  private Export() {}

  /// What is wanted.
  ///
  /// @param component whose tensors; where it is empty `model`, or the only one
  /// @param maxShardBytes tensor bytes per file of a set
  public record Options(Optional<String> component, Selection selection, long maxShardBytes) {
    /// The model, all of it, in files of at most 5 GB.
    public static final Options DEFAULT =
        new Options(Optional.empty(), Selection.ALL, ConvertPlan.DEFAULT_MAX_SHARD_BYTES);
  }

  /// Copies one component of a checkpoint.
  ///
  /// A target whose name ends in `.safetensors` becomes that file. Any other becomes a folder with
  /// `model.safetensors`, or a set and its index, and the model's `config.json` where the
  /// checkpoint has one: what weights-only readers load.
  ///
  /// @param source reference or path, as [Checkpoints#open] takes it
  /// @param target a name that is free
  /// @throws KeepstoneException of the kind of what went wrong; nothing lies under the target's
  ///   name then
  public static ConvertReport run(
      Host host, String source, Path target, Options options, Progress progress) {
    try (CheckpointView view = Checkpoints.open(host, source)) {
      boolean folder = !target.toString().endsWith(".safetensors");
      List<ConvertPlan.SmallFile> beside =
          view.config()
              .map(config -> List.of(new ConvertPlan.SmallFile("config.json", config)))
              .orElse(List.of());
      ConvertPlan plan =
          ConvertPlan.toSafetensors(
              component(view, options.component(), source),
              new ConvertPlan.Wish(options.selection(), folder, options.maxShardBytes(), beside));
      return Conversion.run(host.disk(), view, plan, target, progress);
    } catch (IOException e) {
      throw KeepstoneException.from(e, "could not read the checkpoint", source);
    }
  }

  private static List<StoredTensor> component(
      CheckpointView view, Optional<String> wanted, String source) {
    TreeSet<String> components = new TreeSet<>();
    view.tensors().forEach(tensor -> components.add(tensor.component()));
    String chosen = wanted.orElse(components.contains("model") ? "model" : components.pollFirst());
    if (wanted.isEmpty() && !"model".equals(chosen) && !components.isEmpty()) {
      throw new KeepstoneException.Refused(
          "the checkpoint has no component \"model\", and several others",
          source,
          "name one: " + chosen + ", " + String.join(", ", components));
    }
    List<StoredTensor> tensors =
        view.tensors().stream().filter(tensor -> tensor.component().equals(chosen)).toList();
    if (tensors.isEmpty() && wanted.isPresent()) {
      throw new KeepstoneException.NotFound(
          "the checkpoint has no component \"" + chosen + "\"",
          source,
          "name one of " + String.join(", ", components));
    }
    return tensors;
  }
}
