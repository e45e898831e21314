package dev.keepstone.agent;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.client.AgentStarter;
import dev.keepstone.client.Client;
import dev.keepstone.client.ClientEnvironment;
import dev.keepstone.client.Keep;
import dev.keepstone.client.Launch;
import dev.keepstone.client.Registration;
import dev.keepstone.client.Restore;
import dev.keepstone.client.Saved;
import dev.keepstone.client.Source;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.testkit.CountingDisk;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Saved by some ranks, given back to others: through the client, an agent and a store.
class ReshardTest {
  private static final Duration PATIENCE = Duration.ofMinutes(1);

  /// Rows of the matrix are 3 MiB less a bit, so that pieces end within granules.
  private static final Tensor MATRIX = new Tensor("matrix", Dtype.F32, Shape.of(7, 786_000));

  private static final Tensor VECTOR = new Tensor("vector", Dtype.BF16, Shape.of(10_007));
  private static final Tensor SCALAR = new Tensor("scalar", Dtype.F64, Shape.SCALAR);
  private static final List<Tensor> TENSORS = List.of(MATRIX, VECTOR, SCALAR);

  @TempDir Path directory;
  private final CountingDisk disk = new CountingDisk(Disk.local());

  private static byte[] whole(Tensor tensor) {
    byte[] bytes = new byte[(int) tensor.byteLength()];
    new Random(tensor.name().hashCode()).nextBytes(bytes);
    return bytes;
  }

  /// What a rank has of a tensor: its part along a dimension; of scalars, all of it is rank 0's.
  private static Slice part(Tensor tensor, int along, int rank, int world) {
    Shape shape = tensor.shape();
    if (shape.rank() == 0) {
      return Slice.whole(shape);
    }
    int d = Math.min(along, shape.rank() - 1);
    long begin = shape.extent(d) * rank / world;
    long end = shape.extent(d) * (rank + 1) / world;
    Long[] offset = new Long[shape.rank()];
    Arrays.fill(offset, 0L);
    offset[d] = begin;
    Long[] extent = shape.extents().toArray(Long[]::new);
    extent[d] = end - begin;
    return new Slice(List.of(offset), new Shape(List.of(extent)));
  }

  /// The bytes of a slice: rows of a matrix, or columns of it.
  private static byte[] bytes(Tensor tensor, Slice slice) {
    byte[] whole = whole(tensor);
    int element = tensor.dtype().bits() / 8;
    if (tensor.shape().rank() == 0) {
      return whole;
    }
    int rank = tensor.shape().rank();
    int width = (int) tensor.shape().extent(rank - 1) * element;
    int from = (int) (slice.offset().get(rank - 1) * element);
    int length = (int) slice.extent().extent(rank - 1) * element;
    int first = rank == 1 ? 0 : (int) (long) slice.offset().get(0);
    int rows = rank == 1 ? 1 : (int) slice.extent().extent(0);
    byte[] cut = new byte[rows * length];
    for (int row = 0; row < rows; row++) {
      System.arraycopy(whole, (first + row) * width + from, cut, row * length, length);
    }
    return cut;
  }

  private Client client(Nodes node, String token, int rank, int world, int local) {
    Client client =
        Client.connect(
            new ClientEnvironment(
                node.directory,
                AgentStarter.none(),
                new Random(token.hashCode() + rank),
                new ClientEnvironment.Clocks(Nodes.CLOCK, Nodes.CLOCK::nanos),
                ClientEnvironment.Patience.DEFAULT),
            "test");
    client.start(
        new Launch(
            directory,
            "run",
            token,
            rank,
            world,
            "latest",
            Keep.last(9),
            "here",
            local,
            Duration.ofMinutes(1)));
    return client;
  }

  private List<Client> save(Nodes node, int world, int along) {
    List<Client> clients = new ArrayList<>();
    List<Saved> saves = new ArrayList<>();
    for (int rank = 0; rank < world; rank++) {
      Client client = client(node, "save", rank, world, world);
      clients.add(client);
      List<Source> sources = new ArrayList<>();
      for (Tensor tensor : TENSORS) {
        Slice mine = part(tensor, along, rank, world);
        if (tensor != SCALAR || rank == 0) {
          MemorySegment memory = MemorySegment.ofArray(bytes(tensor, mine));
          sources.add(new Source("model", new Piece(tensor, mine), () -> memory));
        }
      }
      client.register(
          new Registration(
              sources,
              Json.object()
                  .put("state", Json.object().put("tokens", 5).build())
                  .put("keepstone", Json.object().put("rank", rank).build())
                  .build(),
              Json.object().build(),
              Json.object().build(),
              Registration.Space.DEFAULT));
      saves.add(client.save(1, List.of(), Map.of("loss", 0.5)));
    }
    for (int rank = 0; rank < world; rank++) {
      clients.get(rank).awaitDurable(saves.get(rank), PATIENCE);
    }
    return clients;
  }

