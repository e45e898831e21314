package dev.keepstone.core.pickle;

import dev.keepstone.core.pickle.PickledTensor.Storage;
import dev.keepstone.core.pickle.PickledTensor.Strided;
import dev.keepstone.core.pickle.TorchNames.Elements;
import dev.keepstone.core.pickle.Value.Atom;
import dev.keepstone.core.pickle.Value.Dict;
import dev.keepstone.core.pickle.Value.Global;
import dev.keepstone.core.pickle.Value.Made;
import dev.keepstone.core.pickle.Value.Persistent;
import dev.keepstone.core.pickle.Value.Row;
import dev.keepstone.core.state.StateNode;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Torch's functions that rebuild a tensor of a storage, read as facts.
final class TorchTensors {
  private static final String UTILS = "torch._utils.";

  /// The same word is `torch.Size` and this function's stride, and both are at most this long.
  private static final int MAX_RANK = Shape.MAX_RANK;

  private final PickleInput input;
  private final Map<String, Claim> claims = new HashMap<>();

  /// What the first tensor of a storage said of it; torch believes no later one.
  private record Claim(Storage storage, String type, long count, Elements elements) {}

  /// What is where, and as what torch counts it.
  record Rebuilt(Dtype dtype, Shape shape, Strided strided) {}

  TorchTensors(PickleInput input) {
    this.input = input;
  }

  /// Whether a call makes a tensor of a storage, and nothing around it.
  static boolean isTensor(Made made) {
    return switch (made.function.qualified()) {
      case UTILS + "_rebuild_tensor", UTILS + "_rebuild_tensor_v2", UTILS + "_rebuild_tensor_v3" ->
          true;
      default -> false;
    };
  }

  Rebuilt tensor(Made made) {
    Arguments args = Arguments.of(input, made);
    boolean typed = !made.function.name().equals("_rebuild_tensor_v3");
    switch (made.function.name()) {
      case "_rebuild_tensor" -> args.requireCount(4, 4);
      case "_rebuild_tensor_v2" -> args.requireCount(6, 7);
      default -> args.requireCount(7, 8);
    }
    Claim claim = claim(args);
    Elements elements = typed ? claim.elements : dtype(args, 6);
    int flags = typed ? 6 : 7;
    return rebuilt(args, claim, elements, args.count() > flags ? args.get(flags) : null);
  }

  /// A quantised tensor's integers, as `_rebuild_qtensor` describes them.
  Rebuilt quantised(Made made) {
    Arguments args = Arguments.of(input, made);
    args.requireCount(7, 7);
    Claim claim = claim(args);
    if (claim.elements.perByte() > 1) {
      return bytesOf(claim);
    }
    return rebuilt(args, claim, claim.elements, null);
  }

  /// A storage that stands by itself.
  Rebuilt storage(Persistent persistent) {
    Claim claim = claim(persistent);
    if (claim.elements.perByte() > 1) {
      return bytesOf(claim);
    }
    return of(
        claim.storage, claim.elements.dtype(), 0, List.of(claim.count), List.of(1L), "", null);
  }

  /// Elements smaller than a byte have no offsets of their own; what is told is their bytes.
  private Rebuilt bytesOf(Claim claim) {
    return of(claim.storage, Dtype.U8, 0, List.of(claim.storage.bytes()), List.of(1L), "", null);
  }

  private Rebuilt rebuilt(Arguments args, Claim claim, Elements elements, @Nullable Value flags) {
    long offset = args.integer(1);
    List<Long> size = args.integers(2);
    List<Long> stride = args.integers(3);
    check(args, claim.storage, elements.dtype(), offset, size, stride);
    return of(claim.storage, elements.dtype(), offset, size, stride, args.function(), flags);
  }

  private Elements dtype(Arguments args, int index) {
    Global name = args.global(index);
    return TorchNames.dtype(name).orElseThrow(() -> args.wrong("a dtype of tensors", name));
  }

  private void check(
      Arguments args,
      Storage storage,
      Dtype dtype,
      long offset,
      List<Long> size,
      List<Long> stride) {
    String tensor = "offset %d, size %s, stride %s".formatted(offset, shown(size), shown(stride));
    if (size.size() != stride.size() || size.size() > MAX_RANK) {
      throw input.broken(
          "expected a stride for each of at most %d extents, found %s".formatted(MAX_RANK, tensor),
          args.offset());
    }
    boolean empty = size.contains(0L);
    long elements = storage.bytes() / elementBytes(dtype);
    try {
      long last = offset;
      for (int d = 0; d < size.size(); d++) {
        if (size.get(d) < 0 || stride.get(d) < 0) {
          throw input.broken("a negative extent or stride: " + tensor, args.offset());
        }
        last = Math.addExact(last, Math.multiplyExact(Math.max(0, size.get(d) - 1), stride.get(d)));
      }
      if (!empty && (offset < 0 || last >= elements)) {
        throw input.broken(
            "the tensor ends beyond its storage %s of %d elements: %s"
                .formatted(storage.key(), elements, tensor),
            args.offset());
      }
    } catch (ArithmeticException e) {
      throw input.broken("extents and strides overflow: " + tensor, args.offset());
    }
  }

