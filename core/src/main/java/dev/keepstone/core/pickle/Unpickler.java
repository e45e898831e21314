package dev.keepstone.core.pickle;

import dev.keepstone.core.pickle.Value.Atom;
import dev.keepstone.core.pickle.Value.Dict;
import dev.keepstone.core.pickle.Value.Global;
import dev.keepstone.core.pickle.Value.Made;
import dev.keepstone.core.pickle.Value.Persistent;
import dev.keepstone.core.pickle.Value.Raw;
import dev.keepstone.core.pickle.Value.Row;
import dev.keepstone.core.state.StateNode;
import dev.keepstone.core.state.StateNode.Sequence.Form;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/// Reads one pickle. No recursion, whatever the nesting; the time is linear in the bytes.
final class Unpickler {
  /// Opcodes of a pickle; a tensor takes about 40.
  static final int MAX_OPCODES = 16 << 20;

  /// Bytes of one string or bytes object.
  static final long MAX_TEXT_BYTES = 64L << 20;

  /// As many as 4300 decimal digits take: Python reads no longer integer of text, nor do we keep
  /// one.
  static final long MAX_INTEGER_BYTES = 1785;

  private static final int MAX_LINE_BYTES = 64 << 10;
  private static final int MAX_DIGITS = 4300;
  private static final int MAX_PROTOCOL = 5;

  private static final Atom NONE = new Atom(new StateNode.Null());
  private static final Atom TRUE = new Atom(new StateNode.Bool(true));
  private static final Atom FALSE = new Atom(new StateNode.Bool(false));

  private final PickleInput input;
  private final Globals globals;
  private final Stack stack;
  private long offset;
  private int opcodes;

  private Unpickler(PickleInput input, Globals globals) {
    this.input = input;
    this.globals = globals;
    this.stack = new Stack(input);
  }

  /// Reads up to and with the STOP; the input stands behind it then.
  static Value read(PickleInput input, Globals globals) throws IOException {
    return new Unpickler(input, globals).run();
  }

  private Value run() throws IOException {
    while (true) {
      offset = input.position();
      int opcode = input.u8();
      if (++opcodes > MAX_OPCODES) {
        throw input.refused("a pickle of more than " + MAX_OPCODES + " opcodes", offset);
      }
      if (opcode == '.') {
        Value result = stack.pop(offset);
        if (!stack.isEmpty()) {
          throw input.broken("values are left on the stack at the STOP", offset);
        }
        return result;
      }
      if (!constant(opcode) && !text(opcode) && !structure(opcode) && !object(opcode)) {
        throw input.broken(
            "opcode 0x%02x, which no pickle on a disk has".formatted(opcode), offset);
      }
    }
  }

  /// Numbers, None, truth values; what frames the pickle.
  private boolean constant(int opcode) throws IOException {
    switch (opcode) {
      case 0x80 -> protocol();
      // A frame tells how much to read ahead; what is in it is read like anything else.
      case 0x95 -> input.number(8);
      case 'N' -> stack.push(NONE);
      case 0x88 -> stack.push(TRUE);
      case 0x89 -> stack.push(FALSE);
      case 'K' -> integer(input.number(1));
      case 'M' -> integer(input.number(2));
      case 'J' -> integer((int) input.number(4));
      case 0x8a -> integer(input.bytes(input.number(1), MAX_INTEGER_BYTES, "an integer"));
      case 0x8b -> integer(input.bytes((int) input.number(4), MAX_INTEGER_BYTES, "an integer"));
      case 'I' -> integerLine(true);
      case 'L' -> integerLine(false);
      case 'G' -> real(Double.longBitsToDouble(Long.reverseBytes(input.number(8))));
      case 'F' -> realLine();
      default -> {
        return false;
      }
    }
    return true;
  }

  private void protocol() throws IOException {
    int protocol = input.u8();
    if (protocol > MAX_PROTOCOL) {
      throw input.broken(
          "expected a protocol of at most %d, found %d".formatted(MAX_PROTOCOL, protocol), offset);
    }
  }

  private void integer(long value) {
    stack.push(new Atom(StateNode.Int.of(value)));
  }

  private void integer(byte[] littleEndian) {
    byte[] bigEndian = new byte[littleEndian.length];
    for (int i = 0; i < bigEndian.length; i++) {
      bigEndian[i] = littleEndian[littleEndian.length - 1 - i];
    }
    BigInteger value = bigEndian.length == 0 ? BigInteger.ZERO : new BigInteger(bigEndian);
    stack.push(new Atom(new StateNode.Int(value)));
  }

