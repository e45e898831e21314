/// The small JSON objects of a store and of a run, and every name in it: [StoreObject] is their
/// common form, [Names] their places, the records what they say (docs/spec/store.md, sections 1, 2,
/// 4 and 8).
///
/// Start at [StoreObject]. Called by every room of the store that reads or puts objects. Pure:
/// bytes in, records out; no tier, no clock.
@NullMarked
package dev.keepstone.store.object;

import org.jspecify.annotations.NullMarked;
