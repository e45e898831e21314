package dev.keepstone.store.verify;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.testkit.MemoryDisk;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class VerifyTest {
  private static final Path ROOT = Path.of("/store");
  private static final String MANIFEST = TinyStore.NAMES.manifest(TinyStore.ID);
  private static final String PART = TinyStore.NAMES.part(TinyStore.ID, 0);

  private static TinyStore tiny() throws IOException {
    TinyStore store = new TinyStore(new MemoryDisk(), ROOT);
    store.shard(
        "model",
        List.of(
            new Tensor("weight", Dtype.F32, Shape.of(3, 2)),
            new Tensor("empty", Dtype.F32, Shape.of(0)),
            new Tensor("bias", Dtype.BF16, Shape.of(3))));
    store.commit();
    return store;
  }

  private static VerifyReport deep(TinyStore store, Disk disk) {
    return Verify.deep(open(store, disk), TinyStore.ID, done -> {});
  }

  private static Run open(TinyStore store, Disk disk) {
    return StoreRoot.open(store.tier(disk)).run("run");
  }

  private static List<Path> everyFile(Disk disk, Path directory) throws IOException {
    List<Path> files = new ArrayList<>();
    for (Disk.Entry entry : disk.list(directory)) {
      Path path = directory.resolve(entry.name());
      if (entry.kind() == Disk.Kind.FILE) {
        files.add(path);
      } else {
        files.addAll(everyFile(disk, path));
      }
    }
    return files;
  }

  private static byte[] read(Disk disk, Path path) throws IOException {
    try (OpenFile file = disk.open(path)) {
      byte[] bytes = new byte[(int) file.size()];
      file.read(0, MemorySegment.ofArray(bytes));
      return bytes;
    }
  }

  @Test
  void whatWasStoredIsWell() throws IOException {
    TinyStore store = tiny();
    VerifyReport report = deep(store, store.disk());
    assertThat(report.problems()).isEmpty();
    // Start, decision, manifest, part, shard, state tree, index.
    assertThat(report.files()).isEqualTo(7);
    assertThat(Verify.quick(store.run, TinyStore.ID))
        .isEqualTo(new VerifyReport(false, 7, report.bytes(), List.of()));
  }

  /// The problems that are told of a store with one damaged file, those that keep it from being
  /// opened included.
  private static List<String> told(
      TinyStore store, Disk damaged, Path path, int offset, int length) {
    List<Problem> problems;
    try {
      problems = deep(store, damaged).problems();
    } catch (KeepstoneException e) {
      return List.of(e.on());
    }
    @Nullable String tensor = tensorAt(store, path, offset);
    return problems.stream()
        .filter(problem ->
            tensor == null
                || (tensor.equals(problem.tensor())
                    && at(problem.offset()) <= offset
                    && at(problem.offset()) + at(problem.length()) >= offset + length))
        .map(Problem::file)
        .toList();
  }

  private static long at(@Nullable Long number) {
    return number == null ? -1 : number;
  }

  private static @Nullable String tensorAt(TinyStore store, Path path, int offset) {
    for (ShardReceipt shard : store.shards) {
      if (store.path(TinyStore.NAMES.file(TinyStore.ID, shard.file())).equals(path)) {
        for (PieceReceipt piece : shard.pieces()) {
          if (offset >= piece.at() && offset < piece.at() + piece.bytes()) {
            return piece.piece().tensor().name();
          }
        }
      }
    }
    return null;
  }

  @Test
  void everyBitFlipOfEveryObjectIsNamed() throws IOException {
    TinyStore store = tiny();
    List<Path> files = everyFile(store.disk(), ROOT);
    assertThat(files).hasSize(9);
    long flips = 0;
    for (Path path : files) {
      byte[] bytes = read(store.disk(), path);
      DamagedDisk disk = new DamagedDisk(store.disk(), path, bytes);
      for (int at = 0; at < bytes.length; at++) {
        for (int bit = 0; bit < 8; bit++) {
          bytes[at] ^= (byte) (1 << bit);
          assertThat(told(store, disk, path, at, 1))
              .as("bit %d of byte %d of %s", bit, at, path)
              .contains(path.toString());
          bytes[at] ^= (byte) (1 << bit);
          flips++;
        }
      }
    }
    assertThat(flips).isBetween(40_000L, 32L << 13);
  }

  @Test
  void everyTruncationOfEveryObjectIsNamed() throws IOException {
    TinyStore store = tiny();
    for (Path path : everyFile(store.disk(), ROOT)) {
      byte[] bytes = read(store.disk(), path);
      DamagedDisk disk = new DamagedDisk(store.disk(), path, bytes);
      for (int length = 0; length < bytes.length; length++) {
        disk.bytes(Arrays.copyOf(bytes, length));
        assertThat(told(store, disk, path, length, bytes.length - length))
            .as("%s cut to %d of %d bytes", path, length, bytes.length)
            .contains(path.toString());
      }
      disk.bytes(Arrays.copyOf(bytes, bytes.length + 1));
      assertThat(told(store, disk, path, bytes.length, 1))
          .as("a byte more")
          .contains(path.toString());
    }
  }

  @Test
  void everyMissingFileIsNamed() throws IOException {
    TinyStore store = tiny();
    for (Path path : everyFile(store.disk(), ROOT)) {
      DamagedDisk disk = new DamagedDisk(store.disk(), path, null);
      List<String> named;
      try {
        named = deep(store, disk).problems().stream().map(Problem::file).toList();
      } catch (KeepstoneException.NotFound e) {
        named = List.of(e.on());
      }
      if (path.endsWith("run.json")) {
        // Without it the folder is no run, and the run is what is missed.
        assertThat(named).containsExactly(ROOT.resolve("run").toString());
      } else {
        assertThat(named).as(path.toString()).contains(path.toString());
      }
    }
  }

  @Test
  void aQuickLookReadsNoTensorBytes() throws IOException {
    TinyStore store = tiny();
    Path shard = store.path(TinyStore.NAMES.file(TinyStore.ID, store.shards.getFirst().file()));
    byte[] bytes = read(store.disk(), shard);
    bytes[4100] ^= 1;
    Disk disk = new DamagedDisk(store.disk(), shard, bytes);
    assertThat(Verify.quick(open(store, disk), TinyStore.ID).ok()).isTrue();
    assertThat(deep(store, disk).problems())
        .singleElement()
        .satisfies(problem -> {
          assertThat(problem.kind()).isEqualTo(Problem.Kind.CHECKSUM);
          assertThat(problem.tensor()).isEqualTo("weight");
          assertThat(problem.offset()).isEqualTo(4096);
          assertThat(problem.length()).isEqualTo(24);
          assertThat(problem.expected()).isNotEqualTo(problem.found());
        });
  }

  @Test
  void aCheckpointThatIsNotThereIsNotFound() throws IOException {
    TinyStore store = tiny();
    assertThatThrownBy(() -> Verify.quick(store.run, new CheckpointId(1, 41)))
        .isInstanceOf(KeepstoneException.NotFound.class);
  }

  /// An object's bytes with some text replaced, and summed up again: what an attacker can do.
  private static byte[] forged(byte[] object, String from, String to) {
    String text = new String(object, UTF_8);
    assertThat(text).contains(from);
    String body = text.substring(0, text.length() - 21).replace(from, to);
    byte[] bytes = body.getBytes(UTF_8);
    String sum = Crc32.hex(Crc32.of(bytes, 0, bytes.length));
    return (body + ",\"crc32\":\"" + sum + "\"}\n").getBytes(UTF_8);
  }

  private static VerifyReport manifestForged(String from, String to) throws IOException {
    TinyStore store = tiny();
    Path path = store.path(MANIFEST);
    return deep(
        store, new DamagedDisk(store.disk(), path, forged(read(store.disk(), path), from, to)));
  }

  /// A part that is forged, and a manifest that agrees with it.
  private static VerifyReport partForged(String from, String to) throws IOException {
    TinyStore store = tiny();
    byte[] part = read(store.disk(), store.path(PART));
    byte[] forged = forged(part, from, to);
    Disk disk = new DamagedDisk(store.disk(), store.path(PART), forged);
    byte[] manifest =
        forged(read(store.disk(), store.path(MANIFEST)), receipt(part), receipt(forged));
    return deep(store, new DamagedDisk(disk, store.path(MANIFEST), manifest));
  }

  private static String receipt(byte[] part) {
    return "\"bytes\":%d,\"crc32\":\"%s\""
        .formatted(part.length, Crc32.hex(Crc32.of(part, 0, part.length)));
  }

  private static void assertNamed(VerifyReport report, String name) {
    assertThat(report.problems()).extracting(Problem::file).contains(ROOT.resolve(name).toString());
  }

  @Test
  void hostileManifestsAreNamed() throws IOException {
    String shard = Names.shard("model", 0, TinyStore.NONCE);
    for (String file : List.of("../x", "/etc/passwd", "..", "a/b", "")) {
      assertNamed(manifestForged(shard, file), MANIFEST);
    }
    assertNamed(manifestForged("\"1-40\"", "\"1-41\""), MANIFEST);
    assertNamed(manifestForged("\"step\":40", "\"step\":41"), MANIFEST);
    assertNamed(manifestForged("\"world\":1", "\"world\":2000000000"), MANIFEST);
    assertNamed(manifestForged("\"tensors\":3", "\"tensors\":4"), MANIFEST);
    assertNamed(manifestForged("\"tensors\":3", "\"tensors\":-1"), MANIFEST);
    assertNamed(manifestForged("\"bytes\":4126", "\"bytes\":9223372036854775807"), MANIFEST);
    assertNamed(manifestForged(Names.index("model"), shard), MANIFEST);
    assertNamed(manifestForged("part-00000.json", "part-00001.json"), MANIFEST);
    assertNamed(manifestForged("\"uid\":\"", "\"uid\":\"0"), MANIFEST);
  }

  @Test
  void hostilePartsAreNamedEvenWhereTheManifestAgrees() throws IOException {
    String shard = Names.shard("model", 0, TinyStore.NONCE);
    assertNamed(partForged("\"at\":4096", "\"at\":1099511627776"), PART);
    assertNamed(partForged("\"at\":4096", "\"at\":-1"), PART);
    assertNamed(partForged("\"at\":4120,\"bytes\":6", "\"at\":4119,\"bytes\":6"), PART);
    assertNamed(partForged("[3,2]", "[3,4611686018427387904]"), PART);
    assertNamed(partForged("\"bytes\":24", "\"bytes\":-24"), PART);
    assertNamed(partForged("\"rank\":0", "\"rank\":1"), PART);
    assertNamed(partForged("\"1-40\"", "\"2-40\""), PART);
    assertNamed(partForged("\"uid\":\"", "\"uid\":\"0"), PART);
    assertNamed(partForged(shard, "../" + shard), PART);
    assertNamed(partForged("\"F32\"", "\"F33\""), PART);
    assertNamed(partForged("\"header\":4096", "\"header\":4097"), PART);
    // What the part says well and the file does not hold is named by the file.
    String file = TinyStore.NAMES.file(TinyStore.ID, shard);
    assertNamed(partForged("\"name\":\"bias\"", "\"name\":\"else\""), file);
  }

  @Test
  void structureOfAPlainFileIsLookedAt(@TempDir Path directory) throws IOException {
    TinyStore store = tiny();
    Path shard = store.path(TinyStore.NAMES.file(TinyStore.ID, store.shards.getFirst().file()));
    byte[] bytes = read(store.disk(), shard);
    Path file = Files.write(directory.resolve("model.safetensors"), bytes);
    assertThat(Verify.safetensors(Disk.local(), file).problems()).isEmpty();
    Files.write(file, Arrays.copyOf(bytes, bytes.length - 1));
    assertThat(Verify.safetensors(Disk.local(), file).problems())
        .singleElement()
        .satisfies(problem -> assertThat(problem.kind()).isEqualTo(Problem.Kind.HEADER));
  }
}
