/// Making what is installed on nodes that have no JDK and no network: one archive with a runtime of
/// its own, and two Python wheels.
///
/// Start at [Distribution]. Called by the verb `dist`, in a checkout only. Imports `core.failure`.
@NullMarked
package dev.keepstone.cli.distribution;

import org.jspecify.annotations.NullMarked;
