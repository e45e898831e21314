package dev.keepstone.segment.layout;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// Lays out slots and the constant area: components in the order in which they were first
/// registered; of each, one shard of what changes, one of what has not for long, and one of what is
/// promised not to, where there is any.
final class Planner {
  // Names of shards are built from it: <component>-<rank>.<nonce>.safetensors.
  private static final Pattern COMPONENT = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_.-]*");
  private static final Set<String> TAKEN = Set.of("state", "part");

  // File names end at 255 bytes; rank, nonce and endings take the rest.
  private static final int MAX_COMPONENT_LENGTH = 200;

  private final LayoutOwner owner;
  private final LayoutRequest request;
  private final Predicate<RegisteredPiece> steady;
  private final List<ShardPlace> shards = new ArrayList<>();
  private final PiecePlace[] places;
  private long slotEnd;
  private long constantEnd;

  Planner(LayoutOwner owner, LayoutRequest request, Predicate<RegisteredPiece> steady) {
    this.owner = owner;
    this.request = request;
    this.steady = steady;
    this.places = new PiecePlace[request.pieces().size()];
  }

  /// How a tensor is expected to behave. All pieces of one tensor go to one shard, so that its name
  /// is the first piece's.
  private enum Kind {
    CHANGING,
    STEADY,
    FROZEN
  }

  Layout plan() {
    long stateCapacity = stateCapacity();
    Map<String, List<Integer>> components = components();
    slotEnd = stateCapacity;
    try {
      components.forEach((component, members) -> {
        int group = 0;
        for (Map.Entry<Kind, List<Integer>> kind : byKind(members).entrySet()) {
          place(component, group++, kind.getKey() == Kind.FROZEN, kind.getValue());
        }
      });
      long _ = Layout.alignUp(slotEnd, Layout.ALIGNMENT);
      long _ = Layout.alignUp(constantEnd, Layout.ALIGNMENT);
    } catch (ArithmeticException e) {
      throw refused("all pieces together have more bytes than fit 63 bits", "register fewer");
    }
    return new Layout(
        owner,
        stateCapacity,
        shards,
        Arrays.asList(places),
        request.state(),
        request.configs(),
        request.provenance());
  }

  private SortedMap<Kind, List<Integer>> byKind(List<Integer> members) {
    Map<String, List<Integer>> tensors = new LinkedHashMap<>();
    for (int member : members) {
      tensors.computeIfAbsent(piece(member).tensor().name(), _ -> new ArrayList<>()).add(member);
    }
    SortedMap<Kind, List<Integer>> kinds = new TreeMap<>();
    for (List<Integer> pieces : tensors.values()) {
      List<RegisteredPiece> registered = pieces.stream().map(request.pieces()::get).toList();
      Kind kind =
          registered.stream().anyMatch(RegisteredPiece::frozen)
              ? Kind.FROZEN
              : registered.stream().allMatch(steady) ? Kind.STEADY : Kind.CHANGING;
      kinds.computeIfAbsent(kind, _ -> new ArrayList<>()).addAll(pieces);
    }
    return kinds;
  }

  private void place(String component, int group, boolean constant, List<Integer> members) {
    members.sort(Comparator.naturalOrder());
    members.sort(Layout.fileOrder(this::piece));
    int headerBytes = Layout.header(members.stream().map(this::piece).toList()).length;
    long start = Layout.alignUp(constant ? constantEnd : slotEnd, Layout.ALIGNMENT);
    long at = Math.addExact(start, headerBytes);
    for (int member : members) {
      places[member] = new PiecePlace(shards.size(), piece(member), at);
      at = Math.addExact(at, piece(member).byteLength());
    }
    boolean whole = members.stream().allMatch(member -> piece(member).isWhole());
    shards.add(new ShardPlace(component, group, constant, whole, start, at - start, headerBytes));
    if (constant) {
      constantEnd = at;
    } else {
      slotEnd = at;
    }
  }

  private Piece piece(int index) {
    return request.pieces().get(index).piece();
  }

  private long stateCapacity() {
    long needed = request.stateBytes();
    if (needed > Layout.MAX_STATE_CAPACITY / 2) {
      throw refused(
          "the state besides tensors has at most "
              + Layout.MAX_STATE_CAPACITY / 2
              + " bytes, found "
              + needed,
          "keep large arrays as tensors");
    }
    return Layout.alignUp(Math.max(Layout.MIN_STATE_CAPACITY, 2 * needed), Layout.ALIGNMENT);
  }

  private Map<String, List<Integer>> components() {
    Map<String, List<Integer>> components = new LinkedHashMap<>();
    for (int i = 0; i < request.pieces().size(); i++) {
      components
          .computeIfAbsent(request.pieces().get(i).component(), _ -> new ArrayList<>())
          .add(i);
    }
    components.forEach((component, members) -> {
      checkComponent(component);
      Map<String, List<RegisteredPiece>> tensors = new LinkedHashMap<>();
      for (int member : members) {
        RegisteredPiece registered = request.pieces().get(member);
        tensors
            .computeIfAbsent(registered.piece().tensor().name(), _ -> new ArrayList<>())
            .add(registered);
      }
      tensors.values().forEach(this::checkTensor);
      checkNames(members);
    });
    return components;
  }

  private void checkComponent(String component) {
    if (!COMPONENT.matcher(component).matches()
        || component.contains("..")
        || component.length() > MAX_COMPONENT_LENGTH
        || TAKEN.contains(component)) {
      throw refused(
          "component \""
              + component
              + "\" cannot name a file: expected at most "
              + MAX_COMPONENT_LENGTH
              + " of A-Z a-z 0-9 _ . - beginning with a letter or digit, no \"..\", not \"state\""
              + " or \"part\"",
          "name the component otherwise");
    }
  }

  private void checkTensor(List<RegisteredPiece> pieces) {
    Tensor tensor = pieces.getFirst().piece().tensor();
    for (RegisteredPiece other : pieces) {
      if (!other.piece().tensor().equals(tensor)) {
        throw refused(
            "two forms of tensor "
                + other.describe()
                + ": "
                + form(tensor)
                + " and "
                + form(other.piece().tensor()),
            "give each tensor its own name");
      }
    }
    RegisteredPiece[] overlap = Overlap.find(pieces);
    if (overlap != null) {
      throw refused(
          "two pieces of "
              + overlap[0].describe()
              + " hold the same elements: "
              + slice(overlap[0])
              + " and "
              + slice(overlap[1]),
          "register each element once");
    }
  }

  private static String form(Tensor tensor) {
    return tensor.dtype() + " " + tensor.shape();
  }

  private static String slice(RegisteredPiece registered) {
    return registered.piece().slice().extent() + " at " + registered.piece().slice().offset();
  }

  private void checkNames(List<Integer> members) {
    PieceNames names = new PieceNames();
    Map<String, RegisteredPiece> taken = new HashMap<>();
    for (int member : members) {
      RegisteredPiece registered = request.pieces().get(member);
      String name = names.next(registered.piece());
      @Nullable RegisteredPiece other = taken.put(name, registered);
      if (other != null) {
        throw refused(
            "a piece of "
                + registered.describe()
                + " and one of "
                + other.describe()
                + " would both be called \""
                + name
                + "\" in their file",
            "rename one of the tensors");
      }
    }
  }

  private KeepstoneException.Refused refused(String what, String next) {
    return new KeepstoneException.Refused(
        what, "layout of rank " + owner.rank() + " of run " + owner.run(), next);
  }
}