  /// One rank's restore of its part of everything.
  private static boolean restore(Client client, int along, int rank, int world, int saved) {
    try (Restore restore = client.open("1-1")) {
      assertThat(restore.world()).isEqualTo(saved);
      assertThat(restore.tensors())
          .extracting(Answer.OpenedTensor::tensor)
          .containsExactlyInAnyOrderElementsOf(TENSORS);
      Json.Obj state = (Json.Obj) restore.state();
      assertThat(state.object("keepstone").integer("rank")).isEqualTo(world == saved ? rank : 0);
      assertThat(restore.others()).hasSize(world == saved ? 0 : saved);
      Map<String, MemorySegment> found =
          Map.of(
              "matrix",
              memory(MATRIX, along, rank, world),
              "vector",
              memory(VECTOR, along, rank, world),
              "scalar",
              memory(SCALAR, along, rank, world));
      restore.into(wanted ->
          List.of(
              new Restore.Target(
                  part(wanted.tensor(), along, rank, world),
                  requireNonNull(found.get(wanted.tensor().name())))));
      for (Tensor tensor : TENSORS) {
        byte[] expected = bytes(tensor, part(tensor, along, rank, world));
        assertThat(
                requireNonNull(found.get(tensor.name())).mismatch(MemorySegment.ofArray(expected)))
            .as(tensor.name())
            .isEqualTo(-1);
      }
      return restore.fromMemory();
    }
  }

  private static MemorySegment memory(Tensor tensor, int along, int rank, int world) {
    Slice part = part(tensor, along, rank, world);
    return MemorySegment.ofArray(new byte[(int) part.extent().byteLength(tensor.dtype())]);
  }

  private List<Boolean> restoreAll(Nodes node, String token, int world, int along, int saved)
      throws Exception {
    return restore(node, token, 0, world, world, along, saved);
  }

  /// Ranks `[from, to)` at one time, of a launch of `world` that says it has so many here, or two.
  private List<Boolean> restore(
      Nodes node, String token, int from, int to, int world, int along, int saved)
      throws Exception {
    int local = Math.min(world, Math.max(2, to - from));
    List<Boolean> fromMemory = new ArrayList<>();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Boolean>> done = new ArrayList<>();
      for (int r = from; r < to; r++) {
        int rank = r;
        done.add(
            threads.submit(() -> {
              try (Client client = client(node, token, rank, world, local)) {
                return restore(client, along, rank, world, saved);
              }
            }));
      }
      for (Future<Boolean> one : done) {
        fromMemory.add(one.get());
      }
    }
    return fromMemory;
  }

  @ParameterizedTest
  @CsvSource({"1, 3, 0, 0", "4, 3, 0, 0", "3, 1, 1, 0", "2, 2, 0, 0", "2, 4, 1, 1", "3, 5, 1, 0"})
  void ranksReadTogetherWhatOthersSaved(int saved, int wanted, int along, int other)
      throws Exception {
    try (Nodes node = new Nodes(31)) {
      node.start(256L << 20, Duration.ofSeconds(90), disk);
      save(node, saved, along).forEach(Client::close);
      disk.reset();
      assertThat(restoreAll(node, "restore", wanted, other, saved)).containsOnly(false);
      long bytes = TENSORS.stream().mapToLong(Tensor::byteLength).sum();
      assertThat(disk.bytesRead(path -> path.toString().endsWith(".safetensors")))
          .isBetween(bytes, bytes + bytes / 20);
      assertThat(node.directory.path()).isDirectoryNotContaining("glob:**.window");
    }
  }

  @Test
  void whoComesWhenTheOthersHaveReadReadsAlone() throws Exception {
    try (Nodes node = new Nodes(34)) {
      node.start(256L << 20, Duration.ofSeconds(90), disk);
      save(node, 2, 0).forEach(Client::close);
      disk.reset();
      assertThat(restore(node, "restore", 0, 2, 3, 1, 2)).containsOnly(false);
      assertThat(restore(node, "restore", 2, 3, 3, 1, 2)).containsOnly(false);
      long bytes = TENSORS.stream().mapToLong(Tensor::byteLength).sum();
      // Columns: every rank needs every granule of the matrix.
      assertThat(disk.bytesRead(path -> path.toString().endsWith(".safetensors")))
          .isBetween(bytes * 3 / 2, bytes * 2 + bytes / 10);
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "3, 3", "3, 2", "2, 5"})
  void whatLiesSealedOnThisNodeComesFromMemoryInAnyLayout(int saved, int wanted) throws Exception {
    try (Nodes node = new Nodes(32)) {
      node.start(512L << 20, Duration.ofSeconds(90), disk);
      List<Client> savers = save(node, saved, 0);
      disk.reset();
      assertThat(restoreAll(node, "restore", wanted, 0, saved)).containsOnly(true);
      assertThat(disk.bytesRead(path -> path.toString().endsWith(".safetensors"))).isZero();
      savers.forEach(Client::close);
    }
  }

  @ParameterizedTest
  @CsvSource({"3, 2", "2, 2"})
  void whatIsNotInMemoryComesFromTheStoreBesideIt(int saved, int wanted) throws Exception {
    try (Nodes node = new Nodes(33)) {
      node.start(512L << 20, Duration.ofSeconds(90), disk);
      List<Client> savers = save(node, saved, 0);
      savers.getFirst().close();
      disk.reset();
      assertThat(restoreAll(node, "restore", wanted, 0, saved)).contains(false);
      assertThat(disk.bytesRead(path -> path.toString().endsWith(".safetensors")))
          .isPositive()
          .isLessThan(TENSORS.stream().mapToLong(Tensor::byteLength).sum() / saved * 3 / 2);
      savers.subList(1, saved).forEach(Client::close);
    }
  }
}
