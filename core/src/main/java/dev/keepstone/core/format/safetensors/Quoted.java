package dev.keepstone.core.format.safetensors;

/// A foreign string as it may stand in a message: short, and without characters that steer a
/// terminal or turn the reading direction.
final class Quoted {
  private static final int MAX_CHARS = 100;

  private Quoted() {}

  static String text(String foreign) {
    StringBuilder out = new StringBuilder("\"");
    foreign
        .codePoints()
        .limit(MAX_CHARS)
        .forEach(point -> {
          switch (Character.getType(point)) {
            case Character.CONTROL,
                Character.FORMAT,
                Character.SURROGATE,
                Character.LINE_SEPARATOR,
                Character.PARAGRAPH_SEPARATOR ->
                out.append(String.format("\\u%04x", point));
            default -> out.appendCodePoint(point);
          }
        });
    return out.append(foreign.length() > MAX_CHARS ? "…\"" : "\"").toString();
  }
}
