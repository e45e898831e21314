package dev.keepstone.store.verify;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// One thing that is not as it was stored.
///
/// @param file as people know it
/// @param tensor in whose bytes it is; null elsewhere
/// @param offset in the file; null where it is the whole file or nothing of it
/// @param length bytes from `offset`; null with it
/// @param expected for people
/// @param found for people
public record Problem(
    String file,
    @Nullable String tensor,
    @Nullable Long offset,
    @Nullable Long length,
    Kind kind,
    String expected,
    String found) {
  /// What kind of problem.
  public enum Kind {
    /// A file that the manifest names is not there.
    MISSING,
    /// A file is longer or shorter than the manifest says.
    SIZE,
    /// Bytes do not match the checksum that manifest or part hold of them.
    CHECKSUM,
    /// The header of a shard is none, or names other tensors than the part.
    HEADER,
    /// A JSON object does not hold to its own checksum or form, belongs elsewhere, or contradicts
    /// another.
    MALFORMED,
    /// The system does not let it be read.
    UNREADABLE;

    /// How it stands in JSON.
    public String text() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  static Problem of(String file, Kind kind, String expected, String found) {
    return new Problem(file, null, null, null, kind, expected, found);
  }
}
