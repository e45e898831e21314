package dev.keepstone.core.pickle;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.pickle.PickledTensor.Held;
import dev.keepstone.core.pickle.PickledTensor.Origin;
import dev.keepstone.core.pickle.PickledTensor.Strided;
import dev.keepstone.core.pickle.TorchTensors.Rebuilt;
import dev.keepstone.core.pickle.Value.Atom;
import dev.keepstone.core.pickle.Value.Dict;
import dev.keepstone.core.pickle.Value.Global;
import dev.keepstone.core.pickle.Value.Made;
import dev.keepstone.core.pickle.Value.Persistent;
import dev.keepstone.core.pickle.Value.Raw;
import dev.keepstone.core.pickle.Value.Row;
import dev.keepstone.core.state.Blob;
import dev.keepstone.core.state.StateNode;
import dev.keepstone.core.state.StateNode.Entry;
import dev.keepstone.core.state.StateNode.Mapping;
import dev.keepstone.core.state.StateNode.Sequence.Form;
import dev.keepstone.core.state.StateNode.TensorLeaf;
import dev.keepstone.core.state.StateNode.TensorLeaf.Like;
import dev.keepstone.core.state.StateTree;
import dev.keepstone.core.state.StateTreeException;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// The state tree and the tensors of what a pickle holds.
///
/// What is shared is walked as often as it is named, since a tree shares nothing; so the values of
/// the tree are counted, and a small pickle of many references to references is refused.
final class Rebuild {
  /// Levels and values of the tree that is made.
  static final int MAX_LEVELS = 250;

  static final int MAX_VALUES = 8 << 20;

  /// Longer bytes become a tensor (docs/spec/state-tree.md).
  private static final int MAX_BYTES_IN_TREE = 16 << 10;

  private final PickleInput input;
  private final TorchTensors torch;
  private final List<PickledTensor> tensors = new ArrayList<>();
  private final Map<String, String> tied = new LinkedHashMap<>();
  private final IdentityHashMap<Made, TensorLeaf> known = new IdentityHashMap<>();
  private final Map<Tie, TensorLeaf> stored = new HashMap<>();
  private final Set<Value> open = Collections.newSetFromMap(new IdentityHashMap<>());
  private Place place = new Place(new Row(Form.TUPLE, List.of()));
  private int levels;
  private int values;

  private record Tie(Dtype dtype, Strided strided) {}

  Rebuild(PickleInput input) {
    this.input = input;
    this.torch = new TorchTensors(input);
  }

  PickledState root(Value root) {
    place = new Place(root);
    Json.Obj state;
    try {
      Json tree = StateTree.write(node(root));
      // Reading it back finds what no state tree has, such as keys that Python takes for one.
      StateTree.read(tree);
      state = Json.object().put("state", tree).put("keepstone", Json.object().build()).build();
    } catch (StateTreeException e) {
      throw input.refused(String.valueOf(e.getMessage()), input.position() - 1);
    }
    return new PickledState(state, List.copyOf(tensors), Map.copyOf(tied));
  }

  static boolean isTensorLike(Made made) {
    return TorchTensors.isTensor(made)
        || switch (made.function.name()) {
          case "_rebuild_parameter", "_rebuild_parameter_with_state", "_rebuild_from_type_v2" ->
              made.function.module().startsWith("torch.");
          default -> false;
        };
  }

  private StateNode node(Value value) {
    if (++values > MAX_VALUES) {
      throw input.refused(
          "a state of more than " + MAX_VALUES + " values, counted as often as they are named",
          input.position() - 1);
    }
    if (value instanceof Atom(StateNode atom)) {
      return atom;
    }
    if (++levels > MAX_LEVELS) {
      throw input.refused("a state of more than " + MAX_LEVELS + " levels", input.position() - 1);
    }
    if (!open.add(value)) {
      throw input.refused(
          "an object that holds itself, at " + place.component() + " " + place.name(),
          input.position() - 1);
    }
    StateNode node =
        switch (value) {
          case Atom(StateNode atom) -> atom;
          case Raw(byte[] bytes, boolean mutable) -> bytes(bytes, mutable, input.position() - 1);
          case Row(Form form, List<Value> row) -> new StateNode.Sequence(form, all(row));
          case Dict(List<Value> entries) -> Mapping.dict(entries(entries));
          case Global global -> global(global);
          case Made made -> made(made);
          case Persistent persistent -> persistent(persistent);
        };
    open.remove(value);
    levels--;
    return node;
  }

