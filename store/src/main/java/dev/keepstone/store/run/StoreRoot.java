package dev.keepstone.store.run;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.RunMarker;
import dev.keepstone.store.object.StoreMarker;
import dev.keepstone.store.tier.Put;
import dev.keepstone.store.tier.Tier;
import java.time.InstantSource;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.random.RandomGenerator;

/// The root of a store in one tier: its marker and the runs in it.
public final class StoreRoot {
  private static final int UID_BYTES = 16;

  private final Tier tier;

  private StoreRoot(Tier tier) {
    this.tier = tier;
  }

  /// @throws KeepstoneException.NotFound where the tier is no store
  public static StoreRoot open(Tier tier) {
    String describe = tier.describe(StoreMarker.NAME);
    byte[] marker =
        tier.read(StoreMarker.NAME)
            .orElseThrow(() ->
                new KeepstoneException.NotFound(
                    "no store: there is no " + StoreMarker.NAME,
                    describe,
                    "keepstone init makes one"));
    StoreMarker.decode(marker, describe);
    return new StoreRoot(tier);
  }

  /// Opens the store, or makes it where there is none.
  public static StoreRoot openOrMake(Tier tier, InstantSource clock) {
    if (tier.read(StoreMarker.NAME).isEmpty()) {
      put(tier, StoreMarker.NAME, new StoreMarker(clock.instant()).encode());
    }
    return open(tier);
  }

  /// The runs in it, in order of their names.
  public List<String> runs() {
    return tier.root().stream()
        .filter(entry -> entry.kind() == Disk.Kind.DIRECTORY && Names.isRun(entry.name()))
        .map(Disk.Entry::name)
        .filter(name -> tier.read(new Names(name).marker()).isPresent())
        .sorted()
        .toList();
  }

  /// @throws KeepstoneException.NotFound where there is no such run; names those that are there
  public Run run(String name) {
    if (!Names.isRun(name)) {
      throw new KeepstoneException.Refused(
          "no run can be called \"" + name + "\"",
          tier.describe(""),
          "use letters, digits, '.', '_' and '-'");
    }
    Names names = new Names(name);
    byte[] bytes =
        tier.read(names.marker())
            .orElseThrow(() -> missing("there is no run \"" + name + "\"", tier.describe(name)));
    return new Run(tier, names, RunMarker.decode(bytes, tier.describe(names.marker())));
  }

  /// Opens the run, or makes it where there is none; of several who make it at once, one does.
  ///
  /// @param random where the new run's uid comes from
  public Run runOrMake(String name, InstantSource clock, RandomGenerator random) {
    if (Names.isRun(name) && tier.read(new Names(name).marker()).isEmpty()) {
      byte[] uid = new byte[UID_BYTES];
      random.nextBytes(uid);
      RunMarker marker = new RunMarker(HexFormat.of().formatHex(uid), clock.instant());
      put(tier, new Names(name).marker(), marker.encode());
    }
    return run(name);
  }

  /// The run that is named, or the only one where none is.
  ///
  /// @throws KeepstoneException.Refused where none is named and there are several
  public Run run(Optional<String> name) {
    if (name.isPresent()) {
      return run(name.get());
    }
    List<String> runs = runs();
    if (runs.size() != 1) {
      String where = tier.describe("");
      throw runs.isEmpty()
          ? missing("the store holds no run", where)
          : new KeepstoneException.Refused(
              "the store holds " + runs.size() + " runs, and none is named",
              where,
              "name one of " + named(runs));
    }
    return run(runs.getFirst());
  }

  private KeepstoneException.NotFound missing(String what, String on) {
    List<String> runs = runs();
    return new KeepstoneException.NotFound(
        what, on, runs.isEmpty() ? "save a checkpoint first" : "take one of " + named(runs));
  }

  private static String named(List<String> runs) {
    return String.join(" ", runs);
  }

  private static void put(Tier tier, String name, byte[] bytes) {
    // Lost means that somebody else made it at the same moment, which is as good.
    if (tier.put(name, bytes) instanceof Put.Unknown(String why)) {
      throw new KeepstoneException.OutcomeUnknown(
          "whether it was made is not known: " + why, tier.describe(name), "try again");
    }
  }
}
