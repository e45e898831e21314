package dev.keepstone.store.torture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.keepstone.Host;
import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.store.Checkpoints;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Line;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.TombsSeen;
import dev.keepstone.store.run.View;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.StoreClock;
import dev.keepstone.store.torture.StoreProcess.Role;
import dev.keepstone.testkit.Seeds;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Real processes on one run of one store, killed at random with SIGKILL and started again: ranks
/// and committers of one start, pinners, pruners, readers, collectors, and stragglers of older
/// starts that do not know that they are over. Half of them reach the store by another path, as
/// from a second host.
///
/// Nine processes for a few seconds; `-Dkeepstone.crash.processes=64 -Dkeepstone.crash.seconds=60`
/// for the long form.
final class ProcessTortureTest {
  private static final int PROCESSES = Integer.getInteger("keepstone.crash.processes", 7);
  private static final int SECONDS = Integer.getInteger("keepstone.crash.seconds", 5);
  private static final int STRAGGLERS = Math.max(2, PROCESSES / 8);
  private static final Duration PATIENCE = Duration.ofSeconds(120);
  private static final StoreClock CLOCK = Host.local().clock();

  /// How the second half of the processes reaches the store.
  enum SecondHost {
    /// Through a link in the place of a folder above it.
    SYMBOLIC_LINK,
    /// Mounted a second time, for these processes alone.
    BIND_MOUNT
  }

  @TempDir Path directory;
  private final Random luck = Seeds.random(Long.getLong("keepstone.seed", 1));
  private final List<Living> living = new ArrayList<>();
  private final List<Path> logs = new ArrayList<>();
  private int nonces = 0x10;
  private int killed;

  private record Living(Process process, Role role, int number, Path log) {}

