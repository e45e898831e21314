package dev.keepstone.store.commit;

import dev.keepstone.store.part.Refusal;
import java.util.List;

/// What became of a checkpoint.
public sealed interface Published {
  /// It stands, complete, and on the line.
  record Committed() implements Published {}

  /// Ranks have not put their parts yet; ask again.
  ///
  /// @param missing ranks; empty where no part is there, so that nobody knows how many there are
  record Incomplete(List<Integer> missing) implements Published {}

  /// A rank refused; the attempt is over for all.
  record Refused(Refusal refusal) implements Published {}

  /// The attempt is over: it was collected meanwhile, or its parts do not make up a checkpoint.
  record Lost(String why) implements Published {}

  /// It stands, but a newer start goes on from an older checkpoint.
  ///
  /// @param start that start
  record Fenced(int start) implements Published {}

  /// Nobody can say yet: ask again, and delete nothing.
  record Unknown(String why) implements Published {}
}
