package dev.keepstone.core.pickle;

import dev.keepstone.core.pickle.Value.Atom;
import dev.keepstone.core.pickle.Value.Dict;
import dev.keepstone.core.pickle.Value.Global;
import dev.keepstone.core.pickle.Value.Made;
import dev.keepstone.core.pickle.Value.Persistent;
import dev.keepstone.core.pickle.Value.Raw;
import dev.keepstone.core.pickle.Value.Row;
import dev.keepstone.core.state.StateNode;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// The arguments of a call that builds data, each held against what has to stand there.
///
/// @param function what is called, for messages
/// @param offset of the call in the file
record Arguments(PickleInput input, String function, List<Value> values, long offset) {
  static Arguments of(PickleInput input, Made made) {
    return new Arguments(input, made.function.qualified(), made.args, made.offset);
  }

  int count() {
    return values.size();
  }

  void requireCount(int least, int most) {
    if (count() < least || count() > most) {
      throw input.broken(
          "%s: expected %d to %d arguments, found %d".formatted(function, least, most, count()),
          offset);
    }
  }

  Value get(int index) {
    return values.get(index);
  }

  long integer(int index) {
    return integer(values.get(index));
  }

  private long integer(Value value) {
    if (value instanceof Atom(StateNode.Int(BigInteger integer)) && integer.bitLength() < 64) {
      return integer.longValue();
    }
    throw wrong("an integer of 64 bits", value);
  }

  String text(int index) {
    return textOf(values.get(index));
  }

  String textOf(Value value) {
    if (value instanceof Atom(StateNode.Text(String text))) {
      return text;
    }
    throw wrong("text", value);
  }

  boolean truth(int index) {
    if (values.get(index) instanceof Atom(StateNode.Bool(boolean truth))) {
      return truth;
    }
    throw wrong("True or False", values.get(index));
  }

  /// Integers of a tuple, a list or a `torch.Size`.
  List<Long> integers(int index) {
    Value value = values.get(index);
    Value row = value instanceof Made made && isSize(made) ? made.args.getFirst() : value;
    if (!(row instanceof Row(StateNode.Sequence.Form form, List<Value> integers))) {
      throw wrong("a tuple of integers", value);
    }
    List<Long> found = new ArrayList<>(integers.size());
    for (Value integer : integers) {
      found.add(integer(integer));
    }
    return found;
  }

  private static boolean isSize(Made made) {
    return made.function.qualified().equals("torch.Size") && made.args.size() == 1;
  }

  Global global(int index) {
    if (values.get(index) instanceof Global global) {
      return global;
    }
    throw wrong("a name", values.get(index));
  }

  Arguments tuple(int index) {
    if (values.get(index) instanceof Row(StateNode.Sequence.Form form, List<Value> row)) {
      return new Arguments(input, function, row, offset);
    }
    throw wrong("a tuple", values.get(index));
  }

  /// The bytes that a value is, or null where it is none: bytes themselves, or what Python writes
  /// for them where the protocol has no opcode of its own.
  static byte @Nullable [] bytes(PickleInput input, Value value) {
    if (value instanceof Raw(byte[] bytes, boolean mutable)) {
      return bytes;
    }
    if (!(value instanceof Made made)) {
      return null;
    }
    return switch (made.function.qualified()) {
      case "_codecs.encode" -> encoded(Arguments.of(input, made));
      case "builtins.bytes", "builtins.bytearray" ->
          made.args.isEmpty()
              ? new byte[0]
              : made.args.size() == 1
                  ? bytes(input, made.args.getFirst())
                  : encoded(Arguments.of(input, made));
      default -> null;
    };
  }

  private static byte[] encoded(Arguments arguments) {
    arguments.requireCount(2, 2);
    String codec = arguments.text(1);
    if (!codec.equals("latin1") && !codec.equals("latin-1")) {
      throw arguments.input.refused(
          arguments.function + " with another codec than latin1", arguments.offset);
    }
    String text = arguments.text(0);
    if (text.chars().anyMatch(c -> c > 0xff)) {
      throw arguments.input.broken(
          arguments.function + ": a character beyond latin1", arguments.offset);
    }
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  RuntimeException wrong(String expected, Value found) {
    return switch (found) {
      case Global(String module, String name, long at) ->
          input.refused(
              "%s: expected %s, found %s.%s".formatted(function, expected, module, name), at);
      case Made made ->
          input.refused(
              "%s: expected %s, found what %s makes"
                  .formatted(function, expected, made.function.qualified()),
              made.offset);
      case Atom _, Raw _, Row _, Dict _, Persistent _ ->
          input.broken(
              "%s: expected %s, found %s".formatted(function, expected, kind(found)), offset);
    };
  }

  private static String kind(Value value) {
    return switch (value) {
      case Atom(StateNode node) -> node.getClass().getSimpleName().toLowerCase(Locale.ROOT);
      case Raw _ -> "bytes";
      case Row(StateNode.Sequence.Form form, List<Value> values) ->
          form.name().toLowerCase(Locale.ROOT) + " of " + values.size();
      case Dict _ -> "a dict";
      case Persistent _ -> "a storage";
      case Global _, Made _ -> "an object";
    };
  }
}
