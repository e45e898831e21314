package dev.keepstone.store.run;

import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.reference.CheckpointId;
import java.util.Collections;
import java.util.List;
import java.util.NavigableMap;
import java.util.NavigableSet;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.TreeSet;

/// What one look at the starts of a run saw.
///
/// @param announced every start
/// @param decided the decision of every start that has one to be trusted
/// @param damaged decisions that cannot be trusted: their starts count as undecided
public record StartsSeen(
    NavigableSet<Integer> announced, NavigableMap<Integer, Parent> decided, List<Damaged> damaged) {
  public StartsSeen {
    damaged = List.copyOf(damaged);
    announced = Collections.unmodifiableNavigableSet(new TreeSet<>(announced));
    decided = Collections.unmodifiableNavigableMap(new TreeMap<>(decided));
  }

  /// The newest start that is not void, decided or not.
  public OptionalInt newest() {
    return newestBelow(Integer.MAX_VALUE, false);
  }

  /// The newest start that is decided and not void.
  public OptionalInt newestDecided() {
    return newestBelow(Integer.MAX_VALUE, true);
  }

  /// The newest decided, not void start of a number below this one.
  public OptionalInt newestDecidedBelow(int start) {
    return newestBelow(start, true);
  }

  /// Whether a start newer than every decided one has announced itself and not chosen yet.
  public boolean undecided() {
    return !newest().equals(newestDecided());
  }

  /// The line that ends in the newest decided start.
  public Line line() {
    return lineOf(newestDecided());
  }

  /// The line that ends in that start; an empty one for no start.
  public Line lineOf(OptionalInt start) {
    return start.isEmpty() ? Line.EMPTY : Line.endingIn(start.getAsInt(), decided);
  }

  /// The line of a start that went on from this checkpoint.
  public Line lineUpTo(CheckpointId parent) {
    return Line.upTo(parent, decided);
  }

  private OptionalInt newestBelow(int start, boolean mustBeDecided) {
    for (int number : announced.headSet(start, false).descendingSet()) {
      Parent parent = decided.get(number);
      if (parent == null ? !mustBeDecided : !(parent instanceof Parent.Void)) {
        return OptionalInt.of(number);
      }
    }
    return OptionalInt.empty();
  }
}
