package dev.keepstone.segment.layout;

/// One shard image, in every slot or once in the constant area.
///
/// @param component the component it holds
/// @param group counts the shards of one component from 0
/// @param constant whether it lies in the constant area, where nothing changes
/// @param whole whether every piece of it is all of its tensor
/// @param offset from the start of the slot, or of the constant area; a multiple of 4096
/// @param byteLength of the image, which is that of the shard file
/// @param headerBytes the safetensors header with its 8-byte length; a multiple of 4096
public record ShardPlace(
    String component,
    int group,
    boolean constant,
    boolean whole,
    long offset,
    long byteLength,
    long headerBytes) {
  /// Where the image ends, in its slot or the constant area.
  public long end() {
    return offset + byteLength;
  }
}
