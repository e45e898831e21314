/// What the numbers of a tensor look like: [Health] of one piece.
///
/// Start at [Health]. Filled by the agent's drain, written into parts, summed up in manifests.
/// Imports tensor and json only.
@NullMarked
package dev.keepstone.core.health;

import org.jspecify.annotations.NullMarked;
