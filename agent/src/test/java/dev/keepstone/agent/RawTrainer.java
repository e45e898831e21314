package dev.keepstone.agent;

import static java.util.Objects.requireNonNull;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.core.reshard.Wanted;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.segment.file.AgentRecord;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.file.SegmentFile;
import dev.keepstone.segment.layout.LayoutRequest;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.memory.RecordLock;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.segment.wire.FrameChannel;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.segment.wire.RequestCodec;
import dev.keepstone.segment.wire.WireError;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// A trainer by hand: the protocol's frames and the segment's records, nothing between.
final class RawTrainer implements AutoCloseable {
  private final AgentDirectory directory;
  private final String client;
  private @Nullable RecordLock lock;
  private @Nullable FrameChannel frames;
  private @Nullable SegmentFile segment;
  private Answer.@Nullable Register registered;
  private List<RegisteredPiece> pieces = List.of();

  RawTrainer(AgentDirectory directory, String client) {
    this.directory = directory;
    this.client = client;
  }

  /// One piece of `elements` floats for each name.
  static List<RegisteredPiece> floats(String component, long elements, String... names) {
    return List.of(names).stream()
        .map(name ->
            new RegisteredPiece(
                component, Piece.whole(new Tensor(name, Dtype.F32, new Shape(List.of(elements))))))
        .toList();
  }

  /// The same pieces, declared frozen.
  static List<RegisteredPiece> frozen(List<RegisteredPiece> pieces) {
    return pieces.stream()
        .map(piece -> new RegisteredPiece(piece.component(), piece.piece(), true))
        .toList();
  }

  RawTrainer greet() throws IOException {
    if (lock == null) {
      lock = RecordLock.tryTake(directory.clientLock(client)).orElseThrow();
    }
    frames = new FrameChannel(SocketChannel.open(UnixDomainSocketAddress.of(directory.socket())));
    long sealed = segment == null ? 0 : lastSealed(segment);
    ask(new Request.Hello(client, ProcessHandle.current().pid(), "test", sealed));
    return this;
  }

  private static long lastSealed(SegmentFile segment) {
    long last = 0;
    for (int slot = 0; slot < segment.head().slots(); slot++) {
      last = Math.max(last, segment.seal(slot).map(SealRecord::generation).orElse(0L));
    }
    return last;
  }

  <A extends Answer> A ask(Request<A> request) throws IOException {
    FrameChannel open = frames();
    open.write(RequestCodec.toJson(request));
    Json.Obj answer = open.read().orElseThrow(() -> new EOFException("the agent hung up"));
    if (!answer.bool("ok")) {
      throw WireError.read(answer.object("error"));
    }
    return request.readAnswer(answer);
  }

  FrameChannel frames() {
    if (frames == null) {
      throw new IllegalStateException("not connected");
    }
    return frames;
  }

  SegmentFile segment() {
    if (segment == null) {
      throw new IllegalStateException("not registered");
    }
    return segment;
  }

  Answer.Register registered() {
    if (registered == null) {
      throw new IllegalStateException("not registered");
    }
    return registered;
  }

  Answer.Start start(Path store, String token, int keepLast) throws IOException {
    Json.Obj policy = Json.object().put("keep_last", keepLast).build();
    return ask(
        new Request.Start(
            store.toString(), "run", token, 0, 1, "latest", policy, "here", 1, 60_000));
  }

  /// Joins as one of several ranks.
  Answer.Start start(Path store, String token, int rank, int world) throws IOException {
    return start(store, token, rank, world, 60_000);
  }

  /// As one rank of several.
  Answer.Start start(Path store, String token, int rank, int world, long commitTimeoutMs)
      throws IOException {
    Json.Obj policy = Json.object().put("keep_last", 3).build();
    return ask(
        new Request.Start(
            store.toString(),
            "run",
            token,
            rank,
            world,
            "latest",
            policy,
            "node" + rank,
            1,
            commitTimeoutMs));
  }

  Answer.Register register(List<RegisteredPiece> layout, @Nullable Long limitRate)
      throws IOException {
    return register(layout, null, limitRate, 60_000);
  }

  Answer.Register register(
      List<RegisteredPiece> layout, @Nullable Long budget, @Nullable Long limitRate, long timeoutMs)
      throws IOException {
    Json.Obj hole = Json.object().put("~", "hole").put("v", 0).build();
    Json.Obj state =
        Json.object()
            .put("state", Json.object().put("tokens", hole).build())
            .put("keepstone", Json.object().build())
            .build();
    LayoutRequest request =
        new LayoutRequest(
            layout,
            state,
            64,
            new Json.Obj(Map.of("model", Json.object().put("architecture", "Tiny").build())),
            Json.object().put("client", "test").build());
    Answer.Register answer = ask(new Request.Register(request, 2, budget, limitRate, timeoutMs));
    if (segment != null) {
      segment.close();
    }
    segment = SegmentFile.open(Path.of(answer.segment()));
    registered = answer;
    pieces = layout;
    fill(segment.constants(), 0, true);
    return answer;
  }

