package dev.keepstone.bench;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.format.safetensors.SafetensorsEncoder;
import dev.keepstone.core.format.safetensors.SafetensorsHeader;
import dev.keepstone.core.format.safetensors.SafetensorsReader;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// Reading the header of a safetensors file: one of 100,000 tensors, and one as long as the format
/// allows (1,000,000 tensors with names of 40 letters make 96 MB).
///
/// A single shot in a fresh JVM is what the command does; so each fork measures its first call,
/// too.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 0)
@Measurement(iterations = 5)
@Fork(value = 3, jvmArgs = "-Xmx1g")
public class HeaderBench {
  /// Tensors in the file.
  @Param({"100000", "1000000"})
  public int tensors = 100_000;

  private Path file = Path.of("unset");

  /// Writes the file; its tensors are empty, so that it has a header and nothing else.
  @Setup
  public void write() throws IOException {
    List<Tensor> all = new ArrayList<>(tensors);
    for (int i = 0; i < tensors; i++) {
      all.add(
          new Tensor(
              "model.layers.%07d.self_attention.weight".formatted(i), Dtype.F32, Shape.of(0, 8)));
    }
    byte[] header = SafetensorsEncoder.header(all, Map.of("format", "pt"), OpenFile.ALIGNMENT);
    file = Files.createTempFile("header", ".safetensors");
    Files.delete(file);
    try (OpenFile open = Disk.local().create(file);
        Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(header.length, OpenFile.ALIGNMENT);
      MemorySegment.copy(header, 0, bytes, ValueLayout.JAVA_BYTE, 0, header.length);
      open.write(0, bytes);
    }
  }

  @TearDown
  public void delete() throws IOException {
    Files.delete(file);
  }

  @Benchmark
  public SafetensorsHeader read() throws IOException {
    try (OpenFile open = Disk.local().open(file)) {
      return SafetensorsReader.read(open, file.toString());
    }
  }
}
