/// From one format to another: a plan first, then a copy that never holds more than three chunks of
/// 8 MiB.
///
/// Start at [ConvertPlan]: which tensor goes where, every size known before a byte moves. A
/// [Conversion] carries it out under names nobody reads, publishes by one act, and leaves nothing
/// under the target's name when it fails. [TensorCopy] is the loop over bytes that import shares.
///
/// Called by export, import and the convert command. Knows the view and the formats it writes;
/// imports no store.
@NullMarked
package dev.keepstone.core.convert;

import org.jspecify.annotations.NullMarked;
