package dev.keepstone.store.torture;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.tier.StoreClock;
import dev.keepstone.testkit.Interleavings.Outcome;
import dev.keepstone.testkit.Script;
import dev.keepstone.testkit.Seeds;
import dev.keepstone.testkit.Shuffle;
import java.time.Duration;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.stream.LongStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Histories of one store, drawn by seed: a few processes at a time run the product's code in a
/// random order of their steps on a disk, some are killed, and at a random step the power goes. New
/// processes go on with what the disk kept ([dev.keepstone.testkit.MemoryDisk] says what that may
/// be). After each time, and after the end of all of them, what they were told is compared with
/// what is there ([Promises]).
///
/// 300 seeds; `-Dkeepstone.crash.seeds=10000` for the long form, `-Dkeepstone.seed=4711` for one.
final class CrashTortureTest {
  private static final int EPOCHS = 5;

  /// How many steps there are before the power goes or somebody is killed, at most; drawn, so that
  /// crashes come early and late in lives alike.
  private static final int[] MOST_STEPS = {60, 250, 1000};

  private static final Duration STALENESS = Duration.ofSeconds(20);
  private static final int MANY = 1_000_000;

  static LongStream seeds() {
    return Seeds.count(Integer.getInteger("keepstone.crash.seeds", 300));
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void whatWasToldIsSoWheneverThePowerGoes(long seed) throws Exception {
    torture(new World(Seeds.random(seed), Duration.ZERO));
  }

  static LongStream networkSeeds() {
    return Seeds.count(Integer.getInteger("keepstone.crash.seeds", 300) / 3);
  }

  /// The same through a network: each process on a host of its own, which may not see for a while
  /// what the others have done.
  @ParameterizedTest
  @MethodSource("networkSeeds")
  void whatWasToldIsSoWhereHostsSeeEachOtherLate(long seed) throws Exception {
    torture(new World(Seeds.random(seed), STALENESS));
  }

  private static void torture(World world) throws Exception {
    Lives lives = new Lives(world);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
      boolean cut = world.luck.nextInt(4) > 0;
      Shuffle.play(
          world.luck,
          shuffle -> {
            bringOn(shuffle, world, lives);
            play(shuffle, world, cut);
          });
      if (cut) {
        world.powerCut();
      }
      world.promises.checkCopies(world.disk(), world.clock());
      world.promises.check(world.open(world.disk(), world.clock()), world.clock(), cut);
    }
    StoreClock clock = world.clock();
    Run run = world.open(world.disk(), clock);
    if (world.luck.nextBoolean()) {
      lives.startAgain(run, clock);
    }
    if (world.luck.nextInt(3) == 0) {
      lives.settleByCommand(run, clock);
    } else {
      lives.settle(run, clock);
    }
    world.promises.checkCopies(world.disk(), clock);
    world.promises.checkSettled(run, clock);
  }

  private static void bringOn(Shuffle shuffle, World world, Lives lives) {
    RandomGenerator luck = world.luck;
    int count = 0;
    for (int life = 1 + luck.nextInt(4); life > 0; life--) {
      Disk host = world.host();
      List<Script> scripts =
          switch (luck.nextInt(18)) {
            case 0, 1, 2, 3, 4, 5 -> lives.launch(host, world.host());
            case 6, 7, 8 -> List.of(lives.keeper(host));
            case 9 -> List.of(lives.reader(host));
            case 10, 11, 12 -> List.of(lives.writer(host));
            case 13 -> List.of(lives.pruner(host));
            case 14 -> List.of(lives.collector(host));
            case 15, 16 -> List.of(lives.copier(host));
            default -> List.of(lives.importer(host));
          };
      for (Script script : scripts) {
        shuffle.begin("process " + ++count, script);
      }
    }
  }

  private static int steps(RandomGenerator luck) {
    return luck.nextInt(MOST_STEPS[luck.nextInt(MOST_STEPS.length)]);
  }

  private static void play(Shuffle shuffle, World world, boolean cut) {
    RandomGenerator luck = world.luck;
    boolean going = shuffle.go(steps(luck));
    while (going && luck.nextInt(3) == 0) {
      shuffle.kill();
      going = shuffle.go(steps(luck));
    }
    if (!cut) {
      assertThat(shuffle.go(MANY)).as("all come to an end").isFalse();
    }
    for (Outcome outcome : shuffle.outcomes()) {
      if (outcome.failure() != null) {
        throw new AssertionError(
            outcome.actor() + " failed: " + outcome.failure(), outcome.failure());
      }
    }
  }
}
