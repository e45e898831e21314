package dev.keepstone;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.format.safetensors.SafetensorsWriter;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredTensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/// A safetensors file of a few kinds of tensors, and what is in it.
final class ForeignFile {
  static final List<Tensor> TENSORS =
      List.of(
          new Tensor("layers.0.weight", Dtype.F32, Shape.of(400_000)),
          new Tensor("phase", Dtype.C128, Shape.of(3)),
          new Tensor("layers.0.bias", Dtype.BF16, Shape.of(5)),
          new Tensor("mask", Dtype.BOOL, Shape.of(7)),
          new Tensor("empty", Dtype.I64, Shape.of(0, 4)),
          new Tensor("scalar", Dtype.F64, Shape.SCALAR));

  private ForeignFile() {}

  /// Writes it, and tells the bytes by name.
  static Map<String, byte[]> write(Disk disk, Path path, Map<String, String> metadata)
      throws IOException {
    Map<String, byte[]> content = new LinkedHashMap<>();
    disk.createDirectories(path.resolveSibling(".").normalize());
    try (OpenFile file = disk.create(path);
        SafetensorsWriter writer = SafetensorsWriter.begin(file, TENSORS, metadata)) {
      Random random = new Random(7);
      for (Tensor tensor : TENSORS) {
        byte[] bytes = new byte[(int) tensor.byteLength()];
        if (tensor.dtype() == Dtype.F32) {
          ByteBuffer floats = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
          while (floats.hasRemaining()) {
            floats.putFloat(random.nextFloat());
          }
        } else if (tensor.dtype() == Dtype.F64) {
          ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putDouble(-2.5);
        } else if (tensor.dtype() != Dtype.BF16) {
          random.nextBytes(bytes);
        }
        content.put(tensor.name(), bytes);
        writer.write(MemorySegment.ofArray(bytes));
      }
      writer.finish();
    }
    return content;
  }

  /// All tensors of a view.
  static Map<String, byte[]> read(CheckpointView view) throws IOException {
    Map<String, byte[]> content = new LinkedHashMap<>();
    for (StoredTensor tensor : view.tensors()) {
      byte[] bytes = new byte[(int) tensor.tensor().byteLength()];
      view.read(tensor, tensor.pieces().getFirst(), 0, MemorySegment.ofArray(bytes));
      content.put(tensor.tensor().name(), bytes);
    }
    return content;
  }

  /// Whether two checkpoints hold the same tensors with the same bytes.
  static boolean same(Map<String, byte[]> a, Map<String, byte[]> b) {
    return a.keySet().equals(b.keySet())
        && a.entrySet().stream().allMatch(e -> Arrays.equals(e.getValue(), b.get(e.getKey())));
  }
}
