package dev.keepstone.core.convert;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Tensor;
import java.util.List;

/// What a conversion did.
///
/// @param format of what was written
/// @param bytesRead tensor bytes
/// @param bytesWritten all bytes of all files
/// @param operations in the order they were done
/// @param unused tensors of the source that the selection left out
public record ConvertReport(
    String format, long bytesRead, long bytesWritten, List<Done> operations, List<String> unused) {
  public ConvertReport {
    operations = List.copyOf(operations);
    unused = List.copyOf(unused);
  }

  /// The report as `--json` has it; who measured the time adds it.
  public Json.Obj toJson() {
    return Json.object()
        .put("format", format)
        .put("bytes_read", bytesRead)
        .put("bytes_written", bytesWritten)
        .put("operations", Json.array(operations.stream().map(Done::toJson).toList()))
        .put("unused", Json.array(unused.stream().map(Json::of).toList()))
        .put("unfilled", Json.array(List.of()))
        .build();
  }

  /// A tensor that was copied.
  ///
  /// @param source name in the source
  /// @param target as it was written
  /// @param crc32 of its bytes
  public record Done(String source, Tensor target, int crc32) {
    private Json toJson() {
      return Json.object()
          .put("sources", Json.array(List.of(Json.of(source))))
          .put("operation", "copy")
          .put("target", target.name())
          .put("dtype", target.dtype().name())
          .put("shape", Json.integers(target.shape().extents()))
          .put("crc32", Crc32.hex(crc32))
          .build();
    }
  }
}
