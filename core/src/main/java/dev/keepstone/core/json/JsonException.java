package dev.keepstone.core.json;

/// Text that is no JSON, or JSON of another shape than expected. The message names the field or the
/// byte, expected against found; who knows the file adds its name.
public final class JsonException extends RuntimeException {
  private static final long serialVersionUID = 1;

  public JsonException(String message) {
    super(message);
  }

  public JsonException(String message, Throwable cause) {
    super(message, cause);
  }
}
