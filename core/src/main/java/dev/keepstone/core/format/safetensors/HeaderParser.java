package dev.keepstone.core.format.safetensors;

import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// The entries of one header, in the order of the text, each consistent in itself. What entries are
/// to each other is [SafetensorsReader]'s business.
///
/// A tree of a header of 100 MB would take a gigabyte; here an entry takes 21 bytes beside its
/// text.
final class HeaderParser {
  static final String METADATA = "__metadata__";

  /// Deepest nesting, counted as the reference reader's JSON library does.
  static final int MAX_DEPTH = 127;

  private static final byte[] METADATA_UTF8 = METADATA.getBytes(StandardCharsets.UTF_8);
  private static final int DEPTH_OF_ENTRY = 2;
  private static final int SHAPES_REMEMBERED = 1024;

  private static final Map<String, Dtype> DTYPES =
      Arrays.stream(Dtype.values())
          .filter(Dtype::inSafetensors)
          .collect(Collectors.toUnmodifiableMap(Dtype::name, Function.identity()));

  private final HeaderText text;
  private final EntryColumns entries;
  private final Map<String, String> metadata = new LinkedHashMap<>();
  private final @Nullable Shape[] shapes = new Shape[SHAPES_REMEMBERED];
  private final long[] extents = new long[Shape.MAX_RANK];

  /// @param json all of it; see [HeaderText]
  /// @param offset where it begins in the file
  HeaderParser(byte[] json, long offset) {
    text = new HeaderText(json, offset);
    entries = new EntryColumns(json);
  }

  EntryColumns entries() {
    return entries;
  }

  Map<String, String> metadata() {
    return metadata;
  }

  /// The tensor whose entry was being read when parsing stopped.
  @Nullable String inTensor() {
    return entries.pendingName();
  }

  /// Reads all of the text.
  ///
  /// @throws HeaderText.Defect naming what is wrong
  void parse() {
    if (text.peek() < 0) {
      throw text.defect("expected an object, found the end");
    }
    text.expect('{', "an object");
    boolean metadataSeen = false;
    for (boolean first = true; text.advance(first, '}'); first = false) {
      text.name(entries);
      boolean isMetadata = entries.pendingIs(METADATA_UTF8);
      if (isMetadata && metadataSeen) {
        throw text.defect("\"" + METADATA + "\" is given twice");
      }
      text.colon();
      if (isMetadata) {
        metadataSeen = true;
        entries.drop();
        readMetadata();
      } else {
        entry();
      }
    }
    text.expect('}', "the end of the object");
    if (text.peek() >= 0) {
      throw text.defect("text after the end of the JSON object: " + text.found());
    }
  }

  private void readMetadata() {
    if (text.takeNull()) {
      return;
    }
    text.expect('{', "an object of strings for \"" + METADATA + "\"");
    for (boolean first = true; text.advance(first, '}'); first = false) {
      String key = text.name();
      text.colon();
      if (text.peek() != '"') {
        throw text.expected("a string for metadata " + Quoted.text(key));
      }
      if (metadata.put(key, text.soundString()) != null) {
        throw text.defect("metadata " + Quoted.text(key) + " is given twice");
      }
    }
    text.expect('}', "the end of the object");
  }

  private void entry() {
    Fields fields = new Fields();
    if (text.take('[')) {
      // The reference's JSON library also takes the fields of a tensor by position.
      text.advance(true, ']');
      fields.readDtype();
      text.advance(false, ']');
      fields.readShape();
      text.advance(false, ']');
      fields.readOffsets();
      text.advance(false, ']');
      text.expect(']', "three values");
    } else {
      text.expect('{', "an object");
      for (boolean first = true; text.advance(first, '}'); first = false) {
        switch (text.fieldName()) {
          case "dtype" -> fields.readDtype();
          case "shape" -> fields.readShape();
          case "data_offsets" -> fields.readOffsets();
          default -> text.skip(MAX_DEPTH - DEPTH_OF_ENTRY);
        }
      }
      text.expect('}', "the end of the object");
    }
    fields.add();
  }

  /// The shape of the first extents. The same again is the same object: of a million tensors most
  /// have one of a few.
  private Shape shape(int rank) {
    int hash = rank;
    for (int i = 0; i < rank; i++) {
      hash = 31 * hash + Long.hashCode(extents[i]);
    }
    int slot = Math.floorMod(hash, SHAPES_REMEMBERED);
    Shape known = shapes[slot];
    if (known != null && known.rank() == rank && hasExtents(known)) {
      return known;
    }
    try {
      Shape shape = Shape.of(Arrays.copyOf(extents, rank));
      shapes[slot] = shape;
      return shape;
    } catch (IllegalArgumentException e) {
      throw text.defect(String.valueOf(e.getMessage()));
    }
  }

  private boolean hasExtents(Shape shape) {
    for (int i = 0; i < shape.rank(); i++) {
      if (shape.extent(i) != extents[i]) {
        return false;
      }
    }
    return true;
  }

  /// The fields of one entry, in whatever order they come.
  private final class Fields {
    private @Nullable Dtype dtype;
    private @Nullable Shape shape;
    private long begin = -1;
    private long end = -1;

    void readDtype() {
      begins(dtype == null, "dtype", '"', "the name of a dtype");
      String name = text.word();
      dtype = DTYPES.get(name);
      if (dtype == null) {
        throw text.defect("unknown dtype " + Quoted.text(name));
      }
    }

    void readShape() {
      begins(shape == null, "shape", '[', "an array for \"shape\"");
      text.take('[');
      int rank = 0;
      while (text.advance(rank == 0, ']')) {
        if (rank == Shape.MAX_RANK) {
          throw text.defect("more than " + Shape.MAX_RANK + " dimensions");
        }
        extents[rank++] = text.natural("an extent");
      }
      text.take(']');
      shape = shape(rank);
    }

    void readOffsets() {
      String two = "an array of two for \"data_offsets\"";
      begins(begin < 0, "data_offsets", '[', two);
      text.take('[');
      text.advance(true, ']');
      begin = text.natural("an offset");
      text.advance(false, ']');
      end = text.natural("an offset");
      text.advance(false, ']');
      text.expect(']', two);
    }

    private void begins(boolean first, String field, char wanted, String words) {
      int next = text.peek();
      if (!first) {
        throw text.defect("\"" + field + "\" is given twice");
      }
      if (next != wanted) {
        throw text.expected(words);
      }
    }

    void add() {
      if (dtype == null || shape == null || begin < 0) {
        throw text.defect(
            "\""
                + (dtype == null ? "dtype" : shape == null ? "shape" : "data_offsets")
                + "\" is missing");
      }
      long bytes;
      try {
        bytes = shape.byteLength(dtype);
      } catch (IllegalArgumentException e) {
        throw text.defect(String.valueOf(e.getMessage()));
      }
      if (end < begin || end - begin != bytes) {
        throw text.defect(
            "expected %d bytes for %s%s, found data_offsets [%d,%d]"
                .formatted(bytes, dtype, shape, begin, end));
      }
      entries.add(dtype, shape, begin);
    }
  }
}
