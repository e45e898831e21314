package dev.keepstone.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/// Small safetensors files, written without any code of ours.
final class Tensors {
  private static final String HEADER =
      """
      {"__metadata__":{"format":"pt"},\
      "bias":{"dtype":"BF16","shape":[3],"data_offsets":[24,30]},\
      "weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}\
      """;

  private Tensors() {}

  /// Two tensors: `weight`, F32 of 2 × 3, and `bias`, BF16 of 3.
  static Path write(Path file) throws IOException {
    byte[] header = HEADER.getBytes(StandardCharsets.UTF_8);
    ByteBuffer bytes = ByteBuffer.allocate(8 + header.length + 30).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(header.length).put(header);
    for (int i = 0; i < 6; i++) {
      bytes.putFloat(i + 0.5f);
    }
    for (int i = 0; i < 3; i++) {
      bytes.putShort((short) (0x3f80 + i));
    }
    return Files.write(file, bytes.array());
  }
}
