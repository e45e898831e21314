package dev.keepstone.store.object;

/// `ranks/<launch>/rank-<rank>.json`: one rank of a launch has come to this store.
///
/// @param uid the run's
/// @param token of the launch
/// @param rank from 0
/// @param world ranks of the launch
/// @param node name of its machine, for people; may be empty
/// @param nonce the start of the agent that put it
public record Presence(String uid, String token, int rank, int world, String node, String nonce) {
  private static final String KIND = "rank";

  public Presence {
    Fields.requireUid(uid);
    Fields.requireNonce(nonce);
    if (rank < 0 || rank >= world) {
      throw new IllegalArgumentException(
          "a rank is 0 to " + (world - 1) + " in a world of " + world + ", found " + rank);
    }
  }

  /// The object's bytes.
  public byte[] encode() {
    return StoreObject.encode(
        StoreObject.begin(KIND)
            .put("uid", uid)
            .put("token", token)
            .put("rank", rank)
            .put("world", world)
            .put("node", node)
            .put("nonce", nonce)
            .build());
  }

  /// @param describe the object's name, for messages
  public static Presence decode(byte[] bytes, String describe) {
    return StoreObject.decode(
        bytes,
        KIND,
        describe,
        fields ->
            new Presence(
                fields.text("uid"),
                fields.text("token"),
                Fields.count(fields, "rank", 0),
                Fields.count(fields, "world", 1),
                fields.text("node"),
                fields.text("nonce")));
  }
}
