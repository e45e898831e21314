package dev.keepstone.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.fact.Batch;
import dev.keepstone.store.fact.Snapshot;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Ask;
import dev.keepstone.store.object.Decision;
import dev.keepstone.store.object.Due;
import dev.keepstone.store.object.End;
import dev.keepstone.store.object.Hold;
import dev.keepstone.store.object.Presence;
import dev.keepstone.store.object.RunMarker;
import dev.keepstone.store.object.Start;
import dev.keepstone.store.object.StoreMarker;
import dev.keepstone.store.object.Tomb;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PartRecord;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.part.StateObject;
import dev.keepstone.store.part.StoredPart;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// docs/spec/store.md is what the code does: every example in it is read, and written again byte
/// for byte.
final class StoreSpecTest {
  private static final Pattern EXAMPLE =
      Pattern.compile("<!-- example: ([a-z-]+) -->\n```json\n(.*?)\n```", Pattern.DOTALL);

  private static final String UID = "6f1c0e5a9d0b4b7e8c2d3f4a5b6c7d8e";

  static Map<String, byte[]> examples() throws IOException {
    String text =
        Files.readString(Path.of(System.getProperty("keepstone.root"), "docs/spec/store.md"));
    Map<String, byte[]> examples = new LinkedHashMap<>();
    Matcher matcher = EXAMPLE.matcher(text);
    while (matcher.find()) {
      // Shown on several lines, stored on one.
      String line = matcher.group(2).replaceAll("\n *", "") + "\n";
      examples.put(matcher.group(1), line.getBytes(StandardCharsets.UTF_8));
    }
    assertThat(examples).hasSize(19);
    return examples;
  }

  static List<String> names() throws IOException {
    return List.copyOf(examples().keySet());
  }

  private static byte[] example(String name) throws IOException {
    return examples().getOrDefault(name, new byte[0]);
  }

  /// An example read by its codec and written again.
  private static byte[] roundTrip(String name, byte[] bytes) {
    return switch (name) {
      case "marker" -> StoreMarker.decode(bytes, name).encode();
      case "run" -> RunMarker.decode(bytes, name).encode();
      case "rank" -> Presence.decode(bytes, name).encode();
      case "start" -> Start.decode(bytes, name).encode();
      case "parent" -> Decision.decode(bytes, name).encode();
      case "part", "part-user", "refusal" -> PartRecord.decode(bytes, name).encode();
      case "state" -> StateObject.decode(bytes, name).encode();
      case "manifest", "manifest-user" -> Manifest.decode(bytes, name).encode();
      case "tomb" -> Tomb.decode(bytes, name).encode();
      case "end" -> End.decode(bytes, name).encode();
      case "facts" -> Batch.decode(bytes, name).encode();
      case "snapshot" -> Snapshot.decode(bytes, UID, name).encode(name);
      case "due" -> Due.decode(bytes, name).encode();
      case "ask" -> Ask.decode(bytes, name).encode();
      case "snapshot-older" -> {
        // What an older Keepstone wrote says the same today, in today's form.
        Snapshot older = Snapshot.decode(bytes, UID, name);
        assertThat(Snapshot.decode(older.encode(name), UID, name)).isEqualTo(older);
        yield bytes;
      }
      case "hold" -> Hold.decode(bytes, name).encode();
      default -> throw new AssertionError("no codec for the example " + name);
    };
  }

  @ParameterizedTest
  @MethodSource("names")
  void everyExampleIsReadAndWrittenAgainByteForByte(String name) throws IOException {
    byte[] bytes = example(name);
    assertThat(roundTrip(name, bytes))
        .asString()
        .isEqualTo(new String(bytes, StandardCharsets.UTF_8));
  }

  @ParameterizedTest
  @MethodSource("names")
  void anyFlippedBitOfAnyExampleIsNoticedAndNamed(String name) throws IOException {
    byte[] bytes = example(name);
    for (int i = 0; i < bytes.length * 8; i++) {
      byte[] flipped = bytes.clone();
      flipped[i / 8] ^= (byte) (1 << i % 8);
      assertThatExceptionOfType(KeepstoneException.Integrity.class)
          .isThrownBy(() -> roundTrip(name, flipped))
          .matches(failure -> failure.on().equals(name));
    }
  }

  @ParameterizedTest
  @MethodSource("names")
  void anyTruncationOfAnyExampleIsNoticedAndNamed(String name) throws IOException {
    byte[] bytes = example(name);
    for (int length = 0; length < bytes.length; length++) {
      byte[] cut = Arrays.copyOf(bytes, length);
      assertThatExceptionOfType(KeepstoneException.Integrity.class)
          .isThrownBy(() -> roundTrip(name, cut))
          .matches(failure -> failure.on().equals(name));
    }
  }

  @Test
  void theManifestOfTheExampleIsWhatItsPartGives() throws IOException {
    StoredPart part = StoredPart.decode(example("part"), "part");
    assertThat(Manifest.of(List.of(part)).encode()).isEqualTo(example("manifest"));
  }

  @Test
  void theManifestOfAPartThatUsesAnothersShardNamesItsOwner() throws IOException {
    StoredPart part = StoredPart.decode(example("part-user"), "part-user");
    assertThat(Manifest.of(List.of(part)).encode()).isEqualTo(example("manifest-user"));
  }

  @Test
  void theStateReceiptOfTheExampleIsThatOfTheStateExample() throws IOException {
    byte[] state = example("state");
    FileReceipt receipt = Part.decode(example("part"), "part").state();
    assertThat(receipt.bytes()).isEqualTo(state.length);
    assertThat(receipt.crc32()).isEqualTo(Crc32.of(state, 0, state.length));
  }

  @Test
  void theChecksumOfTheExamplesShardIsThatOfItsGranulesInFileOrder() throws IOException {
    ShardReceipt shard = Part.decode(example("part"), "part").shards().getFirst();
    int crc = shard.headerCrc32();
    for (var piece : shard.pieces()) {
      int granules = Granules.combine(Granules.parse(piece.crcs()), piece.bytes());
      crc = Crc32.combine(crc, granules, piece.bytes());
    }
    assertThat(crc).isEqualTo(shard.crc32());
  }

  @Test
  void aRefusalIsNoPart() throws IOException {
    byte[] refusal = example("refusal");
    assertThat(PartRecord.decode(refusal, "refusal")).isInstanceOf(Refusal.class);
    assertThatExceptionOfType(KeepstoneException.Integrity.class)
        .isThrownBy(() -> Part.decode(refusal, "part-00000.json"))
        .withMessageContaining("expected \"part\", found \"refusal\"");
  }
}
