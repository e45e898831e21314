package dev.keepstone.core.pickle;

import dev.keepstone.core.pickle.Value.Atom;
import dev.keepstone.core.pickle.Value.Made;
import dev.keepstone.core.pickle.Value.Row;
import dev.keepstone.core.state.StateNode;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// NumPy's arrays, scalars and dtypes, as far as their elements are numbers.
final class NumpyArrays {
  private static final Map<String, Dtype> DTYPES =
      Map.ofEntries(
          Map.entry("b1", Dtype.BOOL),
          Map.entry("i1", Dtype.I8),
          Map.entry("i2", Dtype.I16),
          Map.entry("i4", Dtype.I32),
          Map.entry("i8", Dtype.I64),
          Map.entry("u1", Dtype.U8),
          Map.entry("u2", Dtype.U16),
          Map.entry("u4", Dtype.U32),
          Map.entry("u8", Dtype.U64),
          Map.entry("f2", Dtype.F16),
          Map.entry("f4", Dtype.F32),
          Map.entry("f8", Dtype.F64),
          Map.entry("c8", Dtype.C64),
          Map.entry("c16", Dtype.C128));

  private NumpyArrays() {}

  /// A dtype as NumPy writes it.
  ///
  /// @param order `<`, `>` or `|`
  record Described(char order, String code) {
    String text() {
      return order + code;
    }

    @Nullable Dtype dtype() {
      return DTYPES.get(code);
    }
  }

  /// An array of numbers, row-major and little-endian.
  record Numbers(Dtype dtype, Shape shape, byte[] bytes) {}

  /// A plain dtype, or null where it is one of fields, objects or dates.
  static @Nullable Described dtype(Value value) {
    if (!(value instanceof Made made)
        || !made.function.qualified().equals("numpy.dtype")
        || made.args.isEmpty()
        || !(made.args.getFirst() instanceof Atom(StateNode.Text(String code)))) {
      return null;
    }
    if (made.state == null) {
      return new Described('|', code);
    }
    if (made.state instanceof Row(StateNode.Sequence.Form form, List<Value> state)
        && state.size() == 8
        && state.get(1) instanceof Atom(StateNode.Text(String order))
        && List.of("<", ">", "|", "=").contains(order)
        && state.get(3) instanceof Atom(StateNode.Null _)) {
      return new Described(order.equals("=") ? '<' : order.charAt(0), code);
    }
    return null;
  }

  /// The array that a call and its state make, or null where it is not one of numbers.
  static @Nullable Numbers array(PickleInput input, Made made) {
    if (made.function.name().equals("_frombuffer")) {
      Arguments args = Arguments.of(input, made);
      args.requireCount(4, 4);
      byte[] bytes = Arguments.bytes(input, args.get(0));
      return numbers(args, 2, dtype(args.get(1)), args.text(3).equals("F"), bytes);
    }
    if (!(made.state instanceof Row(StateNode.Sequence.Form form, List<Value> state))) {
      return null;
    }
    Arguments args = new Arguments(input, made.function.qualified(), state, made.offset);
    args.requireCount(5, 5);
    return numbers(args, 1, dtype(args.get(2)), args.truth(3), Arguments.bytes(input, args.get(4)));
  }

  private static @Nullable Numbers numbers(
      Arguments args,
      int shapeAt,
      @Nullable Described described,
      boolean columnMajor,
      byte @Nullable [] bytes) {
    Dtype dtype = described == null ? null : described.dtype();
    if (described == null || dtype == null || bytes == null) {
      return null;
    }
    List<Long> extents = args.integers(shapeAt);
    Shape shape;
    try {
      shape = new Shape(extents);
      if (shape.byteLength(dtype) != bytes.length) {
        throw args.input()
            .broken(
                "expected %d bytes for %s%s, found %d"
                    .formatted(shape.byteLength(dtype), dtype, shape, bytes.length),
                args.offset());
      }
    } catch (IllegalArgumentException e) {
      throw args.input().broken("an array: " + e.getMessage(), args.offset());
    }
    int element = dtype.bits() / 8;
    byte[] rows = columnMajor && shape.rank() > 1 ? rowMajor(bytes, shape, element) : bytes;
    boolean complex = dtype == Dtype.C64 || dtype == Dtype.C128;
    int unit = complex ? element / 2 : element;
    return new Numbers(
        dtype, shape, described.order() == '>' && unit > 1 ? turned(rows, unit) : rows);
  }

  private static byte[] rowMajor(byte[] bytes, Shape shape, int element) {
    byte[] rows = new byte[bytes.length];
    long[] index = new long[shape.rank()];
    for (int to = 0; to < rows.length; to += element) {
      long from = 0;
      for (int d = shape.rank() - 1; d >= 0; d--) {
        from = from * shape.extent(d) + index[d];
      }
      System.arraycopy(bytes, Math.toIntExact(from) * element, rows, to, element);
      for (int d = shape.rank() - 1; d >= 0 && ++index[d] == shape.extent(d); d--) {
        index[d] = 0;
      }
    }
    return rows;
  }

  private static byte[] turned(byte[] bytes, int unit) {
    byte[] turned = new byte[bytes.length];
    for (int at = 0; at < bytes.length; at++) {
      turned[at] = bytes[at - at % unit + unit - 1 - at % unit];
    }
    return turned;
  }
}