  private StateNode below(String step, Value value) {
    place.down(step);
    StateNode node = node(value);
    place.up();
    return node;
  }

  private List<StateNode> all(List<Value> row) {
    List<StateNode> nodes = new ArrayList<>(row.size());
    for (int i = 0; i < row.size(); i++) {
      nodes.add(
          row.get(i) instanceof Atom atom ? node(atom) : below(Integer.toString(i), row.get(i)));
    }
    return nodes;
  }

  private List<Entry> entries(List<Value> pairs) {
    List<Entry> entries = new ArrayList<>(pairs.size() / 2);
    for (int i = 0; i < pairs.size(); i += 2) {
      StateNode key = pairs.get(i) instanceof Atom atom ? node(atom) : below("key", pairs.get(i));
      place.down(key, i / 2);
      entries.add(new Entry(key, node(pairs.get(i + 1))));
      place.up();
    }
    return entries;
  }

  private StateNode bytes(byte[] bytes, boolean mutable, long offset) {
    if (bytes.length <= MAX_BYTES_IN_TREE) {
      return new StateNode.Bytes(Blob.of(bytes), mutable);
    }
    return leaf(
        Dtype.U8,
        Shape.of(bytes.length),
        new Held(bytes, offset),
        mutable ? Like.BYTEARRAY : Like.BYTES);
  }

  private static StateNode global(Global global) {
    return TorchNames.isDtype(global)
        ? new StateNode.DtypeName("torch", global.name())
        : new StateNode.Opaque("builtins.type", new StateNode.Text(sound(global.qualified())));
  }

  /// A name without half surrogate pairs, which text of a tree does not have.
  private static String sound(String name) {
    return StateNode.hasLoneSurrogate(name) ? name.replaceAll("\\p{Cs}", "?") : name;
  }

  private StateNode persistent(Persistent persistent) {
    if (persistent.id() instanceof Row(Form form, List<Value> id)
        && id.size() > 1
        && id.get(0) instanceof Atom(StateNode.Text(String word))
        && word.equals("module")
        && id.get(1) instanceof Global type) {
      return global(type);
    }
    Rebuilt rebuilt = torch.storage(persistent);
    return leaf(rebuilt.dtype(), rebuilt.shape(), rebuilt.strided(), Like.TORCH);
  }

  private TensorLeaf leaf(Dtype dtype, Shape shape, Origin origin, Like like) {
    Tie tie =
        origin instanceof Strided strided && shape.elementCount() > 0
            ? new Tie(dtype, strided)
            : null;
    TensorLeaf first = tie == null ? null : stored.get(tie);
    if (first != null) {
      tied.put(place.name(), first.name());
      return first;
    }
    String name = sound(place.name());
    tensors.add(new PickledTensor(place.component(), new Tensor(name, dtype, shape), origin));
    TensorLeaf leaf = new TensorLeaf(place.component(), name, like, false);
    if (tie != null) {
      stored.put(tie, leaf);
    }
    return leaf;
  }

  private StateNode made(Made made) {
    TensorLeaf before = known.get(made);
    if (before != null) {
      tied.put(place.name(), before.name());
      return before;
    }
    StateNode node = Objects.requireNonNullElseGet(data(made), () -> opaque(made));
    if (node instanceof TensorLeaf leaf) {
      known.put(made, leaf);
    }
    return node;
  }

