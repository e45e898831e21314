/// Health numbers of tensors: how many elements are not finite, and the least, the greatest and the
/// norm of those that are.
///
/// Start at [Health], the record that parts and layouts carry; [HealthScan] computes it while bytes
/// pass on their way to the disk, next to their checksum. Imports `core.json` and `core.tensor`.
@NullMarked
package dev.keepstone.core.health;

import org.jspecify.annotations.NullMarked;
