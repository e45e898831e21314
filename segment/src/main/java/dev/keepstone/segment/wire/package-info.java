/// What a client and the agent of its node say to each other: docs/spec/wire.md in Java.
///
/// Start at [Request]: each verb is a record that knows its [Answer]. [FrameChannel] carries them
/// over a Unix socket, [RequestCodec] and [AnswerCodec] are their JSON, [WireError] turns failures
/// into error frames and back. Called by the agent and by `dev.keepstone.client`. Knows nothing of
/// shared memory; imports `core` and the registered pieces of `segment.layout`.
@NullMarked
package dev.keepstone.segment.wire;

import org.jspecify.annotations.NullMarked;