  @ParameterizedTest
  @EnumSource(SecondHost.class)
  void nobodyFailsAndNothingNeededIsGoneThoughProcessesAreKilled(SecondHost host) throws Exception {
    Path store = Files.createDirectories(directory.resolve("one/ckpts"));
    Path second = second(host, store);
    older(StoreProcess.open(store, "00000001"));
    try {
      for (int i = 0; i < PROCESSES + STRAGGLERS; i++) {
        living.add(begin(host, i % 2 == 0 ? store : second, store, role(i), i));
      }
      torture(host, store, second);
      Files.createFile(store.resolve("stop"));
      for (Living one : living) {
        assertThat(one.process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS))
            .as("%s ends", one.role)
            .isTrue();
        assertThat(one.process.exitValue()).as("%s", said(one)).isZero();
      }
    } finally {
      living.forEach(one -> one.process.destroyForcibly());
    }
    check(StoreProcess.open(store, "00000002"), host);
  }

  private Path second(SecondHost host, Path store) throws Exception {
    Path other = directory.resolve("two");
    switch (host) {
      case SYMBOLIC_LINK -> Files.createSymbolicLink(other, store.getParent());
      case BIND_MOUNT -> {
        Files.createDirectories(other.resolve("ckpts"));
        Process tried =
            new ProcessBuilder(mounting(store, other.resolve("ckpts"), List.of("true")))
                .redirectErrorStream(true)
                .start();
        String words = new String(tried.getInputStream().readAllBytes());
        assumeTrue(
            tried.waitFor() == 0,
            "no bind mounts in a mount namespace of one's own here: " + words.strip());
      }
    }
    return other.resolve("ckpts");
  }

  /// A command in a mount namespace of its own, in which the store lies at a second path too; the
  /// process that this starts becomes the command itself.
  private static List<String> mounting(Path store, Path at, List<String> command) {
    List<String> all = new ArrayList<>(List.of("unshare", "--mount"));
    if (!System.getProperty("user.name").equals("root")) {
      all.add("--map-root-user");
    }
    String script = "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";
    all.addAll(List.of("sh", "-c", script, store.toString(), at.toString()));
    all.addAll(command);
    return all;
  }

  /// Older starts, each with a checkpoint that the next one goes on from.
  private static void older(Run run) {
    for (int number = 1; number <= STRAGGLERS; number++) {
      Starts starts = new Starts(run, CLOCK, Starts.Check.none());
      int start = starts.decide(starts.join("old-" + number, 1, Wanted.LATEST)).start();
      CheckpointId id = new CheckpointId(start, number * 10L);
      Commit commit = new Commit(run);
      commit.putPart(Checkpoints.write(run, id, 0, 1, "00000001"));
      assertThat(commit.publish(id)).isEqualTo(new Published.Committed());
    }
  }

  private static int ranks() {
    return Math.max(2, PROCESSES / 4);
  }

  private static Role role(int i) {
    if (i < ranks()) {
      return Role.RANK;
    }
    if (i >= PROCESSES) {
      return Role.STRAGGLER;
    }
    Role[] others = {Role.READER, Role.PRUNER, Role.PINNER, Role.COMMITTER, Role.COLLECTOR};
    return others[(i - ranks()) % others.length];
  }

  private Living begin(SecondHost host, Path path, Path store, Role role, int number)
      throws IOException {
    String nonce = "%08x".formatted(nonces++);
    String token = role == Role.STRAGGLER ? "old-" + (number - PROCESSES + 1) : "new";
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx32m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xshare:auto",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            StoreProcess.class.getName(),
            path.toString(),
            role.name(),
            nonce,
            token,
            String.valueOf(ranks()),
            String.valueOf(number));
    boolean mounts = host == SecondHost.BIND_MOUNT && !path.equals(store);
    Path log = directory.resolve(nonce + "." + role);
    logs.add(log);
    Process process =
        new ProcessBuilder(mounts ? mounting(store, path, command) : command)
            .redirectOutput(log.toFile())
            .redirectError(directory.resolve(nonce + ".errors").toFile())
            .start();
    return new Living(process, role, number, log);
  }

  private void torture(SecondHost host, Path store, Path second) throws Exception {
    for (Living one : living) {
      awaitUp(one);
    }
    long end = CLOCK.nanos() + TimeUnit.SECONDS.toNanos(SECONDS);
    while (CLOCK.nanos() < end || killed == 0) {
      CLOCK.pause(Duration.ofMillis(luck.nextInt(Math.max(50, 3000 / PROCESSES))));
      int victim = luck.nextInt(living.size());
      Living one = living.get(victim);
      requireAlive(one);
      one.process.destroyForcibly().waitFor();
      killed++;
      Path path = one.number % 2 == 0 ? store : second;
      Living next = begin(host, path, store, one.role, one.number);
      living.set(victim, next);
      awaitUp(next);
    }
    // On a slow machine too, something is committed after the last death.
    Living rank = living.getFirst();
    await(rank, "committed");
  }

  private void awaitUp(Living one) throws IOException {
    await(one, "up");
  }

  private void await(Living one, String word) throws IOException {
    long begin = CLOCK.nanos();
    while (lines(one.log).stream().noneMatch(words -> words[0].equals(word))) {
      requireAlive(one);
      assertThat(CLOCK.nanos() - begin)
          .as("%s says %s", one.role, word)
          .isLessThan(PATIENCE.toNanos());
      CLOCK.pause(Duration.ofMillis(20));
    }
  }

  private void requireAlive(Living one) throws IOException {
    if (!one.process.isAlive()) {
      throw new AssertionError(one.role + " ended by itself: " + said(one));
    }
  }

  private String said(Living one) throws IOException {
    String name = one.log.getFileName().toString();
    Path errors = directory.resolve(name.substring(0, name.indexOf('.')) + ".errors");
    return Files.readString(errors);
  }

  /// What the logs say, and what lies there.
  private void check(Run run, SecondHost host) throws IOException {
    Map<CheckpointId, String> manifests = new HashMap<>();
    Map<TombName, String> ends = new HashMap<>();
    Set<CheckpointId> pinned = new HashSet<>();
    Set<String> parents = new HashSet<>();
    int newest = STRAGGLERS + 1;
    Line line = run.lookDecided(CLOCK).starts().line();
    for (Path log : logs) {
      CheckpointId latest = null;
      for (String[] words : lines(log)) {
        switch (words[0]) {
          case "committed" -> {
            CheckpointId id = CheckpointId.parse(words[1]);
            // Of an older start too, where that was before the newest one chose its parent.
            assertThat(line.has(id)).as("committed %s, on the line", id).isTrue();
            if (!words[2].equals("purged")) {
              assertThat(manifests.merge(id, words[2], (one, other) -> one))
                  .as("bytes of %s", id)
                  .isEqualTo(words[2]);
            }
          }
          case "latest" -> {
            CheckpointId id = CheckpointId.parse(words[1]);
            if (latest != null) {
              assertThat(id).as("latest, of one reader").isGreaterThanOrEqualTo(latest);
            }
            latest = id;
          }
          case "purged", "restored" -> {
            TombName tomb = new TombName(CheckpointId.parse(words[1]), Integer.parseInt(words[2]));
            assertThat(ends.merge(tomb, words[0], (one, other) -> one)).isEqualTo(words[0]);
          }
          case "pinned" -> pinned.add(CheckpointId.parse(words[1]));
          case "parent" -> {
            if (words[1].equals(String.valueOf(newest))) {
              parents.add(words[2]);
            }
          }
          default -> {
            // Fenced and lost ones are as they should be.
          }
        }
      }
    }
    checkStore(run, manifests, ends, pinned);
    assertThat(parents).as("what ranks of one start go on from").hasSize(1);
    System.out.printf(
        "%s: %d processes and %d stragglers, %d killed, %d committed, %d tombs ended, %d pinned%n",
        host, PROCESSES, STRAGGLERS, killed, manifests.size(), ends.size(), pinned.size());
  }

  private static void checkStore(
      Run run,
      Map<CheckpointId, String> manifests,
      Map<TombName, String> ends,
      Set<CheckpointId> pinned) {
    View view = run.lookDecided(CLOCK);
    assertThat(view.damaged()).isEmpty();
    assertThat(view.starts().newest()).hasValue(STRAGGLERS + 1);
    assertThat(manifests).as("something was committed").isNotEmpty();
    assertThat(view.visible()).as("kept").hasSizeGreaterThanOrEqualTo(StoreProcess.KEPT);
    assertThat(view.standing()).as("pinned").containsAll(pinned);
    for (CheckpointId id : view.visible()) {
      assertThat(Promises.problems(run, id, true)).as("visible %s", id).isEmpty();
    }
    manifests.forEach((id, sum) ->
        run.tier()
            .read(run.names().manifest(id))
            .ifPresent(bytes ->
                assertThat(Crc32.hex(Crc32.of(bytes, 0, bytes.length)))
                    .as("manifest of %s", id)
                    .isEqualTo(sum)));
    TombsSeen tombs = run.tombs(ends.keySet().stream().map(TombName::id).toList());
    ends.forEach((tomb, end) -> {
      boolean purged = tombs.purged(tomb.id());
      if (end.equals("purged")) {
        assertThat(purged).as("told purged: %s", tomb).isTrue();
      } else if (tombs.tombs().containsKey(tomb.id())) {
        assertThat(tombs.tombs().get(tomb.id()).get(tomb.k()))
            .as("told restored: %s", tomb)
            .isEqualTo(TombsSeen.Standing.RESTORED);
      }
    });
  }

  private static List<String[]> lines(Path log) throws IOException {
    String text = Files.readString(log);
    // Who was killed in the midst of a line said nothing.
    String whole = text.substring(0, text.lastIndexOf('\n') + 1);
    try (Stream<String> lines = whole.lines()) {
      return lines.map(line -> line.split(" ")).toList();
    }
  }
}
