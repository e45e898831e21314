package dev.keepstone.store.part;

import dev.keepstone.core.bytes.Crc32;

/// A part as it stands in the store: what a manifest says of it is taken from the stored bytes and
/// not from a second encoding, so that fields a newer writer added change nothing.
///
/// @param bytes size of the object
/// @param crc32 the checksum of all of it
public record StoredPart(Part part, long bytes, int crc32) {
  /// @param describe the object's name, for messages
  public static StoredPart decode(byte[] bytes, String describe) {
    return of(Part.decode(bytes, describe), bytes);
  }

  /// A part and the bytes it was decoded from.
  public static StoredPart of(Part part, byte[] bytes) {
    return new StoredPart(part, bytes.length, Crc32.of(bytes, 0, bytes.length));
  }
}
