package dev.keepstone.core.format.safetensors;

import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import java.io.IOException;
import java.io.Reader;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.TokenStreamFactory;
import tools.jackson.core.json.JsonFactory;

/// The index of a set of safetensors files: which file holds which tensor.
///
/// Its `total_size` is advice that real files get wrong, so reading leaves it out.
///
/// @param weightMap file by tensor name, in the order of the index; the files are plain names
public record SafetensorsIndex(Map<String, String> weightMap) {
  /// The longest index read, in bytes: twice as long as a header may be per name, for 400,000
  /// tensors.
  private static final long MAX_BYTES = 64L << 20;

  private static final TokenStreamFactory FACTORY =
      JsonFactory.builder()
          .disable(TokenStreamFactory.Feature.CANONICALIZE_PROPERTY_NAMES)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(HeaderParser.MAX_DEPTH)
                  .maxStringLength((int) MAX_BYTES)
                  .maxNameLength((int) MAX_BYTES)
                  .build())
          .build();

  public SafetensorsIndex {
    weightMap = Collections.unmodifiableMap(new LinkedHashMap<>(weightMap));
  }

  /// The index as Hugging Face readers take it, in the order of the map.
  ///
  /// @param totalBytes tensor bytes of the whole set
  public byte[] encode(long totalBytes) {
    Json.Builder map = Json.object();
    weightMap.forEach((tensor, file) -> map.put(tensor, file));
    return JsonWriter.bytes(
        Json.object()
            .put("metadata", Json.object().put("total_size", totalBytes).build())
            .put("weight_map", map.build())
            .build());
  }

  /// Reads a JSON file that may be an index.
  ///
  /// @param fileName for messages
  /// @return empty where the text is JSON and has no `weight_map`
  /// @throws KeepstoneException.Integrity where it is no JSON, or an index that names a tensor
  ///   twice or a file outside its own folder
  static Optional<SafetensorsIndex> read(OpenFile file, String fileName) throws IOException {
    long size = file.size();
    if (size > MAX_BYTES) {
      throw new KeepstoneException.Refused(
          "an index has at most " + MAX_BYTES + " bytes, found " + size,
          fileName,
          "name the safetensors files one by one");
    }
    try (HeaderStream stream = new HeaderStream(file, 0, size);
        Reader text = stream.characters();
        JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), text)) {
      return new Parsing(parser, fileName).index();
    } catch (JacksonException e) {
      if (e.getCause() instanceof IOException io
          && !(io instanceof java.nio.charset.CharacterCodingException)) {
        throw io;
      }
      throw defect("no JSON: " + e.getOriginalMessage().lines().findFirst().orElse(""), fileName);
    }
  }

  private static KeepstoneException.Integrity defect(String what, String fileName) {
    return new KeepstoneException.Integrity(
        what, fileName, "take another copy of the index, or name the safetensors files one by one");
  }

  private record Parsing(JsonParser parser, String fileName) {
    Optional<SafetensorsIndex> index() {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return Optional.empty();
      }
      Map<String, String> map = null;
      for (String name = parser.nextName(); name != null; name = parser.nextName()) {
        JsonToken token = parser.nextToken();
        if (!name.equals("weight_map")) {
          parser.skipChildren();
        } else if (map != null) {
          throw defect("\"weight_map\" is given twice", fileName);
        } else {
          map = weightMap(token);
        }
      }
      if (parser.nextToken() != null) {
        throw defect("text after the end of the JSON object", fileName);
      }
      return Optional.ofNullable(map).map(SafetensorsIndex::new);
    }

    private Map<String, String> weightMap(@Nullable JsonToken token) {
      if (token != JsonToken.START_OBJECT) {
        throw defect("expected an object for \"weight_map\", found " + token, fileName);
      }
      Map<String, String> map = new LinkedHashMap<>();
      Map<String, String> files = new LinkedHashMap<>();
      for (String name = parser.nextName(); name != null; name = parser.nextName()) {
        if (parser.nextToken() != JsonToken.VALUE_STRING) {
          throw defect("tensor " + Quoted.text(name) + " has no file name", fileName);
        }
        String file = parser.getString();
        // The same few names come a hundred thousand times; one string each is enough.
        String known = files.putIfAbsent(file, file);
        if (known == null) {
          refusePaths(file);
        }
        if (map.put(name, known == null ? file : known) != null) {
          throw defect("tensor " + Quoted.text(name) + " is given twice", fileName);
        }
      }
      return map;
    }

    /// A shard lies beside its index. Anything else would let the index of one model read another
    /// one's files.
    private void refusePaths(String file) {
      if (file.isEmpty()
          || file.equals(".")
          || file.equals("..")
          || file.chars().anyMatch(c -> c == '/' || c == '\\' || c == ':' || c < ' ')) {
        throw defect("expected the name of a file, found " + Quoted.text(file), fileName);
      }
    }
  }
}
