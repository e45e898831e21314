package dev.keepstone.core.view;

import dev.keepstone.core.tensor.Slice;

/// A piece of a tensor and where its bytes lie, row-major and contiguous.
///
/// @param file as the checkpoint names it, relative to its folder
/// @param fileOffset of the first byte
/// @param bytes length of the piece
public record StoredPiece(Slice slice, String file, long fileOffset, long bytes) {}
