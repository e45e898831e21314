/// Keepstone as a library: open any checkpoint, open or make a store, restore, export, import. The
/// commands are thin shells over this package.
///
/// Start at [Checkpoints]. [Host] is what all of it takes from the machine: disk, time, chance.
/// [Restore], [Export] and [Import] move tensors between a store and the formats; what they write
/// into a store goes through the store's own commit. Called by the command and by programs on the
/// JVM; may import everything of core and store.
@NullMarked
package dev.keepstone;

import org.jspecify.annotations.NullMarked;