  /// Copies the state of a step into the lent slot, waiting for one, and seals it.
  SealRecord seal(long step) throws IOException {
    AgentRecord record = segment().agentRecord().orElseThrow();
    int slot = record.lentSlot();
    long generation = record.lentGeneration();
    if (slot == AgentRecord.NONE) {
      Answer.Lend lend = ask(new Request.Lend(60_000));
      slot = lend.slot();
      generation = lend.generation();
    }
    fill(segment().slot(slot), step, false);
    byte[] state = state(step);
    MemorySegment.copy(state, 0, segment().stateArea(slot), ValueLayout.JAVA_BYTE, 0, state.length);
    SealRecord seal =
        new SealRecord(
            slot,
            generation,
            step,
            state.length,
            Crc32.of(state, 0, state.length),
            1_700_000_000_000_000_000L + step,
            1_000_000);
    segment().write(seal);
    return seal;
  }

  Answer.Sealed announce(SealRecord seal) throws IOException {
    return ask(
        new Request.Sealed(
            segment().layout().owner().layout(), seal.slot(), seal.generation(), seal.step()));
  }

  Answer.Sealed save(long step) throws IOException {
    return announce(seal(step));
  }

  Ended await(String id) throws IOException {
    return ask(new Request.Wait(id, 60_000)).ended().getFirst();
  }

  /// The state area: one metric and the value of the one hole.
  private static byte[] state(long step) {
    return JsonWriter.bytes(
        Json.object()
            .put("metrics", Json.object().put("loss", 1.0 / (1 + step)).build())
            .put("values", Json.array(List.of(Json.of(step * 1000))))
            .build());
  }

  private void fill(MemorySegment area, long step, boolean frozen) {
    for (int i = 0; i < pieces.size(); i++) {
      RegisteredPiece piece = pieces.get(i);
      if (piece.frozen() == frozen) {
        long bytes = piece.piece().byteLength();
        MemorySegment expected = expected(piece.piece().tensor().name(), bytes, step);
        MemorySegment.copy(expected, 0, area, registered().at().get(i), bytes);
      }
    }
  }

  /// The bytes of a tensor at a step: finite floats that differ between steps and tensors, and of
  /// one whose name begins with `still` or `frozen` between tensors only.
  static MemorySegment expected(String tensor, long bytes, long step) {
    boolean still = tensor.startsWith("still") || tensor.startsWith("frozen");
    Random random = new Random((still ? 0 : step) * 31 + tensor.hashCode());
    float[] values = new float[(int) (bytes / 4)];
    for (int k = 0; k < values.length; k++) {
      values[k] = random.nextFloat();
    }
    return MemorySegment.ofArray(values);
  }

  /// Ends the connection; the process, and so its lock, lives on.
  void hangUp() throws IOException {
    frames().close();
  }

  /// As if the process had died: the lock goes, then the connection.
  void die() throws IOException {
    if (lock != null) {
      lock.close();
      lock = null;
    }
    frames().close();
  }

  @Override
  public void close() throws IOException {
    die();
    if (segment != null) {
      segment.close();
    }
  }

  /// Opens a checkpoint and wants all of it.
  Answer.Want want(String id) throws IOException {
    Answer.Open open = ask(new Request.Open(id));
    return ask(
        new Request.Want(
            IntStream.range(0, open.tensors().size()).mapToObj(Wanted::whole).toList()));
  }

  /// The bytes of one piece out of the memory that an answer names.
  static byte[] inMemory(Answer.Want want, Answer.SavedPiece piece) throws IOException {
    Answer.Source source = want.sources().get(requireNonNull(piece.source()));
    byte[] file = Files.readAllBytes(Path.of(source.segment()));
    int at = (int) (source.slotAt() + piece.at());
    return Arrays.copyOfRange(file, at, at + (int) piece.byteLength());
  }

  /// All that comes of a stream, at its place in it; what does not come is 0.
  byte[] stream(Answer.Want want) throws IOException {
    byte[] stream = new byte[(int) want.total()];
    String window = requireNonNull(want.window()).file();
    while (true) {
      Answer.Next next = ask(new Request.Next());
      byte[] bytes = Files.readAllBytes(Path.of(window));
      for (Answer.Chunk chunk : next.chunks()) {
        System.arraycopy(
            bytes, (int) chunk.in(), stream, (int) chunk.at(), (int) chunk.byteLength());
      }
      if (next.end()) {
        return stream;
      }
    }
  }
}
