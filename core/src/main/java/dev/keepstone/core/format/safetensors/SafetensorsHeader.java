package dev.keepstone.core.format.safetensors;

import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// What a safetensors file says about itself, checked.
///
/// @param entries in file order; together they cover the data without hole or overlap
/// @param metadata `__metadata__`, in the order of the file; empty where it is absent
/// @param dataStart where tensor bytes begin in the file: 8 + length of the JSON
public record SafetensorsHeader(List<Entry> entries, Map<String, String> metadata, long dataStart) {
  /// The longest JSON header of the format, in bytes; a cap of the reference reader.
  public static final int MAX_JSON_BYTES = 100_000_000;

  public SafetensorsHeader {
    entries = entries instanceof EntryColumns ? entries : List.copyOf(entries);
    metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
  }

  /// One tensor as the header names it.
  ///
  /// @param dtype as stored; [SafetensorsHeader#tensors] knows the true one
  /// @param begin first byte, relative to [SafetensorsHeader#dataStart]
  /// @param end after the last byte, relative to the same
  public record Entry(String name, Dtype dtype, Shape shape, long begin, long end) {}

  /// Bytes of the whole file.
  public long fileLength() {
    return dataStart + (entries.isEmpty() ? 0 : entries.getLast().end());
  }

  /// The tensors of all entries, in file order, with their true dtypes and shapes: a type that
  /// safetensors lacks stands in the file as `U8` (docs/spec/store.md, section Shard).
  public List<Tensor> tensors() {
    TrueDtypes dtypes = TrueDtypes.of(metadata);
    return entries.stream().map(dtypes::restore).toList();
  }
}
