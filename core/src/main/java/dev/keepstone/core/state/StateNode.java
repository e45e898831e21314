package dev.keepstone.core.state;

import java.math.BigInteger;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// A value of the state tree: one case per row of the table in docs/spec/state-tree.md. Immutable,
/// so there are no cycles.
///
/// Doubles keep all bits in JSON, NaN payloads included; equality of records takes all NaN for
/// equal.
public sealed interface StateNode {
  /// `None`.
  record Null() implements StateNode {}

  /// `True`, `False`.
  record Bool(boolean value) implements StateNode {}

  /// An integer of any size.
  record Int(BigInteger value) implements StateNode {
    public static Int of(long value) {
      return new Int(BigInteger.valueOf(value));
    }
  }

  /// A float.
  record Real(double value) implements StateNode {}

  /// A complex number.
  record Complex(double real, double imaginary) implements StateNode {}

  /// A string without lone surrogates.
  record Text(String value) implements StateNode {
    public Text {
      if (hasLoneSurrogate(value)) {
        throw new IllegalArgumentException("a string with lone surrogates is a RawText");
      }
    }
  }

  /// A string with lone surrogates. Python tells two surrogates in a row from the character that
  /// they would be together, and Java does not; so this keeps the bytes.
  ///
  /// @param utf8 with surrogates passed through
  record RawText(Blob utf8) implements StateNode {}

  /// `bytes`, or `bytearray` where mutable.
  record Bytes(Blob bytes, boolean mutable) implements StateNode {}

  /// Values in a row.
  record Sequence(Form form, List<StateNode> values) implements StateNode {
    public Sequence {
      values = List.copyOf(values);
    }

    /// The words, `list` apart, are those of the JSON.
    public enum Form {
      LIST,
      TUPLE,
      SET,
      FROZENSET
    }
  }

  /// `dict`, and its kin in the standard library, in insertion order.
  ///
  /// @param attributes such as `_metadata`; of `OrderedDict` and `Counter` only
  /// @param factory the name of a default dict's factory; null for all others
  record Mapping(
      Kind kind, List<Entry> entries, Map<String, StateNode> attributes, @Nullable String factory)
      implements StateNode {
    public Mapping {
      entries = List.copyOf(entries);
      attributes = Collections.unmodifiableMap(new LinkedHashMap<>(attributes));
    }

    /// A plain dict.
    public static Mapping dict(List<Entry> entries) {
      return new Mapping(Kind.DICT, entries, Map.of(), null);
    }

    /// Which kind of dict; the names are the words of the JSON.
    public enum Kind {
      DICT,
      ODICT,
      COUNTER,
      DDICT
    }

    /// The value under a string key, or null.
    public @Nullable StateNode get(String key) {
      for (Entry entry : entries) {
        if (entry.key instanceof Text(String text) && text.equals(key)) {
          return entry.value;
        }
      }
      return null;
    }
  }

  /// One key of a mapping and what it maps to.
  record Entry(StateNode key, StateNode value) {}

  /// A member of an enum.
  ///
  /// @param type `module.Class`
  record EnumMember(String type, String name) implements StateNode {}

  /// A named tuple; as many fields as values.
  record NamedTuple(String type, List<String> fields, List<StateNode> values) implements StateNode {
    public NamedTuple {
      fields = List.copyOf(fields);
      values = List.copyOf(values);
      if (fields.size() != values.size()) {
        throw new IllegalArgumentException(
            "expected as many values as fields, found " + values.size() + " and " + fields.size());
      }
    }
  }

  /// A `pathlib` path.
  record FilePath(String value) implements StateNode {}

  /// A data type as a value.
  ///
  /// @param of `torch` or `numpy`
  record DtypeName(String of, String value) implements StateNode {}

  /// `torch.Size`.
  record Size(List<Long> extents) implements StateNode {
    public Size {
      extents = List.copyOf(extents);
    }
  }

  /// `torch.device`.
  record Device(String value) implements StateNode {}

  /// A NumPy scalar: the bytes of one element.
  record Scalar(String dtype, Blob bytes) implements StateNode {}

  /// A generator of random numbers.
  ///
  /// @param of `torch`, `numpy` or `python`
  record Generator(String of, StateNode state) implements StateNode {}

  /// A tensor of the checkpoint stands here.
  ///
  /// @param parameter whether it is an `nn.Parameter`
  record TensorLeaf(String component, String name, Like like, boolean parameter)
      implements StateNode {
    /// What the tensor was in the trainer; the words are those of the JSON.
    public enum Like {
      TORCH,
      NUMPY,
      BYTES,
      BYTEARRAY
    }
  }

  /// An object of which only the type's name and its state are known.
  record Opaque(String type, StateNode state) implements StateNode {}

  /// The value with this index in the slot's values; in layouts only.
  record Hole(int index) implements StateNode {}

  /// Whether a string holds half a pair of surrogates.
  static boolean hasLoneSurrogate(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (Character.isSurrogate(text.charAt(i))) {
        if (i + 1 == text.length()
            || !Character.isSurrogatePair(text.charAt(i), text.charAt(i + 1))) {
          return true;
        }
        i++;
      }
    }
    return false;
  }
}
