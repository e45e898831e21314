/// Where every byte of one rank's state lies in a slot: docs/spec/segment.md, sections 3 and 4.
///
/// Start at [Layout#plan]: it turns the registered pieces into shards, offsets and header images. A
/// pure function; nothing here opens a file. Called by the agent when a client registers, and by
/// `segment.file` when a segment is opened. Imports `core` alone.
@NullMarked
package dev.keepstone.segment.layout;

import org.jspecify.annotations.NullMarked;