  private void integerLine(boolean truth) throws IOException {
    String line = ascii(input.line(MAX_LINE_BYTES));
    if (truth && (line.equals("00") || line.equals("01"))) {
      stack.push(line.equals("01") ? TRUE : FALSE);
      return;
    }
    String digits = line.endsWith("L") ? line.substring(0, line.length() - 1) : line;
    if (digits.length() > MAX_DIGITS || !digits.matches("[+-]?[0-9]+")) {
      throw input.broken("expected an integer of at most " + MAX_DIGITS + " digits", offset);
    }
    stack.push(new Atom(new StateNode.Int(new BigInteger(digits))));
  }

  private void real(double value) {
    stack.push(new Atom(new StateNode.Real(value)));
  }

  private void realLine() throws IOException {
    String line = ascii(input.line(MAX_LINE_BYTES));
    switch (line) {
      case "nan" -> real(Double.NaN);
      case "inf" -> real(Double.POSITIVE_INFINITY);
      case "-inf" -> real(Double.NEGATIVE_INFINITY);
      default -> {
        if (line.length() > MAX_DIGITS || !line.matches("[-+]?[0-9]*[.]?[0-9]*(e[-+]?[0-9]+)?")) {
          throw input.broken("expected a float", offset);
        }
        try {
          real(Double.parseDouble(line));
        } catch (NumberFormatException e) {
          throw input.broken("expected a float", offset);
        }
      }
    }
  }

  private static String ascii(byte[] bytes) {
    return new String(bytes, StandardCharsets.ISO_8859_1);
  }

  /// Strings and bytes.
  private boolean text(int opcode) throws IOException {
    switch (opcode) {
      case 'X' -> text(counted(4, "text"));
      case 0x8c -> text(counted(1, "text"));
      case 0x8d -> text(counted(8, "text"));
      case 'V' -> stack.push(Strings.escapedUnicode(input.line(MAX_LINE_BYTES)));
      case 'S' -> pythonTwo(Strings.quoted(input, input.line(MAX_LINE_BYTES), offset));
      case 'T' -> pythonTwo(input.bytes((int) input.number(4), MAX_TEXT_BYTES, "text"));
      case 'U' -> pythonTwo(counted(1, "text"));
      case 'B' -> stack.push(new Raw(counted(4, "bytes"), false));
      case 'C' -> stack.push(new Raw(counted(1, "bytes"), false));
      case 0x8e -> stack.push(new Raw(counted(8, "bytes"), false));
      case 0x96 -> stack.push(new Raw(counted(8, "bytes"), true));
      default -> {
        return false;
      }
    }
    return true;
  }

  private byte[] counted(int lengthBytes, String what) throws IOException {
    return input.bytes(input.number(lengthBytes), MAX_TEXT_BYTES, what);
  }

  private void text(byte[] utf8) {
    stack.push(Strings.text(utf8));
  }

  /// A string of Python 2, which did not tell text from bytes: text where it is UTF-8, as torch
  /// takes it.
  private void pythonTwo(byte[] bytes) {
    Value text = Strings.text(bytes);
    stack.push(text instanceof Atom(StateNode.RawText _) ? new Raw(bytes, false) : text);
  }

  /// Tuples, lists, dicts, sets; the stack and the memo.
  private boolean structure(int opcode) throws IOException {
    switch (opcode) {
      case '(' -> stack.mark();
      case '0' -> stack.drop(offset);
      case '1' -> stack.popToMark(offset);
      case '2' -> stack.push(stack.top(offset));
      case ')' -> stack.push(new Row(Form.TUPLE, List.of()));
      case 0x85 -> tuple(1);
      case 0x86 -> tuple(2);
      case 0x87 -> tuple(3);
      case 't' -> stack.push(new Row(Form.TUPLE, stack.popToMark(offset)));
      case ']' -> stack.push(new Row(Form.LIST, new ArrayList<>(0)));
      case 'l' -> stack.push(new Row(Form.LIST, stack.popToMark(offset)));
      case '}' -> stack.push(new Dict(new ArrayList<>(0)));
      case 'd' -> stack.push(new Dict(pairs(stack.popToMark(offset))));
      case 0x8f -> stack.push(new Row(Form.SET, new ArrayList<>(0)));
      case 0x91 -> stack.push(new Row(Form.FROZENSET, stack.popToMark(offset)));
      case 'a' -> {
        Value item = stack.pop(offset);
        items().add(item);
      }
      case 'e', 0x90 -> {
        List<Value> more = stack.popToMark(offset);
        items().addAll(more);
      }
      case 's' -> {
        Value value = stack.pop(offset);
        Value key = stack.pop(offset);
        entries().addAll(List.of(key, value));
      }
      case 'u' -> {
        List<Value> more = pairs(stack.popToMark(offset));
        entries().addAll(more);
      }
      case 'p' -> stack.remember(memoLine(), opcodes, offset);
      case 'q' -> stack.remember(input.number(1), opcodes, offset);
      case 'r' -> stack.remember(input.number(4), opcodes, offset);
      case 0x94 -> stack.remember(stack.nextMemo(), opcodes, offset);
      case 'g' -> stack.push(stack.recall(memoLine(), offset));
      case 'h' -> stack.push(stack.recall(input.number(1), offset));
      case 'j' -> stack.push(stack.recall(input.number(4), offset));
      default -> {
        return false;
      }
    }
    return true;
  }

