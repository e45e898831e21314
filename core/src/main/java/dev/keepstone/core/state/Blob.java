package dev.keepstone.core.state;

import java.util.Base64;

/// Immutable bytes, kept as the base64 they stand in.
///
/// @param base64 with padding, and what encoding the decoded bytes gives again
public record Blob(String base64) {
  public Blob {
    // More than one text decodes to the same bytes (stray bits in the last digit); only one is what
    // a writer writes.
    if (!Base64.getEncoder().encodeToString(Base64.getDecoder().decode(base64)).equals(base64)) {
      throw new IllegalArgumentException("base64 that no encoder writes");
    }
  }

  public static Blob of(byte[] bytes) {
    return new Blob(Base64.getEncoder().encodeToString(bytes));
  }

  /// A copy of the bytes.
  public byte[] bytes() {
    return Base64.getDecoder().decode(base64);
  }
}
