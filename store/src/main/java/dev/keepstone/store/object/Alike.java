package dev.keepstone.store.object;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/// What many rows of a snapshot have alike: spelled out in the first of them, and in those after it
/// a number, from 0 in the order of first mention.
public final class Alike {
  private Alike() {}

  /// Gives out the numbers.
  public static final class Writer<T> {
    private final Map<T, Json> numbers = new HashMap<>();

    /// @param form of the first mention
    public Json mention(T thing, Function<T, ? extends Json> form) {
      Json number = numbers.get(thing);
      if (number != null) {
        return number;
      }
      numbers.put(thing, Json.of(numbers.size()));
      return form.apply(thing);
    }
  }

  /// Knows what was mentioned.
  public static final class Reader<T> {
    private final Function<Json, T> spelled;
    private final List<T> things = new ArrayList<>();

    /// @param spelled reads a first mention; never of a number
    public Reader(Function<Json, T> spelled) {
      this.spelled = spelled;
    }

    /// @throws JsonException where it is the number of nothing that came before
    public T read(Json mention) {
      if (!(mention instanceof Json.Int(long number))) {
        T thing = spelled.apply(mention);
        things.add(thing);
        return thing;
      }
      if (number < 0 || number >= things.size()) {
        throw new JsonException(
            "a row names number " + number + " of " + things.size() + " that came before it");
      }
      return things.get((int) number);
    }
  }
}
