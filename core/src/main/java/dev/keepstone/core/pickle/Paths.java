package dev.keepstone.core.pickle;

import dev.keepstone.core.pickle.Value.Atom;
import dev.keepstone.core.pickle.Value.Global;
import dev.keepstone.core.pickle.Value.Made;
import dev.keepstone.core.state.StateNode;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Paths of `pathlib`: the parts as arguments, or since Python 3.13 the text as the only one.
final class Paths {
  private static final Set<String> CLASSES =
      Set.of("Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath");

  private Paths() {}

  static boolean isPath(Global global) {
    return (global.module().equals("pathlib") || global.module().equals("pathlib._local"))
        && CLASSES.contains(global.name());
  }

  /// The path, or null where the arguments are no text.
  static StateNode.@Nullable FilePath of(Made made) {
    String separator = made.function.name().contains("Windows") ? "\\" : "/";
    StringBuilder path = new StringBuilder();
    for (Value arg : made.args) {
      if (!(arg instanceof Atom(StateNode.Text(String part)))) {
        return null;
      }
      boolean joined = path.isEmpty() || path.toString().endsWith(separator);
      path.append(joined ? "" : separator).append(part);
    }
    return new StateNode.FilePath(path.isEmpty() ? "." : path.toString());
  }
}
