package dev.keepstone.store.tier;

/// What became of a put.
public sealed interface Put {
  /// The name stands, durably, with exactly these bytes; whoever put them.
  record Committed() implements Put {}

  /// Other bytes stand under the name.
  record Lost(byte[] standing) implements Put {}

  /// Nobody can say yet; look again, and delete nothing of the attempt.
  ///
  /// @param why for people
  record Unknown(String why) implements Put {}
}
