package dev.keepstone.core.bytes;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LocalDiskTest {
  private final Disk disk = Disk.local();

  @TempDir Path directory;

  /// Requests of every alignment of address, position and length, written and read back, on one
  /// file, against an array.
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void alignedAndUnalignedRequestsMixOnOneFile(long seed) throws IOException {
    Random random = new Random(seed);
    byte[] expected = new byte[(17 << 20) + random.nextInt(9000)];
    Path path = directory.resolve("file");
    try (Arena arena = Arena.ofConfined();
        OpenFile file = disk.create(path)) {
      MemorySegment memory = arena.allocate(expected.length + 8192L, OpenFile.ALIGNMENT);
      file.reserve(expected.length + 100_000L);
      write(file, 0, expected, memory, 0, expected.length);
      for (int i = 0; i < 60; i++) {
        int from = aligned(random, random.nextInt(expected.length));
        int length = aligned(random, random.nextInt(Math.min(expected.length - from, 1 << 20) + 1));
        byte[] fresh = new byte[length];
        random.nextBytes(fresh);
        System.arraycopy(fresh, 0, expected, from, length);
        write(file, from, expected, memory, aligned(random, random.nextInt(4096)), length);
        read(file, random, expected, memory);
      }
      file.truncate(expected.length);
      file.sync();
      assertThat(file.size()).isEqualTo(expected.length);
      MemorySegment rest = memory.asSlice(0, 8192);
      assertThat(file.read(expected.length - 10L, rest)).isEqualTo(10);
      assertThat(file.read(expected.length + 4096L, rest)).isZero();
    }
    assertThat(Files.readAllBytes(path)).isEqualTo(expected);
    try (Arena arena = Arena.ofConfined();
        OpenFile file = disk.open(path)) {
      MemorySegment memory = arena.allocate(expected.length + 8192L, OpenFile.ALIGNMENT);
      assertThat(file.read(0, memory)).isEqualTo(expected.length);
      assertThat(MemorySegment.ofArray(expected).mismatch(memory)).isEqualTo(expected.length);
      for (int i = 0; i < 20; i++) {
        read(file, random, expected, memory);
      }
    }
  }

  private static void write(
      OpenFile file, int from, byte[] bytes, MemorySegment memory, long at, int length)
      throws IOException {
    MemorySegment source = memory.asSlice(at, length);
    source.copyFrom(MemorySegment.ofArray(bytes).asSlice(from, length));
    file.write(from, source);
  }

  private static void read(OpenFile file, Random random, byte[] bytes, MemorySegment memory)
      throws IOException {
    int from = aligned(random, random.nextInt(bytes.length));
    int length = aligned(random, random.nextInt(bytes.length - from + 1));
    // Half of them as far from a page's begin in memory as in the file.
    int at =
        random.nextBoolean()
            ? from % (int) OpenFile.ALIGNMENT
            : aligned(random, random.nextInt(8192));
    MemorySegment target = memory.asSlice(at, length);
    assertThat(file.read(from, target)).isEqualTo(length);
    assertThat(target.mismatch(MemorySegment.ofArray(bytes).asSlice(from, length))).isEqualTo(-1);
  }

  private static int aligned(Random random, int number) {
    return random.nextInt(3) == 0 ? number : number - number % OpenFile.ALIGNMENT;
  }

  @Test
  void memoryOnTheHeapIsWrittenAndReadToo() throws IOException {
    byte[] bytes = new byte[1 << 20];
    new Random(1).nextBytes(bytes);
    try (OpenFile file = disk.create(directory.resolve("file"))) {
      file.write(0, MemorySegment.ofArray(bytes));
      byte[] back = new byte[1 << 20];
      assertThat(file.read(0, MemorySegment.ofArray(back))).isEqualTo(1 << 20);
      assertThat(back).isEqualTo(bytes);
    }
  }

  @Test
  void reservedSpaceIsThereAndNoFileIsLongerThanItIsTruncatedTo() throws IOException {
    Path path = directory.resolve("file");
    try (OpenFile file = disk.create(path)) {
      file.reserve(8 << 20);
      if (Libc.LINUX.isPresent()) {
        assertThat(file.size()).isEqualTo(8 << 20);
      }
      file.truncate(5);
    }
    assertThat(Files.size(path)).isEqualTo(5);
  }

  @Test
  void spaceThatIsNotThereIsRefusedInTheSystemsWords() throws IOException {
    assumeTrue(Libc.LINUX.isPresent());
    Path path = directory.resolve("file");
    try (OpenFile file = disk.create(path)) {
      // Beyond what any file may be long: a size that only the disk is too small for would fill it
      // for a moment.
      assertThatThrownBy(() -> file.reserve(1L << 62))
          .isInstanceOf(FileSystemException.class)
          .hasMessageContaining("File too large");
    }
  }

  @Test
  void aSecondNameIsNeverGivenOverAnExistingOne() throws IOException {
    Path one = file("one");
    Path two = file("two");
    assertThatThrownBy(() -> disk.link(one, two)).isInstanceOf(FileAlreadyExistsException.class);
    disk.link(one, directory.resolve("three"));
    assertThat(directory.resolve("three")).hasContent("one");
    assertThatThrownBy(() -> disk.link(directory.resolve("none"), directory.resolve("four")))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessageContaining("none");
  }

  @Test
  void aFileIsMovedToAFreeNameOnly() throws IOException {
    assumeTrue(Libc.LINUX.isPresent());
    Path one = file("one");
    Path two = file("two");
    assertThatThrownBy(() -> disk.renameToFree(one, two))
        .isInstanceOf(FileAlreadyExistsException.class);
    assertThat(two).hasContent("two");
    disk.renameToFree(one, directory.resolve("näme ✓"));
    assertThat(one).doesNotExist();
    assertThat(directory.resolve("näme ✓")).hasContent("one");
    assertThatThrownBy(() -> disk.renameToFree(one, directory.resolve("free")))
        .isInstanceOf(NoSuchFileException.class);
  }

  @Test
  void anExistingNameIsNotCreatedAgain() throws IOException {
    Path one = file("one");
    assertThatThrownBy(() -> disk.create(one)).isInstanceOf(FileAlreadyExistsException.class);
    assertThat(one).hasContent("one");
  }

  @Test
  void whatIsOpenedForReadingIsNotWritten() throws IOException {
    Path one = file("one");
    try (OpenFile file = disk.open(one)) {
      assertThatThrownBy(() -> file.write(0, MemorySegment.ofArray(new byte[1])))
          .isInstanceOf(RuntimeException.class);
    }
    assertThat(one).hasContent("one");
  }

  @Test
  void aFileThatIsRemovedWhileOpenIsStillReadWhole() throws IOException {
    Path path = directory.resolve("file");
    Files.write(path, new byte[1 << 20]);
    try (Arena arena = Arena.ofConfined();
        OpenFile file = disk.open(path)) {
      disk.delete(path);
      assertThat(file.read(0, arena.allocate(1 << 20, OpenFile.ALIGNMENT))).isEqualTo(1 << 20);
    }
  }

  @Test
  void directoriesAreMadeListedAndRemoved() throws IOException {
    Path deep = directory.resolve("a/b/c");
    disk.createDirectories(deep);
    disk.createDirectories(deep);
    assertThat(deep).isDirectory();
    Path one = file("a/b/one");
    Files.createSymbolicLink(directory.resolve("a/b/two"), one);
    assertThat(disk.list(directory.resolve("a/b")))
        .containsExactlyInAnyOrder(
            new Disk.Entry("c", 0, Disk.Kind.DIRECTORY),
            new Disk.Entry("one", 7, Disk.Kind.FILE),
            new Disk.Entry("two", 0, Disk.Kind.OTHER));
    assertThat(disk.list(directory.resolve("missing"))).isEmpty();
    disk.delete(deep);
    disk.delete(deep);
    disk.syncDirectory(directory.resolve("a/b"));
    assertThat(deep).doesNotExist();
    assertThat(disk.usableBytes(directory)).isPositive();
    assertThatThrownBy(() -> disk.createDirectories(one.resolve("x")))
        .isInstanceOf(IOException.class);
  }

  @Test
  void missingRightsSurface() {
    assumeTrue(Libc.LINUX.isPresent());
    // Where the kernel keeps its own, nobody makes a file, not even the super-user.
    Path closed = Path.of("/sys/keepstone-test");
    assertThatThrownBy(() -> disk.create(closed))
        .isInstanceOfSatisfying(
            IOException.class,
            e ->
                assertThat(KeepstoneException.from(e, "make a file", closed.toString()))
                    .isInstanceOf(KeepstoneException.Denied.class));
  }

  private Path file(String name) throws IOException {
    return Files.write(directory.resolve(name), name.getBytes(UTF_8));
  }
}
