package dev.keepstone;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.store.tier.LocalTier;
import dev.keepstone.store.tier.StoreClock;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.InstantSource;
import java.util.HexFormat;
import java.util.random.RandomGenerator;

/// What the library takes from the machine it runs on, so that a test can give it another.
///
/// @param disk every act on files
/// @param clock the hour, a monotonic count, and waiting
/// @param random where nonces, tokens and uids come from; not guessable from outside
public record Host(Disk disk, StoreClock clock, RandomGenerator random) {
  private static final int NONCE_BYTES = 4;
  private static final int TOKEN_BYTES = 16;

  /// This machine as it is, for programs that take nothing from elsewhere.
  public static Host local() {
    return new Host(
        Disk.local(),
        StoreClock.of(InstantSource.system(), System::nanoTime, Host::pause),
        new SecureRandom());
  }

  private static void pause(Duration time) {
    try {
      Thread.sleep(time);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /// A name part that nobody else uses: 8 hex digits.
  public String nonce() {
    return hex(NONCE_BYTES);
  }

  /// A launch of its own.
  public String token() {
    return hex(TOKEN_BYTES);
  }

  private String hex(int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return HexFormat.of().formatHex(bytes);
  }

  LocalTier tier(Path root) {
    return new LocalTier(disk, root, clock, nonce(), Duration.ZERO);
  }
}
