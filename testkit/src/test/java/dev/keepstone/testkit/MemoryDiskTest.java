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
import java.util.Set;
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
    assertThat("0123456789").startsWith(InterleavingsTest.read(left, DIRECTORY.resolve("torn")));
  }

  @Test
  void luckTearsWritesAndLosesNamesAndKeepsThem() throws IOException {
    Set<String> seen = new HashSet<>();
    for (long seed = 1; seed <= 200; seed++) {
      MemoryDisk disk = disk();
      write(disk, FILE, "0123456789", false);
      MemoryDisk left = disk.afterCrash(Seeds.random(seed));
      seen.add(left.list(DIRECTORY).isEmpty() ? "lost" : InterleavingsTest.read(left, FILE));
    }
    assertThat(seen).contains("lost", "", "0123456789", "01234");
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
