package dev.keepstone.client;

import dev.keepstone.segment.wire.Request;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Set;

/// One launch of a trainer, as it announces itself.
///
/// @param store root of the store
/// @param run name of the run
/// @param token shared by all ranks of this launch, new for every launch
/// @param rank of this process, below `world`
/// @param world ranks of the launch
/// @param wanted what to continue from: `latest`, `must`, `fresh`, or which checkpoint
/// @param keep what retention keeps
/// @param node name of this machine, for messages; may be empty
/// @param local ranks of this launch on this machine
/// @param commitTimeout how long a save waits for the parts of all ranks
public record Launch(
    Path store,
    String run,
    String token,
    int rank,
    int world,
    String wanted,
    Keep keep,
    String node,
    int local,
    Duration commitTimeout) {
  private static final Set<String> ANY = Set.of("latest", "must", "best", "last-good");
  private static final int TOKEN_DIGITS = 32;
  private static final Duration COMMIT_TIMEOUT = Duration.ofMinutes(20);

  /// A launch of which only this rank is on this machine.
  public Launch(
      Path store, String run, String token, int rank, int world, String wanted, Keep keep) {
    this(store, run, token, rank, world, wanted, keep, "", 1, COMMIT_TIMEOUT);
  }

  /// A trainer of one rank that continues from the latest checkpoint and keeps three.
  public static Launch single(Path store, String run, String token) {
    return new Launch(store, run, token, 0, 1, "latest", Keep.last(3));
  }

  /// Whether it asks for no certain checkpoint, so that another one will do where the first is
  /// damaged.
  boolean takesAnother() {
    return ANY.contains(wanted);
  }

  /// The launch by which all ranks that found this parent damaged meet again.
  Launch withoutDamaged(String parent) {
    byte[] digest;
    try {
      digest =
          MessageDigest.getInstance("SHA-256")
              .digest((token + ":" + parent).getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
    String next = HexFormat.of().formatHex(digest).substring(0, TOKEN_DIGITS);
    return new Launch(store, run, next, rank, world, wanted, keep, node, local, commitTimeout);
  }

  Request.Start request() {
    return new Request.Start(
        store.toAbsolutePath().normalize().toString(),
        run,
        token,
        rank,
        world,
        wanted,
        keep.toJson(),
        node,
        local,
        commitTimeout.toMillis());
  }
}