  private void tuple(int length) {
    List<Value> values = new ArrayList<>(length);
    for (int i = 0; i < length; i++) {
      values.addFirst(stack.pop(offset));
    }
    stack.push(new Row(Form.TUPLE, values));
  }

  private List<Value> pairs(List<Value> values) {
    if (values.size() % 2 != 0) {
      throw input.broken("a key without a value", offset);
    }
    return values;
  }

  private List<Value> items() {
    return switch (stack.top(offset)) {
      case Row(Form form, List<Value> values) when form == Form.LIST || form == Form.SET -> values;
      case Made made -> made.growItems();
      case Atom _, Raw _, Row _, Dict _, Global _, Persistent _ ->
          throw input.broken("items are added to what is no list or set", offset);
    };
  }

  private List<Value> entries() {
    return switch (stack.top(offset)) {
      case Dict(List<Value> entries) -> entries;
      case Made made -> made.growEntries();
      case Atom _, Raw _, Row _, Global _, Persistent _ ->
          throw input.broken("entries are set in what is no dict", offset);
    };
  }

  private long memoLine() throws IOException {
    String line = ascii(input.line(MAX_LINE_BYTES));
    if (!line.matches("[0-9]{1,10}")) {
      throw input.broken("expected the index of a memo", offset);
    }
    return Long.parseLong(line);
  }

  /// Names, and what Python would call.
  private boolean object(int opcode) throws IOException {
    switch (opcode) {
      case 'c' -> stack.push(globalLines());
      case 0x93 -> {
        Value name = stack.pop(offset);
        Value module = stack.pop(offset);
        stack.push(global(word(module), word(name)));
      }
      case 'R' -> {
        List<Value> args = arguments(stack.pop(offset));
        call(stack.pop(offset), args, false);
      }
      case 0x81 -> {
        List<Value> args = arguments(stack.pop(offset));
        call(stack.pop(offset), args, true);
      }
      case 0x92 -> {
        Value keywords = stack.pop(offset);
        List<Value> args = arguments(stack.pop(offset));
        call(stack.pop(offset), args, true).keywords = keywords;
      }
      case 'i' -> {
        Global type = globalLines();
        call(type, stack.popToMark(offset), false);
      }
      case 'o' -> {
        List<Value> args = stack.popToMark(offset);
        if (args.isEmpty()) {
          throw input.broken("an object without a class", offset);
        }
        call(args.removeFirst(), args, false);
      }
      case 'b' -> build();
      case 'Q' -> stack.push(new Persistent(stack.pop(offset), offset));
      case 'P' -> stack.push(new Persistent(Strings.text(input.line(MAX_LINE_BYTES)), offset));
      default -> {
        return false;
      }
    }
    return true;
  }

  private Global globalLines() throws IOException {
    String module = new String(input.line(MAX_LINE_BYTES), StandardCharsets.UTF_8);
    return global(module, new String(input.line(MAX_LINE_BYTES), StandardCharsets.UTF_8));
  }

  private Global global(String module, String name) {
    return globals.named(input, module, name, offset);
  }

  private String word(Value value) {
    if (value instanceof Atom(StateNode.Text(String text))) {
      return text;
    }
    throw input.broken("the name of a global is no text", offset);
  }

  private List<Value> arguments(Value args) {
    if (args instanceof Row(Form form, List<Value> values) && form == Form.TUPLE) {
      return values;
    }
    throw input.broken("the arguments of a call are no tuple", offset);
  }

  private Made call(Value function, List<Value> args, boolean asClass) {
    Made made = new Made(globals.called(input, function, args, asClass, offset), args, offset);
    stack.push(made);
    return made;
  }

  private void build() {
    Value state = stack.pop(offset);
    switch (stack.top(offset)) {
      case Made made -> {
        if (made.state != null) {
          throw input.broken("an object is given its state twice", offset);
        }
        made.state = state;
      }
      case Persistent _, Global _, Atom _, Raw _, Row _, Dict _ ->
          throw input.broken("a state is given to what is no object", offset);
    }
  }
}
