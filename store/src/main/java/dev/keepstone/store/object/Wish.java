package dev.keepstone.store.object;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;

/// Who wishes a checkpoint away, and by what: whoever concludes a tomb, if its author has died,
/// judges by it as the author would have.
public sealed interface Wish {
  /// The rules of the run do not keep it.
  ///
  /// @param rules as retention writes them
  record Policy(Json.Obj rules) implements Wish {}

  /// A person's rules, given for once, do not keep it. Those of the run do not stand against them.
  ///
  /// @param rules as retention writes them
  record Rules(Json.Obj rules) implements Wish {}

  /// A person named it. No rule stands against that; who needs it does.
  record Named() implements Wish {}

  /// It never became a checkpoint, and nobody has touched it for long.
  record Abandoned() implements Wish {}

  /// The tomb does not say: it was put before tombs did.
  record Unsaid() implements Wish {}

  /// Adds the fields of a tomb that tell the wish.
  static Json.Builder write(Json.Builder tomb, Wish wish) {
    return switch (wish) {
      case Policy(Json.Obj rules) -> tomb.put("wish", "policy").put("rules", rules);
      case Rules(Json.Obj rules) -> tomb.put("wish", "rules").put("rules", rules);
      case Named() -> tomb.put("wish", "named");
      case Abandoned() -> tomb.put("wish", "abandoned");
      case Unsaid() -> tomb;
    };
  }

  /// The wish that the fields of a tomb tell.
  ///
  /// @throws JsonException where they tell none
  static Wish read(Json.Obj tomb) {
    if (!tomb.has("wish")) {
      return new Unsaid();
    }
    String wish = tomb.text("wish");
    return switch (wish) {
      case "policy" -> new Policy(tomb.object("rules"));
      case "rules" -> new Rules(tomb.object("rules"));
      case "named" -> new Named();
      case "abandoned" -> new Abandoned();
      default ->
          throw new JsonException(
              "field \"wish\": expected policy, rules, named or abandoned, found \"" + wish + "\"");
    };
  }
}
