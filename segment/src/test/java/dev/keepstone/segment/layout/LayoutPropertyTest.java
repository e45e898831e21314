package dev.keepstone.segment.layout;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.format.safetensors.SafetensorsHeader;
import dev.keepstone.core.format.safetensors.SafetensorsReader;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.testkit.Seeds;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class LayoutPropertyTest {
  private static final Json.Obj EMPTY = Json.object().build();

  private final List<RegisteredPiece> pieces = new ArrayList<>();

  static LongStream seeds() {
    return Seeds.count(60);
  }

  /// Tensors of any dtype and of rank 0 to 3, empty ones among them, each cut into rows of which
  /// some are left out, in any order.
  private Layout any(Random random) {
    Dtype[] dtypes = Dtype.values();
    int tensors = random.nextInt(1, 30);
    for (int t = 0; t < tensors; t++) {
      List<Long> extents = new ArrayList<>();
      for (int rank = random.nextInt(4); rank > 0; rank--) {
        extents.add((long) random.nextInt(random.nextInt(10) == 0 ? 1 : 6));
      }
      if (!extents.isEmpty()) {
        // Whole bytes for F4 and F6, whatever the rest.
        extents.set(extents.size() - 1, 4 * extents.getLast());
      }
      Dtype dtype = dtypes[random.nextInt(dtypes.length)];
      if (extents.isEmpty() && dtype.bits() < 8) {
        dtype = Dtype.U8;
      }
      Tensor tensor = new Tensor("t" + t, dtype, new Shape(extents));
      cut(tensor, "c" + random.nextInt(3), random);
    }
    Collections.shuffle(pieces, random);
    LayoutRequest request = new LayoutRequest(pieces, EMPTY, random.nextInt(200_000), EMPTY, EMPTY);
    return Layout.plan(LayoutTest.OWNER, request);
  }

  private void cut(Tensor tensor, String component, Random random) {
    if (tensor.shape().rank() < 2 || random.nextBoolean()) {
      pieces.add(new RegisteredPiece(component, Piece.whole(tensor)));
      return;
    }
    long rows = tensor.shape().extent(0);
    for (long from = 0; from < rows; ) {
      long count = random.nextLong(1, rows - from + 1);
      List<Long> offset = new ArrayList<>(Collections.nCopies(tensor.shape().rank(), 0L));
      List<Long> extent = new ArrayList<>(tensor.shape().extents());
      offset.set(0, from);
      extent.set(0, count);
      if (random.nextInt(4) > 0) {
        pieces.add(
            new RegisteredPiece(
                component, new Piece(tensor, new Slice(offset, new Shape(extent)))));
      }
      from += count;
    }
  }

  @ParameterizedTest(name = "seed {0}")
  @MethodSource("seeds")
  void piecesAndHeadersLieApartInsideTheSlotAndAligned(long seed) {
    Layout layout = any(Seeds.random(seed));
    byte[] owner = new byte[Math.toIntExact(layout.slotBytes())];
    claim(owner, 0, layout.stateCapacity());
    for (ShardPlace shard : layout.shards()) {
      assertThat(shard.offset() % 4096).isZero();
      assertThat(shard.headerBytes() % 4096).isZero();
      claim(owner, shard.offset(), shard.headerBytes());
    }
    for (int i = 0; i < pieces.size(); i++) {
      PiecePlace place = layout.pieces().get(i);
      assertThat(place.piece()).isEqualTo(pieces.get(i).piece());
      assertThat(layout.shards().get(place.shard()).component())
          .isEqualTo(pieces.get(i).component());
      assertThat(place.at() * 8 % Integer.highestOneBit(place.piece().tensor().dtype().bits()))
          .isZero();
      claim(owner, place.at(), place.piece().byteLength());
    }
    assertThat(LayoutCodec.read(LayoutCodec.toJson(layout))).isEqualTo(layout);
  }

  private static void claim(byte[] owner, long from, long byteLength) {
    for (long at = from; at < from + byteLength; at++) {
      assertThat(owner[(int) at]).as("byte " + at + " taken once").isZero();
      owner[(int) at] = 1;
    }
  }

  @ParameterizedTest(name = "seed {0}")
  @MethodSource("seeds")
  void theImageOfEachShardIsASafetensorsFileWithEachPieceInItsPlace(
      long seed, @TempDir Path directory) throws IOException {
    Layout layout = any(Seeds.random(seed));
    for (int s = 0; s < layout.shards().size(); s++) {
      ShardPlace shard = layout.shards().get(s);
      byte[] header = layout.header(s);
      assertThat(header).hasSize((int) shard.headerBytes());
      SafetensorsHeader read = read(directory.resolve("s" + s), header, shard.byteLength());
      assertThat(read.dataStart()).isEqualTo(shard.headerBytes());
      assertThat(read.metadata().containsKey("format")).isEqualTo(shard.whole());
      List<Integer> order = layout.fileOrder(s);
      assertThat(read.tensors()).hasSameSizeAs(order);
      for (int e = 0; e < order.size(); e++) {
        PiecePlace place = layout.pieces().get(order.get(e));
        SafetensorsHeader.Entry entry = read.entries().get(e);
        assertThat(shard.offset() + read.dataStart() + entry.begin()).isEqualTo(place.at());
        assertThat(entry.end() - entry.begin()).isEqualTo(place.piece().byteLength());
        assertThat(entry.name()).startsWith(place.piece().tensor().name());
        assertThat(read.tensors().get(e).dtype()).isEqualTo(place.piece().tensor().dtype());
        assertThat(read.tensors().get(e).shape()).isEqualTo(place.piece().slice().extent());
      }
    }
  }

  private static SafetensorsHeader read(Path path, byte[] header, long byteLength)
      throws IOException {
    try (Arena arena = Arena.ofConfined();
        OpenFile file = Disk.local().create(path)) {
      MemorySegment image = arena.allocate(byteLength);
      MemorySegment.copy(header, 0, image, ValueLayout.JAVA_BYTE, 0, header.length);
      file.write(0, image);
      return SafetensorsReader.read(file, path.toString());
    }
  }
}
