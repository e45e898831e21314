package dev.keepstone.core.pickle;

import dev.keepstone.core.json.Json;
import java.io.IOException;
import java.util.List;
import java.util.Map;

/// What the pickle of a checkpoint says.
///
/// Tensors of a dict of tensors are of the component `model`, under its keys; of a dict of other
/// things each key is a component (docs/spec/state-tree.md). One that is saved under several names
/// is told once, under the first.
///
/// @param state the state tree: `{"state": …, "keepstone": {}}`
/// @param tensors in the order in which the pickle speaks of them
/// @param tied further names of tensors, and the names under which they are told
public record PickledState(Json.Obj state, List<PickledTensor> tensors, Map<String, String> tied) {
  /// Reads one pickle; the input stands behind it then.
  ///
  /// @param strict whether classes beyond those that are built here are refused; they become opaque
  ///   objects otherwise
  /// @throws dev.keepstone.core.failure.KeepstoneException.Refused where it names or calls what no
  ///   data needs, is larger than any limit, or no tree
  /// @throws dev.keepstone.core.failure.KeepstoneException.Integrity where it is broken
  public static PickledState read(PickleInput input, boolean strict) throws IOException {
    return new Rebuild(input).root(Unpickler.read(input, new Globals(strict)));
  }
}
