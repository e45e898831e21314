package dev.keepstone;

import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.tier.Tier;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// A store: a folder that holds runs.
public final class Store {
  private final Path path;
  private final Tier tier;
  private final StoreRoot root;

  private Store(Path path, Tier tier, StoreRoot root) {
    this.path = path;
    this.tier = tier;
    this.root = root;
  }

  /// Opens the store in a folder.
  ///
  /// @throws dev.keepstone.core.failure.KeepstoneException.NotFound where there is none
  public static Store open(Host host, Path path) {
    Tier tier = host.tier(path);
    return new Store(path, tier, StoreRoot.open(tier));
  }

  /// Makes a folder a store, or opens the one that it is already.
  public static Store init(Host host, Path path) {
    Tier tier = host.tier(path);
    return new Store(path, tier, StoreRoot.openOrMake(tier, host.clock()));
  }

  /// The folder.
  public Path path() {
    return path;
  }

  /// Its objects.
  public Tier tier() {
    return tier;
  }

  /// Names of the runs in it, in order.
  public List<String> runs() {
    return root.runs();
  }

  /// The run that is named, or the only one.
  ///
  /// @throws dev.keepstone.core.failure.KeepstoneException.NotFound where there is none such
  /// @throws dev.keepstone.core.failure.KeepstoneException.Refused where none is named and there
  ///   are several
  public Run run(Optional<String> name) {
    return root.run(name);
  }

  /// Opens a run, or makes it where there is none.
  Run runOrMake(Host host, String name) {
    return root.runOrMake(name, host.clock(), host.random());
  }
}
