/// One place a run is kept in: [Tier] is every act on it that the protocols are made of, and
/// [LocalTier] is a directory of a local or shared file system.
///
/// Start at [Put]: its three outcomes are what everything above is built on. Called by every other
/// room of the store, by the agent's drain, verify and restore. Knows names and bytes, no meaning
/// of either; imports core only.
@NullMarked
package dev.keepstone.store.tier;

import org.jspecify.annotations.NullMarked;
