package dev.keepstone.core.reshard;

import java.util.BitSet;

/// What is needed of a saved piece.
///
/// @param piece its index among those of the checkpoint
/// @param granules which of its granules, at least one; nobody changes it any more
public record Need(int piece, BitSet granules) {}