  /// What a known call makes, or null where it is not known or its arguments are not the usual
  /// ones.
  private @Nullable StateNode data(Made made) {
    if (TorchTensors.isTensor(made)) {
      return leaf(torch.tensor(made), Like.TORCH);
    }
    return switch (made.function.qualified()) {
      case "collections.OrderedDict" -> mapping(made, Mapping.Kind.ODICT);
      case "collections.Counter" -> mapping(made, Mapping.Kind.COUNTER);
      case "collections.defaultdict" -> defaultDict(made);
      case "builtins.set" -> set(made, Form.SET);
      case "builtins.frozenset" -> set(made, Form.FROZENSET);
      case "builtins.complex" -> complex(made);
      case "builtins.bytes", "builtins.bytearray", "_codecs.encode" -> {
        byte[] bytes = Arguments.bytes(input, made);
        yield bytes == null
            ? null
            : bytes(bytes, made.function.name().equals("bytearray"), made.offset);
      }
      case "builtins.getattr" -> {
        Global member = Globals.attribute(input, made);
        int dot = member.name().lastIndexOf('.');
        yield new StateNode.EnumMember(
            member.module() + "." + member.name().substring(0, dot),
            member.name().substring(dot + 1));
      }
      case "torch.Size" -> size(made);
      case "torch.device" -> device(made);
      case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state" ->
          parameter(made);
      case "torch._tensor._rebuild_from_type_v2" -> fromType(made);
      case "torch._utils._rebuild_qtensor" -> quantised(made);
      case "torch._utils._rebuild_sparse_tensor", "torch._utils._rebuild_sparse_csr_tensor" ->
          sparse(made);
      case "numpy.dtype" -> {
        NumpyArrays.Described dtype = NumpyArrays.dtype(made);
        yield dtype == null ? null : new StateNode.DtypeName("numpy", dtype.text());
      }
      case "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar" -> scalar(made);
      case "numpy.core.multiarray._reconstruct",
          "numpy._core.multiarray._reconstruct",
          "numpy.core.numeric._frombuffer",
          "numpy._core.numeric._frombuffer" -> {
        NumpyArrays.Numbers array = NumpyArrays.array(input, made);
        yield array == null
            ? null
            : leaf(array.dtype(), array.shape(), new Held(array.bytes(), made.offset), Like.NUMPY);
      }
      default -> Paths.isPath(made.function) ? Paths.of(made) : null;
    };
  }

  private TensorLeaf leaf(Rebuilt rebuilt, Like like) {
    return leaf(rebuilt.dtype(), rebuilt.shape(), rebuilt.strided(), like);
  }

  private @Nullable StateNode mapping(Made made, Mapping.Kind kind) {
    List<Value> pairs = new ArrayList<>();
    if (made.args.size() > 1 || !made.items.isEmpty()) {
      return null;
    }
    if (made.args.size() == 1) {
      List<Value> initial = initial(made.args.getFirst());
      if (initial == null) {
        return null;
      }
      pairs.addAll(initial);
    }
    pairs.addAll(made.entries);
    Map<String, StateNode> attributes = new LinkedHashMap<>();
    if (made.state instanceof Dict(List<Value> state)) {
      for (int i = 0; i < state.size(); i += 2) {
        if (!(state.get(i) instanceof Atom(StateNode.Text(String name)))) {
          return null;
        }
        attributes.put(name, below(name, state.get(i + 1)));
      }
    } else if (made.state != null) {
      return null;
    }
    return new Mapping(kind, entries(pairs), attributes, null);
  }

  /// Keys and values in turn of a dict or, as Python 2 wrote it, a list of pairs.
  private static @Nullable List<Value> initial(Value value) {
    if (value instanceof Dict(List<Value> entries)) {
      return entries;
    }
    if (!(value instanceof Row(Form form, List<Value> row))) {
      return null;
    }
    List<Value> pairs = new ArrayList<>();
    for (Value pair : row) {
      if (!(pair instanceof Row(Form inner, List<Value> two)) || two.size() != 2) {
        return null;
      }
      pairs.addAll(two);
    }
    return pairs;
  }

  private @Nullable StateNode defaultDict(Made made) {
    return made.args.size() == 1
            && made.args.getFirst() instanceof Global factory
            && made.state == null
            && made.items.isEmpty()
        ? new Mapping(
            Mapping.Kind.DDICT, entries(made.entries), Map.of(), sound(factory.qualified()))
        : null;
  }

  private @Nullable StateNode set(Made made, Form form) {
    if (made.args.isEmpty()) {
      return new StateNode.Sequence(form, List.of());
    }
    return made.args.size() == 1 && made.args.getFirst() instanceof Row(Form inner, List<Value> row)
        ? new StateNode.Sequence(form, all(row))
        : null;
  }

  private static @Nullable StateNode complex(Made made) {
    return made.args.size() == 2
            && made.args.get(0) instanceof Atom(StateNode.Real(double real))
            && made.args.get(1) instanceof Atom(StateNode.Real(double imaginary))
        ? new StateNode.Complex(real, imaginary)
        : null;
  }

  private StateNode size(Made made) {
    Arguments args = Arguments.of(input, made);
    args.requireCount(1, 1);
    return new StateNode.Size(args.integers(0));
  }

  private StateNode device(Made made) {
    Arguments args = Arguments.of(input, made);
    args.requireCount(1, 2);
    return new StateNode.Device(args.text(0) + (args.count() == 2 ? ":" + args.integer(1) : ""));
  }

