package dev.keepstone.core.state;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Which keys Python takes for one: `1`, `1.0` and `True` are, so a dict cannot hold two of them.
final class PythonEquality {
  private PythonEquality() {}

  /// Something that is equal for keys that Python takes for one; null for what it cannot hash.
  static @Nullable Object form(StateNode key) {
    return switch (key) {
      case StateNode.Bool(boolean value) -> number(value ? 1 : 0);
      case StateNode.Int(BigInteger value) -> new BigDecimal(value).stripTrailingZeros();
      case StateNode.Real(double value) -> number(value);
      case StateNode.Complex(double real, double imaginary) ->
          imaginary == 0 ? number(real) : List.of(number(real), "+", number(imaginary));
      case StateNode.Sequence(var form, var values) -> sequence(form, values);
      case StateNode.NamedTuple(var type, var fields, var values) ->
          sequence(StateNode.Sequence.Form.TUPLE, values);
      case StateNode.Bytes(Blob bytes, boolean mutable) -> mutable ? null : bytes;
      case StateNode.Mapping mapping -> null;
      case StateNode.Null _,
          StateNode.Text _,
          StateNode.RawText _,
          StateNode.EnumMember _,
          StateNode.FilePath _,
          StateNode.DtypeName _,
          StateNode.Size _,
          StateNode.Device _,
          StateNode.Scalar _,
          StateNode.Generator _,
          StateNode.TensorLeaf _,
          StateNode.Opaque _,
          StateNode.Hole _ ->
          key;
    };
  }

  private static Object number(double value) {
    // A NaN is equal to nothing, itself included; each is a key of its own.
    if (Double.isNaN(value)) {
      return new Object();
    }
    return Double.isInfinite(value) ? value : new BigDecimal(value).stripTrailingZeros();
  }

  private static @Nullable Object sequence(StateNode.Sequence.Form form, List<StateNode> values) {
    List<Object> forms = new ArrayList<>(values.size());
    for (StateNode value : values) {
      Object one = form(value);
      if (one == null) {
        return null;
      }
      forms.add(one);
    }
    return switch (form) {
      case LIST, SET -> null;
      case TUPLE -> forms;
      case FROZENSET -> new HashSet<>(forms);
    };
  }
}
