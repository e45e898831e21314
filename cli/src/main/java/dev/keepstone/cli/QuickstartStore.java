package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.Store;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.verify.Problem;
import dev.keepstone.store.verify.Verify;
import dev.keepstone.store.verify.VerifyReport;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// The quickstart's run in its store.
///
/// @param run a name that no other run of the store has
record QuickstartStore(Path root, String run) {
  /// @param problem the first damage found; null where there is none
  record Verified(int checkpoints, long bytes, @Nullable KeepstoneException problem) {}

  private static final String RUN = "demo";

  /// Takes a place for a run: `demo`, or `demo-2` and so on where the store has that.
  ///
  /// @param root a store, an empty folder, or none yet
  static QuickstartStore claim(Path root) throws IOException {
    if (Files.isDirectory(root) && !Files.exists(root.resolve("keepstone.json")) && !empty(root)) {
      throw new KeepstoneException.Refused(
          "the folder is not empty and is no Keepstone store",
          root.toString(),
          "name another one: ./keepstone quickstart --store DIR");
    }
    Files.createDirectories(root);
    for (int k = 1; ; k++) {
      String run = k == 1 ? RUN : RUN + "-" + k;
      try {
        // Making the folder is the claim: two quickstarts at once get two names.
        Files.createDirectory(root.resolve(run));
        return new QuickstartStore(root, run);
      } catch (FileAlreadyExistsException _) {
        continue;
      }
    }
  }

  /// Gives the name back where nothing was saved under it.
  void release() throws IOException {
    for (Path folder : List.of(root.resolve(run), root)) {
      if (Files.isDirectory(folder) && empty(folder)) {
        Files.delete(folder);
      }
    }
  }

  /// Reads every byte of these checkpoints and compares it with its checksum.
  Verified verify(Host host, List<String> ids) {
    Run opened = Store.open(host, root).run(Optional.of(run));
    long bytes = 0;
    KeepstoneException problem = null;
    for (String id : ids) {
      VerifyReport report = Verify.deep(opened, CheckpointId.parse(id), _ -> {});
      bytes += report.bytes();
      if (problem == null && !report.ok()) {
        problem = damage(report.problems().getFirst());
      }
    }
    return new Verified(ids.size(), bytes, problem);
  }

  private static KeepstoneException damage(Problem problem) {
    return new KeepstoneException.Integrity(
        problem.kind().text() + ": expected " + problem.expected() + ", found " + problem.found(),
        problem.file() + (problem.offset() == null ? "" : ", offset " + problem.offset()),
        "look at the disk and its log; ./keepstone verify names every damaged byte");
  }

  private static boolean empty(Path folder) throws IOException {
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
      return !entries.iterator().hasNext();
    }
  }
}
