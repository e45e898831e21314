package dev.keepstone.core.convert;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.format.safetensors.SafetensorsWriter;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.CheckpointView;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// Carries out a plan.
public final class Conversion {
  /// What readers that look for a framework want to see.
  private static final Map<String, String> METADATA = Map.of("format", "pt");

  private final Disk disk;
  private final CheckpointView source;
  private final ConvertPlan plan;
  private final List<ConvertReport.Done> done = new ArrayList<>();
  private long bytesWritten;

  private Conversion(Disk disk, CheckpointView source, ConvertPlan plan) {
    this.disk = disk;
    this.source = source;
    this.plan = plan;
  }

  /// Writes the files of a plan and publishes them under the target's name, all at once.
  ///
  /// Interrupting the thread ends it like any failure: nothing is left.
  ///
  /// @param source the view that the plan was made of
  /// @throws KeepstoneException of the kind of what went wrong; nothing lies under the target's
  ///   name then that did not before
  public static ConvertReport run(
      Disk disk, CheckpointView source, ConvertPlan plan, Path target, Progress progress) {
    try {
      return new Conversion(disk, source, plan).run(target, progress);
    } catch (IOException e) {
      throw KeepstoneException.from(e, "could not write the tensors", target.toString());
    }
  }

  private ConvertReport run(Path path, Progress progress) throws IOException {
    try (Target target = new Target(disk, path, plan.folder());
        TensorCopy copy =
            new TensorCopy(
                source,
                plan.files().stream().flatMap(file -> file.shares().stream()).toList(),
                progress)) {
      for (ConvertPlan.TensorFile file : plan.files()) {
        try (OpenFile out = target.create(file.name())) {
          write(file, copy, out);
        }
      }
      for (ConvertPlan.SmallFile extra : plan.extras()) {
        try (OpenFile out = target.create(extra.name())) {
          out.write(0, MemorySegment.ofArray(extra.content()));
          out.sync();
          bytesWritten += extra.content().length;
        }
      }
      target.publish();
    }
    return new ConvertReport("safetensors", plan.tensorBytes(), bytesWritten, done, plan.unused());
  }

  private void write(ConvertPlan.TensorFile file, TensorCopy copy, OpenFile out)
      throws IOException {
    List<Tensor> tensors = file.shares().stream().map(Share::target).toList();
    try (SafetensorsWriter writer = SafetensorsWriter.begin(out, tensors, METADATA)) {
      for (Share share : file.shares()) {
        copy.copy(share, writer::write);
      }
      SafetensorsWriter.Written written = writer.finish();
      bytesWritten += written.fileBytes();
      for (int i = 0; i < tensors.size(); i++) {
        Tensor tensor = tensors.get(i);
        int crc = Granules.combine(written.granules().get(i), tensor.byteLength());
        done.add(new ConvertReport.Done(tensor.name(), tensor, crc));
      }
    }
  }
}
