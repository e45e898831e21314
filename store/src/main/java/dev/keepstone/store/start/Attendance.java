package dev.keepstone.store.start;

import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Presence;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.tier.Put;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.BitSet;
import java.util.HexFormat;

/// Which ranks of a launch have come to this store (docs/spec/store.md, section 4). Who does not
/// come is late, or sees another store under the same path.
public final class Attendance {
  private static final int FOLDER_BYTES = 8;

  private final Run run;
  private final String token;
  private final String folder;

  /// @param token of the launch
  public Attendance(Run run, String token) {
    this.run = run;
    this.token = token;
    this.folder = folder(token);
  }

  /// The folder of a launch: a token may be anything, a name may not.
  private static String folder(String token) {
    try {
      byte[] hash =
          MessageDigest.getInstance("SHA-256").digest(token.getBytes(StandardCharsets.UTF_8));
      return HexFormat.of().formatHex(hash, 0, FOLDER_BYTES);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  /// A rank is here: before it waits for anything.
  ///
  /// @param node name of its machine
  /// @param nonce of its agent
  public void announce(int rank, int world, String node, String nonce) {
    byte[] bytes = new Presence(run.uid(), token, rank, world, node, nonce).encode();
    // One that stands is of this rank too, put through an agent before this one.
    Put _ = run.tier().put(run.names().rankHere(folder, rank), bytes);
  }

  /// The ranks that have come.
  public BitSet ranks() {
    BitSet ranks = new BitSet();
    run.tier()
        .list(run.names().ranksHere(folder))
        .forEach(file -> Names.rankHereOf(file).ifPresent(ranks::set));
    return ranks;
  }
}
