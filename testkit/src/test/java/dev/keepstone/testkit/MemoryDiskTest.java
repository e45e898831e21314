package dev.keepstone.testkit;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.testkit.FaultyDisk.Fault;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class MemoryDiskTest {
  private static final Path DIRECTORY = Path.of("/a/b");
  private static final Path FILE = DIRECTORY.resolve("file");

  static LongStream seeds() {
    return Seeds.count(20);
  }

  private static MemoryDisk disk() throws IOException {
    MemoryDisk disk = new MemoryDisk();
    disk.createDirectories(DIRECTORY);
    return disk;
  }

  private static void write(Disk disk, Path path, String text, boolean sync) throws IOException {
    try (OpenFile file = disk.create(path)) {
      file.write(0, MemorySegment.ofArray(text.getBytes(UTF_8)));
      if (sync) {
        file.sync();
      }
    }
  }

  @Test
  void aNameAndItsBytesSurviveOnlyIfBothWereSynced() throws IOException {
    MemoryDisk disk = disk();
    write(disk, FILE, "bytes", true);
    assertThat(disk.afterCrash().list(DIRECTORY)).isEmpty();
    disk.syncDirectory(DIRECTORY);
    assertThat(InterleavingsTest.read(disk.afterCrash(), FILE)).isEqualTo("bytes");

    write(disk, DIRECTORY.resolve("empty"), "bytes", false);
    disk.syncDirectory(DIRECTORY);
    assertThat(InterleavingsTest.read(disk.afterCrash(), DIRECTORY.resolve("empty"))).isEmpty();
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void luckNeverTakesWhatWasSynced(long seed) throws IOException {
    MemoryDisk disk = disk();
    write(disk, FILE, "bytes", true);
    disk.syncDirectory(DIRECTORY);
    disk.link(FILE, DIRECTORY.resolve("second"));
    write(disk, DIRECTORY.resolve("torn"), "0123456789", false);
    MemoryDisk left = disk.afterCrash(Seeds.random(seed));
    assertThat(InterleavingsTest.read(left, FILE)).isEqualTo("bytes");
    assertThat(InterleavingsTest.read(left, DIRECTORY.resolve("second"))).isIn("", "bytes");
    assertThat(InterleavingsTest.read(left, DIRECTORY.resolve("torn"))).hasSizeLessThan(11);
  }

  /// What a file of some unsynced writes is after a crash, and with how many seeds.
  private static Map<String, Integer> outcomes(int writes) throws IOException {
    Map<String, Integer> seen = new TreeMap<>();
    for (long seed = 1; seed <= 2000; seed++) {
      MemoryDisk disk = disk();
      try (OpenFile file = disk.create(FILE)) {
        for (int i = 0; i < writes; i++) {
          byte[] bytes = "x".repeat(512).getBytes(UTF_8);
          bytes[0] = (byte) ('a' + i);
          file.write(512L * i, MemorySegment.ofArray(bytes));
        }
      }
      MemoryDisk left = disk.afterCrash(Seeds.random(seed));
      String shape =
          left.list(DIRECTORY).isEmpty() ? "lost" : shape(InterleavingsTest.read(left, FILE));
      seen.merge(shape, 1, Integer::sum);
    }
    return seen;
  }

  /// A letter a sector: whole, zero, torn off, of other bytes.
  private static String shape(String text) {
    StringBuilder shape = new StringBuilder();
    for (int at = 0; at < text.length(); at += 512) {
      String sector = text.substring(at, Math.min(text.length(), at + 512));
      boolean whole = sector.substring(1).equals("x".repeat(511));
      boolean zero = sector.chars().allMatch(c -> c == 0);
      boolean torn = sector.length() < 512 || sector.endsWith("\0");
      shape.append(whole ? sector.charAt(0) : zero ? '0' : torn ? '<' : '!');
    }
    return shape.toString();
  }

  @Test
  void eachKindOfLossIsSeen() throws IOException {
    Map<String, Integer> seen = outcomes(1);
    // Name lost, bytes lost, whole, zeroed, torn, flipped.
    assertThat(seen).containsKeys("lost", "", "a", "0", "<", "!");
    // Reordered: later writes kept without earlier ones.
    assertThat(outcomes(3)).containsKeys("abc", "0bc", "00c", "a0c", "ab", "ab0");
  }

  @Test
  void oneWriteIsTornBetweenSectorsInAnyMixture() throws IOException {
    Set<String> seen = new HashSet<>();
    for (long seed = 1; seed <= 2000; seed++) {
      MemoryDisk disk = disk();
      write(disk, FILE, "x".repeat(2048), false);
      String text = InterleavingsTest.read(disk.afterCrash(Seeds.random(seed)), FILE);
      seen.add(shape(text));
    }
    assertThat(seen).contains("xxxx", "x0xx", "0xx", "00x", "x", "0x0x");
  }

  @Test
  void anOlderWriteMayLandOverANewerOne() throws IOException {
    Set<String> seen = new HashSet<>();
    for (long seed = 1; seed <= 500; seed++) {
      MemoryDisk disk = disk();
      try (OpenFile file = disk.create(FILE)) {
        file.write(0, MemorySegment.ofArray("old".getBytes(UTF_8)));
        file.write(0, MemorySegment.ofArray("new".getBytes(UTF_8)));
      }
      seen.add(InterleavingsTest.read(disk.afterCrash(Seeds.random(seed)), FILE));
    }
    assertThat(seen).contains("old", "new", "", "ol", "ne", "nld");
  }

  @Test
  void bytesOfASyncedFileAreNeverTouchedByWhatWasWrittenAfter() throws IOException {
    for (long seed = 1; seed <= 500; seed++) {
      MemoryDisk disk = disk();
      try (OpenFile file = disk.create(FILE)) {
        file.write(0, MemorySegment.ofArray("bytes".getBytes(UTF_8)));
        file.sync();
        disk.syncDirectory(DIRECTORY);
        file.write(5, MemorySegment.ofArray("more".getBytes(UTF_8)));
      }
      String left = InterleavingsTest.read(disk.afterCrash(Seeds.random(seed)), FILE);
      assertThat(left).as("seed %d", seed).startsWith("bytes");
    }
  }

  @Test
  void namesOfOneDirectoryAreLostApartFromEachOther() throws IOException {
    Set<String> seen = new HashSet<>();
    for (long seed = 1; seed <= 500; seed++) {
      MemoryDisk disk = disk();
      write(disk, DIRECTORY.resolve("a"), "", true);
      disk.syncDirectory(DIRECTORY);
      disk.delete(DIRECTORY.resolve("a"));
      write(disk, DIRECTORY.resolve("b"), "", true);
      disk.link(DIRECTORY.resolve("b"), DIRECTORY.resolve("c"));
      seen.add(
          disk.afterCrash(Seeds.random(seed)).list(DIRECTORY).stream()
              .map(Disk.Entry::name)
              .collect(Collectors.joining()));
    }
    assertThat(seen).containsExactlyInAnyOrder("", "a", "b", "c", "ab", "ac", "bc", "abc");
  }

  @Test
  void whatIsSyncedInADirectoryComesBackWithTheDirectorysNameAndGoesWithIt() throws IOException {
    MemoryDisk disk = disk();
    Path inner = DIRECTORY.resolve("inner");
    disk.createDirectory(inner);
    write(disk, inner.resolve("file"), "bytes", true);
    disk.syncDirectory(inner);
    assertThat(disk.afterCrash().list(DIRECTORY)).isEmpty();
    disk.syncDirectory(DIRECTORY);
    assertThat(InterleavingsTest.read(disk.afterCrash(), inner.resolve("file"))).isEqualTo("bytes");
    disk.delete(inner.resolve("file"));
    disk.delete(inner);
    assertThat(InterleavingsTest.read(disk.afterCrash(), inner.resolve("file"))).isEqualTo("bytes");
    disk.syncDirectory(DIRECTORY);
    assertThat(disk.afterCrash().list(DIRECTORY)).isEmpty();
  }

  @Test
  void aCrashMayComeBetweenTheMakingOfADirectoryAndItsSync() throws IOException {
    Path deep = DIRECTORY.resolve("c/d");
    FaultyDisk counting = new FaultyDisk(disk());
    counting.createDirectories(deep);
    assertThat(counting.operations()).hasSize(4);
    MemoryDisk memory = disk();
    FaultyDisk disk = new FaultyDisk(memory).failing(Operation.nth(2), Fault.CRASH);
    assertThatThrownBy(() -> disk.createDirectories(deep)).isInstanceOf(FaultyDisk.Crashed.class);
    assertThat(memory.list(DIRECTORY)).hasSize(1);
    assertThat(memory.afterCrash().list(DIRECTORY)).isEmpty();
  }

  @Test
  void aMovedNameIsNeverLostTwice() throws IOException {
    for (long seed = 1; seed <= 50; seed++) {
      MemoryDisk disk = disk();
      write(disk, FILE, "bytes", true);
      disk.syncDirectory(DIRECTORY);
      disk.renameToFree(FILE, DIRECTORY.resolve("moved"));
      assertThat(disk.afterCrash(Seeds.random(seed)).list(DIRECTORY)).hasSize(1);
    }
  }

  @Test
  void namesAreNeverReplaced() throws IOException {
    MemoryDisk disk = disk();
    write(disk, FILE, "bytes", true);
    Path other = DIRECTORY.resolve("other");
    write(disk, other, "others", true);
    assertThatThrownBy(() -> disk.create(FILE)).isInstanceOf(FileAlreadyExistsException.class);
    assertThatThrownBy(() -> disk.link(other, FILE)).isInstanceOf(FileAlreadyExistsException.class);
    assertThatThrownBy(() -> disk.renameToFree(other, FILE))
        .isInstanceOf(FileAlreadyExistsException.class);
    assertThat(InterleavingsTest.read(disk, FILE)).isEqualTo("bytes");
  }

  @Test
  void aTruncatedFileReadsShortAndGrowsWithZeros() throws IOException {
    MemoryDisk disk = disk();
    try (OpenFile file = disk.create(FILE)) {
      file.write(0, MemorySegment.ofArray("0123456789".getBytes(UTF_8)));
      file.truncate(4);
      file.write(6, MemorySegment.ofArray("x".getBytes(UTF_8)));
      byte[] bytes = new byte[10];
      assertThat(file.read(0, MemorySegment.ofArray(bytes))).isEqualTo(7);
      assertThat(new String(bytes, UTF_8)).isEqualTo("0123\0\0x\0\0\0");
      assertThat(file.read(7, MemorySegment.ofArray(bytes))).isZero();
    }
  }

  @Test
  void equalDisksHaveEqualFingerprintsAndSharedFilesOthers() throws IOException {
    MemoryDisk one = disk();
    MemoryDisk two = disk();
    write(one, FILE, "bytes", true);
    write(two, FILE, "bytes", false);
    assertThat(one.fingerprint()).isEqualTo(two.fingerprint());
    one.link(FILE, DIRECTORY.resolve("second"));
    write(two, DIRECTORY.resolve("second"), "bytes", true);
    assertThat(one.fingerprint()).isNotEqualTo(two.fingerprint());
  }

  @ParameterizedTest
  @EnumSource(
      value = Fault.class,
      names = {"UNSUPPORTED", "CRASH"},
      mode = EnumSource.Mode.EXCLUDE)
  void aChosenOperationFailsAndNoOther(Fault fault) throws IOException {
    FaultyDisk disk = new FaultyDisk(disk()).failing(Operation.nth(2), fault);
    assertThat(disk.list(DIRECTORY)).isEmpty();
    assertThatThrownBy(() -> disk.create(FILE)).isInstanceOf(FileSystemException.class);
    boolean done = fault == Fault.DONE_BUT_EXISTS || fault == Fault.DONE_BUT_INPUT_OUTPUT;
    assertThat(disk.list(DIRECTORY)).hasSize(done ? 1 : 0);
  }

  @Test
  void aFullDiskLeavesHalfAWrite() throws IOException {
    MemoryDisk memory = disk();
    FaultyDisk disk = new FaultyDisk(memory).failing(Operation.nth(2), Fault.NO_SPACE);
    assertThatThrownBy(() -> write(disk, FILE, "0123456789", true))
        .hasMessageContaining("No space left on device");
    assertThat(InterleavingsTest.read(memory, FILE)).isEqualTo("01234");
  }

  @Test
  void nothingHappensAfterACrash() throws IOException {
    MemoryDisk memory = disk();
    FaultyDisk disk = new FaultyDisk(memory).failing(Operation.nth(1), Fault.CRASH);
    assertThatThrownBy(() -> disk.create(FILE)).isInstanceOf(FaultyDisk.Crashed.class);
    assertThatThrownBy(() -> disk.create(FILE)).isInstanceOf(FaultyDisk.Crashed.class);
    assertThat(memory.list(DIRECTORY)).isEmpty();
    assertThat(disk.operations()).hasSize(1);
  }
}
