package dev.keepstone.core.format.safetensors;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.keepstone.core.bytes.MemoryFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.tensor.Tensor;
import java.io.IOException;
import java.util.List;

/// In the build: over the seeds, which are the files under fixtures/safetensors. With
/// `JAZZER_FUZZ=1` in the environment: on from there.
class SafetensorsFuzzTest {
  @FuzzTest
  void anyBytesAreRefusedOrAHeaderThatHolds(byte[] bytes) throws IOException {
    SafetensorsHeader header;
    try {
      header = SafetensorsReader.read(new MemoryFile(bytes), "fuzzed");
    } catch (KeepstoneException.Integrity e) {
      assertThat(e.on()).startsWith("fuzzed");
      return;
    }
    assertThat(header.fileLength()).isEqualTo(bytes.length);
    List<Tensor> tensors = header.tensors();
    long at = 0;
    for (SafetensorsHeader.Entry entry : header.entries()) {
      assertThat(entry.begin()).isEqualTo(at);
      at = entry.end();
    }
    byte[] again = SafetensorsEncoder.header(tensors, header.metadata(), 8);
    SafetensorsHeader reread =
        SafetensorsReader.read(MemoryFile.of(again, at), "written from what was read");
    assertThat(reread.tensors()).isEqualTo(tensors);
  }
}
