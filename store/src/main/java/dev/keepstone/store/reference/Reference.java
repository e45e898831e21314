package dev.keepstone.store.reference;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Pattern;

/// A checkpoint as people name it: `STORE/RUN@WHICH`.
///
/// The store is found by walking up to the directory that holds `keepstone.json`; what lies between
/// is the run. So a reference says the same from anywhere, and a path that is in no store is none.
///
/// @param store the store's root, absolute
/// @param run empty where it is left out
/// @param which [Which#LATEST] where it is left out
public record Reference(Path store, Optional<String> run, Which which) {
  /// What marks the root of a store.
  private static final String MARKER = "keepstone.json";

  private static final Pattern URI = Pattern.compile("([a-z][a-z0-9+]*)://.*");

  /// Reads a reference that must be one.
  ///
  /// @throws KeepstoneException.NotFound where no store is at or above the path
  /// @throws KeepstoneException.Refused where it is not written as a reference
  public static Reference parse(String text, Disk disk) {
    return find(text, disk)
        .orElseThrow(() ->
            new KeepstoneException.NotFound(
                "no store: there is no " + MARKER + " here or above",
                split(text).path,
                "write STORE/RUN@WHICH, as in ckpts/gpt-small@latest; keepstone init makes a"
                    + " store"));
  }

  /// Reads a reference, or gives empty where the text names no run of a store but some other path:
  /// a file or folder outside of every store, or one inside a run.
  ///
  /// @throws KeepstoneException.Refused where it is in a store and what follows `@` is not a choice
  public static Optional<Reference> find(String text, Disk disk) {
    Written written = split(text);
    Path path = path(written.path);
    for (Path at = path; at != null; at = at.getParent()) {
      if (isStore(at, disk)) {
        int below = path.getNameCount() - at.getNameCount();
        if (below > 1) {
          return Optional.empty();
        }
        Optional<String> run =
            below == 0 ? Optional.empty() : Optional.of(path.getFileName().toString());
        return Optional.of(new Reference(at, run, which(written.which, text)));
      }
    }
    return Optional.empty();
  }

  /// As people write it.
  public String text() {
    return run.map(name -> store.resolve(name)).orElse(store) + "@" + which.text();
  }

  /// @param which empty where there is no `@`
  private record Written(String path, Optional<String> which) {}

  /// Cuts at the last `@`, unless a `/` follows it: then it belongs to a directory's name.
  private static Written split(String text) {
    int at = text.lastIndexOf('@');
    return at < 0 || text.indexOf('/', at) >= 0
        ? new Written(text, Optional.empty())
        : new Written(text.substring(0, at), Optional.of(text.substring(at + 1)));
  }

  private static Path path(String text) {
    if (URI.matcher(text).matches()) {
      throw new KeepstoneException.Unsupported(
          "stores behind an address are not supported yet", text, "use a path of a file system");
    }
    try {
      return Path.of(text).toAbsolutePath().normalize();
    } catch (InvalidPathException e) {
      throw new KeepstoneException.Refused(
          "not a path: " + e.getReason(), text, "write STORE/RUN@WHICH");
    }
  }

  private static boolean isStore(Path directory, Disk disk) {
    try {
      disk.open(directory.resolve(MARKER)).close();
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static Which which(Optional<String> written, String text) {
    return written.map(which -> Which.parse(which, text)).orElse(Which.LATEST);
  }
}