  private @Nullable StateNode parameter(Made made) {
    return made.args.isEmpty() ? null : parameter(node(made.args.getFirst()));
  }

  private static StateNode parameter(StateNode data) {
    return data instanceof TensorLeaf(String component, String name, Like like, boolean _)
        ? new TensorLeaf(component, name, like, true)
        : data;
  }

  /// A tensor with attributes of Python's, which are dropped, or of another class, which is told.
  private @Nullable StateNode fromType(Made made) {
    Arguments args = Arguments.of(input, made);
    args.requireCount(4, 4);
    Global function = args.global(0);
    if (!function.qualified().startsWith("torch._utils._rebuild_")) {
      throw args.wrong("a function that rebuilds tensors", function);
    }
    Global type = args.global(1);
    Made inner = new Made(function, args.tuple(2).values(), made.offset);
    if (TorchNames.isPlainTensor(type)) {
      StateNode tensor = node(inner);
      return type.name().equals("Parameter") ? parameter(tensor) : tensor;
    }
    List<Entry> told = new ArrayList<>();
    told.add(new Entry(new StateNode.Text("tensor"), node(inner)));
    Value state = args.get(3);
    told.add(new Entry(new StateNode.Text("state"), node(state)));
    return new StateNode.Opaque(sound(type.qualified()), Mapping.dict(told));
  }

  private StateNode quantised(Made made) {
    Arguments args = Arguments.of(input, made);
    Rebuilt rebuilt = torch.quantised(made);
    List<Entry> told = new ArrayList<>();
    told.add(new Entry(new StateNode.Text("integers"), leaf(rebuilt, Like.TORCH)));
    told.add(new Entry(new StateNode.Text("size"), new StateNode.Size(args.integers(2))));
    told.add(new Entry(new StateNode.Text("quantizer"), below("quantizer", args.get(4))));
    return new StateNode.Opaque("torch.qtensor", Mapping.dict(told));
  }

  private StateNode sparse(Made made) {
    Arguments args = Arguments.of(input, made);
    args.requireCount(2, 2);
    Arguments parts = args.tuple(1);
    parts.requireCount(3, 4);
    boolean compressed = parts.get(2) instanceof Made third && isTensorLike(third);
    List<String> names =
        compressed
            ? List.of("compressed_indices", "plain_indices", "values", "size")
            : List.of("indices", "values", "size", "is_coalesced");
    List<Entry> told = new ArrayList<>();
    told.add(new Entry(new StateNode.Text("layout"), node(args.get(0))));
    for (int i = 0; i < parts.count(); i++) {
      told.add(new Entry(new StateNode.Text(names.get(i)), below(names.get(i), parts.get(i))));
    }
    return new StateNode.Opaque("torch.sparse", Mapping.dict(told));
  }

  private @Nullable StateNode scalar(Made made) {
    if (made.args.size() != 2) {
      return null;
    }
    NumpyArrays.Described dtype = NumpyArrays.dtype(made.args.get(0));
    byte[] bytes = Arguments.bytes(input, made.args.get(1));
    return dtype == null || bytes == null
        ? null
        : new StateNode.Scalar(dtype.text(), Blob.of(bytes));
  }

  /// An object of which only names are known. What Python's `copyreg` stands between is the class.
  private StateNode opaque(Made made) {
    Global type = made.function;
    List<Value> args = made.args;
    if (type.module().equals("copyreg") && !args.isEmpty() && args.get(0) instanceof Global first) {
      type = first;
      args =
          type.module().equals("copyreg") || args.size() < 3 ? args : args.subList(3, args.size());
    }
    List<Entry> told = new ArrayList<>();
    if (!args.isEmpty()) {
      told.add(
          new Entry(new StateNode.Text("args"), new StateNode.Sequence(Form.TUPLE, all(args))));
    }
    if (made.keywords != null) {
      told.add(new Entry(new StateNode.Text("keywords"), node(made.keywords)));
    }
    if (made.state != null) {
      told.add(new Entry(new StateNode.Text("state"), node(made.state)));
    }
    if (!made.items.isEmpty()) {
      told.add(
          new Entry(
              new StateNode.Text("items"), new StateNode.Sequence(Form.LIST, all(made.items))));
    }
    if (!made.entries.isEmpty()) {
      told.add(new Entry(new StateNode.Text("entries"), Mapping.dict(entries(made.entries))));
    }
    return new StateNode.Opaque(sound(type.qualified()), Mapping.dict(told));
  }
}
