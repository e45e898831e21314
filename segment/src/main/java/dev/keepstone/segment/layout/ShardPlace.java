package dev.keepstone.segment.layout;

/// One shard image in a slot.
///
/// @param component the component it holds
/// @param whole whether every piece of it is all of its tensor
/// @param offset from the start of the slot; a multiple of 4096
/// @param byteLength of the image, which is that of the shard file
/// @param headerBytes the safetensors header with its 8-byte length; a multiple of 4096
public record ShardPlace(
    String component, boolean whole, long offset, long byteLength, long headerBytes) {
  /// Where the image ends, from the start of the slot.
  public long end() {
    return offset + byteLength;
  }
}