  private static String shown(List<Long> integers) {
    return integers.size() > 8 ? integers.size() + " integers" : integers.toString();
  }

  private Rebuilt of(
      Storage storage,
      Dtype dtype,
      long offset,
      List<Long> size,
      List<Long> stride,
      String function,
      @Nullable Value flags) {
    boolean complex = dtype == Dtype.C32 || dtype == Dtype.C64 || dtype == Dtype.C128;
    int bytes = elementBytes(dtype);
    Strided strided =
        new Strided(
            storage,
            size.contains(0L) ? 0 : offset,
            size,
            stride,
            bytes,
            complex ? bytes / 2 : bytes,
            flag(flags, "conj"),
            flag(flags, "neg"));
    if (strided.conjugate() && !complex || strided.negative() && !isSigned(dtype)) {
      throw input.broken(function + ": a sign is turned of " + dtype, input.position());
    }
    try {
      Shape shape = new Shape(dtype == Dtype.F4 ? doubled(size) : size);
      shape.byteLength(dtype);
      return new Rebuilt(dtype, shape, strided);
    } catch (IllegalArgumentException e) {
      throw input.broken(function + ": " + e.getMessage(), input.position());
    }
  }

  private static boolean isSigned(Dtype dtype) {
    return switch (dtype) {
      case F16, BF16, F32, F64, C32, C64, C128 -> true;
      default -> false;
    };
  }

  /// Torch counts bytes of two values each; safetensors, and so Keepstone, the values.
  private List<Long> doubled(List<Long> size) {
    List<Long> values = new ArrayList<>(size);
    if (values.isEmpty()) {
      return List.of(2L);
    }
    values.set(values.size() - 1, Math.multiplyExact(2L, values.getLast()));
    return values;
  }

  private static boolean flag(@Nullable Value flags, String name) {
    if (flags instanceof Dict(List<Value> entries)) {
      for (int i = 0; i < entries.size(); i += 2) {
        if (entries.get(i) instanceof Atom(StateNode.Text(String key))
            && key.equals(name)
            && entries.get(i + 1) instanceof Atom(StateNode.Bool(boolean set))) {
          return set;
        }
      }
    }
    return false;
  }

  private static int elementBytes(Dtype dtype) {
    return Math.max(8, dtype.bits()) / 8;
  }

  private Claim claim(Arguments args) {
    if (args.get(0) instanceof Persistent persistent) {
      return claim(persistent);
    }
    throw args.wrong("a storage", args.get(0));
  }

  private Claim claim(Persistent persistent) {
    if (!(persistent.id() instanceof Row(StateNode.Sequence.Form form, List<Value> id))) {
      throw input.broken("expected the id of a storage", persistent.offset());
    }
    Arguments args = new Arguments(input, "the id of a storage", id, persistent.offset());
    args.requireCount(5, 6);
    if (!args.text(0).equals("storage")) {
      throw input.broken("expected the id of a storage", persistent.offset());
    }
    if (args.count() == 6 && !(args.get(5) instanceof Atom(StateNode.Null _))) {
      throw input.refused("a view of a storage, as torch before 0.4 has them", persistent.offset());
    }
    Global type = args.global(1);
    Elements elements =
        TorchNames.storage(type).orElseThrow(() -> args.wrong("a class of storages", type));
    String key = args.text(2);
    args.text(3);
    long count = args.integer(4);
    if (count < 0 || count > Long.MAX_VALUE / 16) {
      throw input.broken("a storage of " + count + " elements", persistent.offset());
    }
    long bytes =
        elements.perByte() > 1
            ? Math.ceilDiv(count, elements.perByte())
            : count * elementBytes(elements.dtype());
    Claim claim =
        new Claim(
            new Storage(key, bytes, elements.perByte() > 1 ? 1 : elementBytes(elements.dtype())),
            type.name(),
            count,
            elements);
    Claim first = claims.putIfAbsent(key, claim);
    if (first != null && !(first.type.equals(claim.type) && first.count == count)) {
      throw input.broken(
          "storage %s is %d elements of %s here and %d of %s elsewhere"
              .formatted(key, count, claim.type, first.count, first.type),
          persistent.offset());
    }
    return first == null ? claim : first;
  }
}
