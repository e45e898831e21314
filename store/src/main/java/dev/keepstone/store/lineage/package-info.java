/// Where a checkpoint came from: the chain of starts and parents behind it, gone ones included.
///
/// Start at [Lineage]. Called by the `lineage` command. Reads only; imports the store's rooms up to
/// `store.run`.
@NullMarked
package dev.keepstone.store.lineage;

import org.jspecify.annotations.NullMarked;
