package dev.keepstone.testkit;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class NetworkDiskTest {
  private static final Path DIRECTORY = Path.of("/a/b");
  private static final Path FILE = DIRECTORY.resolve("file");
  private static final Duration STALENESS = Duration.ofSeconds(10);

  private final SettableClock clock = SettableClock.atStart();

  private NetworkDisk disk(long seed) throws IOException {
    MemoryDisk server = new MemoryDisk();
    server.createDirectories(DIRECTORY);
    return new NetworkDisk(server, clock, STALENESS, Seeds.random(seed));
  }

  private static void write(Disk disk, Path path, String text) throws IOException {
    try (OpenFile file = disk.create(path)) {
      file.write(0, MemorySegment.ofArray(text.getBytes(UTF_8)));
    }
  }

  private static List<String> names(Disk host) throws IOException {
    return host.list(DIRECTORY).stream().map(Disk.Entry::name).toList();
  }

  private static boolean finds(Disk host) throws IOException {
    try (OpenFile file = host.open(FILE)) {
      return true;
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  @Test
  void whatAnotherHostMadeMayBeOverlookedUntilItIsAsOldAsTheStaleness() throws IOException {
    Set<String> seen = new HashSet<>();
    for (long seed = 1; seed <= 50; seed++) {
      NetworkDisk disk = disk(seed);
      Disk one = disk.host();
      Disk two = disk.host();
      assertThat(names(two)).isEmpty();
      write(one, FILE, "bytes");
      assertThat(names(one)).as("one's own").containsExactly("file");
      seen.add("listed " + names(two));
      seen.add("found " + finds(two));
      clock.advance(STALENESS);
      assertThat(names(two)).as("seed %d", seed).containsExactly("file");
      assertThat(finds(two)).isTrue();
    }
    assertThat(seen).contains("listed []", "listed [file]", "found false", "found true");
  }

  @Test
  void aLookUpThatFoundNothingMayBeRememberedWithoutAListing() throws IOException {
    Set<Boolean> seen = new HashSet<>();
    for (long seed = 1; seed <= 50; seed++) {
      NetworkDisk disk = disk(seed);
      Disk two = disk.host();
      assertThat(finds(two)).isFalse();
      write(disk.host(), FILE, "bytes");
      seen.add(finds(two));
      clock.advance(STALENESS);
      assertThat(finds(two)).as("seed %d", seed).isTrue();
    }
    assertThat(seen).containsExactlyInAnyOrder(true, false);
  }

  @Test
  void existsMayBeAnsweredForANameThatIsNotFound() throws IOException {
    int both = 0;
    for (long seed = 1; seed <= 50; seed++) {
      NetworkDisk disk = disk(seed);
      Disk two = disk.host();
      assertThat(names(two)).isEmpty();
      write(disk.host(), FILE, "bytes");
      assertThatThrownBy(() -> two.create(FILE)).isInstanceOf(FileAlreadyExistsException.class);
      both += finds(two) ? 0 : 1;
    }
    assertThat(both).isPositive();
  }

  @Test
  void whatAnotherHostRemovedMayStillBeListedAndIsNotFound() throws IOException {
    Set<List<String>> seen = new HashSet<>();
    for (long seed = 1; seed <= 50; seed++) {
      NetworkDisk disk = disk(seed);
      Disk one = disk.host();
      Disk two = disk.host();
      write(one, FILE, "bytes");
      assertThat(names(two)).containsExactly("file");
      one.delete(FILE);
      seen.add(names(two));
      assertThat(finds(two)).isFalse();
      clock.advance(STALENESS);
      assertThat(names(two)).isEmpty();
    }
    assertThat(seen).containsExactlyInAnyOrder(List.of(), List.of("file"));
  }

  @Test
  void aHostThatNeverLookedSeesEverything() throws IOException {
    NetworkDisk disk = disk(1);
    write(disk.host(), FILE, "bytes");
    assertThat(names(disk.host())).containsExactly("file");
    assertThat(finds(disk.host())).isTrue();
  }

  @Test
  void sizesMayBeOldAndBytesAreNot() throws IOException {
    Set<Long> sizes = new HashSet<>();
    for (long seed = 1; seed <= 50; seed++) {
      NetworkDisk disk = disk(seed);
      Disk one = disk.host();
      Disk two = disk.host();
      try (OpenFile file = one.create(FILE)) {
        assertThat(two.list(DIRECTORY)).hasSize(1);
        file.write(0, MemorySegment.ofArray("bytes".getBytes(UTF_8)));
        assertThat(one.list(DIRECTORY).getFirst().byteLength()).isEqualTo(5);
        sizes.add(two.list(DIRECTORY).getFirst().byteLength());
        assertThat(InterleavingsTest.read(two, FILE)).isEqualTo("bytes");
      }
    }
    assertThat(sizes).containsExactlyInAnyOrder(0L, 5L);
  }
}
