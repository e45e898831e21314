package dev.keepstone.core.format.safetensors;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The dtypes that safetensors lacks: their tensors stand as `U8` with one more, last extent (bytes
/// per element), and the metadata field [#KEY] tells the true type by name.
record TrueDtypes(Map<String, Dtype> byName) {
  /// The field of `__metadata__`; its value is JSON text, since the format's metadata are strings.
  static final String KEY = "keepstone.dtype";

  /// How the format stores a tensor.
  static Tensor stored(Tensor tensor) {
    if (tensor.dtype().inSafetensors()) {
      return tensor;
    }
    List<Long> extents = new ArrayList<>(tensor.shape().extents());
    extents.add(tensor.dtype().bits() / 8L);
    return new Tensor(tensor.name(), Dtype.U8, new Shape(extents));
  }

  /// The metadata of a file with these tensors: as given, and the true dtypes where some are
  /// needed.
  static Map<String, String> annotate(List<Tensor> tensors, Map<String, String> metadata) {
    Json.Builder dtypes = Json.object();
    boolean needed = false;
    for (Tensor tensor : tensors) {
      if (!tensor.dtype().inSafetensors()) {
        dtypes.put(tensor.name(), tensor.dtype().name());
        needed = true;
      }
    }
    if (!needed) {
      return metadata;
    }
    Map<String, String> annotated = new LinkedHashMap<>(metadata);
    annotated.put(KEY, JsonWriter.compact(dtypes.build()));
    return annotated;
  }

  /// @throws JsonException where the field is there and no object of dtypes
  static TrueDtypes of(Map<String, String> metadata) {
    String text = metadata.get(KEY);
    if (text == null) {
      return new TrueDtypes(Map.of());
    }
    Map<String, Dtype> byName = new LinkedHashMap<>();
    Json.Obj dtypes = JsonReader.readObject(text.getBytes(StandardCharsets.UTF_8));
    for (String name : dtypes.fields().keySet()) {
      Optional<Dtype> dtype = Dtype.named(dtypes.text(name)).filter(d -> !d.inSafetensors());
      byName.put(
          name,
          dtype.orElseThrow(() ->
              new JsonException("expected C32 or C128, found " + Quoted.text(dtypes.text(name)))));
    }
    return new TrueDtypes(byName);
  }

  /// @throws JsonException where the stored form cannot hold elements of the true type
  Tensor restore(SafetensorsHeader.Entry entry) {
    Dtype dtype = byName.get(entry.name());
    if (dtype == null) {
      return new Tensor(entry.name(), entry.dtype(), entry.shape());
    }
    int outer = entry.shape().rank() - 1;
    if (entry.dtype() != Dtype.U8 || outer < 0 || entry.shape().extent(outer) != dtype.bits() / 8) {
      throw new JsonException(
          "expected U8 with last extent "
              + dtype.bits() / 8
              + " for "
              + dtype
              + ", found "
              + entry.dtype()
              + entry.shape());
    }
    return new Tensor(entry.name(), dtype, new Shape(entry.shape().extents().subList(0, outer)));
  }
}
