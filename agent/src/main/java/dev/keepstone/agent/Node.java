package dev.keepstone.agent;

import dev.keepstone.agent.place.Memory;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.store.tier.StoreClock;
import java.util.HexFormat;
import java.util.function.LongSupplier;
import java.util.random.RandomGenerator;

/// What an agent takes from the machine it runs on.
///
/// @param disk every store's file system
/// @param clock the hour, a monotonic count, and waiting
/// @param random where nonces and uids come from
/// @param nonce of this start of the agent: 8 hex digits
/// @param headroom bytes of memory that may still be had before the machine or a control group has
///   none left
record Node(
    Disk disk, StoreClock clock, RandomGenerator random, String nonce, LongSupplier headroom) {
  /// This machine, with a nonce drawn from `random`.
  public static Node of(Disk disk, StoreClock clock, RandomGenerator random) {
    return of(disk, clock, random, Memory::headroomBytes);
  }

  /// Another machine.
  static Node of(Disk disk, StoreClock clock, RandomGenerator random, LongSupplier headroom) {
    return new Node(disk, clock, random, HexFormat.of().toHexDigits(random.nextInt()), headroom);
  }
}
