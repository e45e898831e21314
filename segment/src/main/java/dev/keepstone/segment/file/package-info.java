/// The segment file: docs/spec/segment.md section 2 in Java.
///
/// Start at [SegmentFile]: the agent creates one per layout, the client maps it, a new agent opens
/// what an old one left. [SegmentHead], [AgentRecord] and [SealRecord] are its records, each with
/// its bytes. Nothing outside the file is read and nothing beyond its size allocated, whatever the
/// records claim. Imports `core`, `segment.layout` and `segment.memory`.
@NullMarked
package dev.keepstone.segment.file;

import org.jspecify.annotations.NullMarked;
