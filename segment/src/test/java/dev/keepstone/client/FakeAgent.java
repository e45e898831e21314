package dev.keepstone.client;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.reshard.Wanted;
import dev.keepstone.segment.file.AgentRecord;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.file.SegmentFile;
import dev.keepstone.segment.file.SlotState;
import dev.keepstone.segment.layout.Layout;
import dev.keepstone.segment.layout.LayoutOwner;
import dev.keepstone.segment.layout.PiecePlace;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.memory.RecordLock;
import dev.keepstone.segment.memory.SharedFile;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.place.Outlives;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.AnswerCodec;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.segment.wire.FrameChannel;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.segment.wire.RequestCodec;
import dev.keepstone.segment.wire.WireError;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// An agent of a few lines that speaks docs/spec/wire.md over a real socket and real shared memory,
/// for one trainer at a time. What it "commits" it keeps in a map that outlives it, as a store
/// would.
final class FakeAgent implements AutoCloseable {
  /// A checkpoint: bytes of each piece by its name, and the filled state area.
  record Stored(Json.Obj state, Map<RegisteredPiece, byte[]> pieces) {}

  private static final int CHUNK = 8;

  private final AgentDirectory directory;
  private final Map<String, Stored> store;
  private final ServerSocketChannel server;
  private final List<FrameChannel> connections = new CopyOnWriteArrayList<>();
  final List<Request<?>> heard = new CopyOnWriteArrayList<>();

  /// Failures to answer the next request of a verb with.
  final Map<String, KeepstoneException> failures = new ConcurrentHashMap<>();

  // Guarded by this.
  private boolean asksToReplan;
  private boolean paused;
  private boolean lendsAhead = true;
  private boolean endsEarly;
  private final List<Request.Sealed> waiting = new ArrayList<>();
  private final List<Ended> untold = new ArrayList<>();
  private final Map<String, Ended> ends = new LinkedHashMap<>();
  private @Nullable SegmentFile segment;
  private String client = "";
  private int layouts;
  private long generation;
  private int newest = AgentRecord.NONE;
  private @Nullable List<byte[]> stream;
  private @Nullable SharedFile window;
  private int sent;
  private @Nullable Stored opened;
  private long openedStep;

  private FakeAgent(AgentDirectory directory, Map<String, Stored> store) throws IOException {
    this.directory = directory;
    this.store = store;
    Files.deleteIfExists(directory.socket());
    server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    server.bind(UnixDomainSocketAddress.of(directory.socket()));
    Thread.ofVirtual().start(this::accept);
  }

  static FakeAgent start(AgentDirectory directory, Map<String, Stored> store) {
    try {
      directory.create();
      return new FakeAgent(directory, store);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private void accept() {
    try {
      while (true) {
        FrameChannel connection = new FrameChannel(server.accept());
        connections.add(connection);
        Thread.ofVirtual().start(() -> serve(connection));
      }
    } catch (IOException e) {
      // Closed.
    }
  }

  private void serve(FrameChannel connection) {
    try {
      Optional<Json.Obj> frame = connection.read();
      while (frame.isPresent()) {
        Request<?> request = RequestCodec.read(frame.get());
        heard.add(request);
        connection.write(answer(request));
        frame = connection.read();
      }
    } catch (IOException e) {
      // The client is gone, or this agent is.
    }
  }

  private synchronized Json.Obj answer(Request<?> request) {
    KeepstoneException failure = failures.remove(request.verb());
    try {
      if (failure != null) {
        throw failure;
      }
      return AnswerCodec.toJson(reply(request));
    } catch (KeepstoneException e) {
      return WireError.frame(e);
    }
  }

  private Answer reply(Request<?> request) {
    return switch (request) {
      case Request.Hello hello -> hello(hello);
      case Request.Start _ -> start();
      case Request.Register register -> register(register);
      case Request.Lend _ -> lend();
      case Request.Sealed sealed -> sealed(sealed);
      case Request.Wait wait -> waited(wait);
      case Request.Open open -> open(open.id());
      case Request.Want want -> want(want.tensors());
      case Request.Next _ -> next();
      case Request.Done _ -> done();
      case Request.Close _, Request.Refuse _ -> new Answer.Ok();
      case Request.Report report -> new Answer.Report(report.which());
      case Request.Status _,
          Request.Events _,
          Request.Rate _,
          Request.Stop _,
          Request.Preempt _,
          Request.Metrics _,
          Request.Free _ ->
          throw new KeepstoneException.Unsupported("not here", request.verb(), "ask another");
    };
  }

  /// Adopts what an agent before this one left of the same client.
  private Answer.Hello hello(Request.Hello hello) {
    client = hello.client();
    for (Path left : directory.segments()) {
      if (segment == null && left.getFileName().toString().startsWith(client)) {
        segment = SegmentFile.open(left);
        layouts = segment.layout().owner().layout();
      }
    }
    if (segment != null && hello.sealed() > generation) {
      generation = hello.sealed();
      for (int slot = 0; slot < segment.head().slots(); slot++) {
        Optional<SealRecord> seal = segment.seal(slot);
        if (seal.isPresent() && seal.get().generation() == hello.sealed()) {
          drain(new Request.Sealed(layouts, slot, generation, seal.get().step()));
        }
      }
    }
    return new Answer.Hello("7c1e02aa", 4700, "fake 1", 1 << 30, Outlives.NODE);
  }

  private Answer.Start start() {
    String latest = store.isEmpty() ? null : List.copyOf(store.keySet()).getLast();
    Long step = latest == null ? null : Long.parseLong(latest.substring(latest.indexOf('-') + 1));
    return new Answer.Start("uid", 2, latest, step, latest != null, List.of(), "7c1e02aa");
  }

  private Answer.Register register(Request.Register register) {
    if (segment != null) {
      segment.unlink();
      segment.close();
    }
    LayoutOwner owner =
        new LayoutOwner("/s", "run", "uid", 2, 0, 1, client, ++layouts, Json.object().build());
    Layout layout = Layout.plan(owner, register.layout());
    Path path = directory.segment(client, layouts);
    segment = SegmentFile.create(path, layout, register.slots());
    generation = 0;
    newest = AgentRecord.NONE;
    lendFree();
    return new Answer.Register(
        layouts,
        path.toString(),
        segment.head().fileBytes(),
        register.slots(),
        segment.head().slotOffset(),
        segment.head().slotStride(),
        layout.stateCapacity(),
        segment.head().constantAt(),
        layout.pieces().stream().map(PiecePlace::at).toList(),
        layout.byteLength(),
        1L << 30,
        3);
  }

  private SegmentFile segment() {
    if (segment == null) {
      throw new KeepstoneException.Refused("nothing is registered", "client", "register");
    }
    return segment;
  }

  /// Lends a slot that holds neither the newest sealed generation nor one that waits.
  private boolean lendFree() {
    int slots = segment().head().slots();
    List<SlotState> states = new ArrayList<>(Collections.nCopies(slots, SlotState.FREE));
    if (newest >= 0) {
      states.set(newest, SlotState.KEPT);
    }
    waiting.forEach(sealed -> states.set(sealed.slot(), SlotState.SEALED));
    int free = states.indexOf(SlotState.FREE);
    AgentRecord before = segment().agentRecord().orElseThrow();
    if (free < 0) {
      segment().write(before.next(AgentRecord.NONE, 0, states, 0));
      return false;
    }
    states.set(free, SlotState.LENT);
    segment().write(before.next(free, generation + 1, states, 0));
    return true;
  }

  private Answer.Lend lend() {
    if (!lendFree()) {
      throw new KeepstoneException.Busy("no slot is free", "run", "save less often");
    }
    AgentRecord record = segment().agentRecord().orElseThrow();
    return new Answer.Lend(record.lentSlot(), record.lentGeneration());
  }

  private Answer.Sealed sealed(Request.Sealed sealed) {
    generation = sealed.generation();
    if (paused) {
      waiting.add(sealed);
    } else {
      drain(sealed);
    }
    newest = sealed.slot();
    if (lendsAhead) {
      lendFree();
    }
    List<Ended> told = List.copyOf(untold);
    untold.clear();
    return new Answer.Sealed("2-" + sealed.step(), told, asksToReplan);
  }

  private void drain(Request.Sealed sealed) {
    SealRecord seal = segment().seal(sealed.slot()).orElseThrow();
    if (seal.generation() != sealed.generation() || seal.step() != sealed.step()) {
      throw new IllegalStateException(seal + " for " + sealed);
    }
    byte[] state =
        segment()
            .stateArea(seal.slot())
            .asSlice(0, seal.stateBytes())
            .toArray(ValueLayout.JAVA_BYTE);
    if (Crc32.of(state, 0, state.length) != seal.stateCrc()) {
      throw new IllegalStateException("state of " + seal);
    }
    Map<RegisteredPiece, byte[]> pieces = new LinkedHashMap<>();
    for (PiecePlace place : segment().layout().pieces()) {
      MemorySegment area = segment().area(seal.slot(), place.shard());
      pieces.put(
          segment().layout().registered(place),
          area.asSlice(place.at(), place.piece().byteLength()).toArray(ValueLayout.JAVA_BYTE));
    }
    String id = "2-" + seal.step();
    store.put(id, new Stored(JsonReader.readObject(state), pieces));
    end(new Ended.Committed(id, 61.5));
  }

  /// Ends an attempt in any way.
  synchronized void end(Ended end) {
    ends.put(end.id(), end);
    untold.add(end);
  }

  /// From now on sealed generations wait.
  synchronized void pause() {
    paused = true;
  }

  /// From now on a slot is lent only when asked, so that the record shows the one sealed last.
  synchronized void lendLate() {
    lendsAhead = false;
  }

  /// From now on every answer to a seal asks for another layout, or none does.
  synchronized void askToReplan(boolean asks) {
    asksToReplan = asks;
  }

  /// From now on streams end before their last byte.
  synchronized void endEarly() {
    endsEarly = true;
  }

  /// Drains what waits.
  synchronized void resume() {
    paused = false;
    waiting.forEach(this::drain);
    waiting.clear();
    lendFree();
  }

  private Answer.Wait waited(Request.Wait wait) {
    Ended end = wait.id() == null ? null : ends.get(wait.id());
    if (end == null) {
      throw new KeepstoneException.Busy("not ended yet", "checkpoint " + wait.id(), "wait");
    }
    return new Answer.Wait(List.of(end));
  }

  private Answer.Open open(String id) {
    Stored stored = store.get(id);
    if (stored == null) {
      throw new KeepstoneException.NotFound("no such checkpoint", id, "name another");
    }
    long step = Long.parseLong(id.substring(id.indexOf('-') + 1));
    Json.Obj metrics = stored.state().object("metrics");
    Json state = Json.array(stored.state().array("values"));
    Json.Obj tree = Json.object().put("state", state).build();
    opened = stored;
    openedStep = step;
    List<Answer.OpenedTensor> tensors =
        stored.pieces().keySet().stream().map(FakeAgent::tensor).distinct().toList();
    return new Answer.Open(id, step, 1, metrics, 0, tensors, tree, List.of());
  }

  private static Answer.OpenedTensor tensor(RegisteredPiece piece) {
    return new Answer.OpenedTensor(piece.component(), piece.piece().tensor());
  }

  /// From memory everything that was saved there, else pieces of the tensors that are wanted.
  private Answer.Want want(List<Wanted> wanted) {
    Stored stored = opened;
    if (stored == null) {
      throw new KeepstoneException.Refused("no restore is open", "client", "open one");
    }
    List<Answer.OpenedTensor> tensors =
        stored.pieces().keySet().stream().map(FakeAgent::tensor).distinct().toList();
    Set<Integer> names = wanted.stream().map(Wanted::tensor).collect(Collectors.toSet());
    List<Answer.SavedPiece> pieces = new ArrayList<>();
    if (segment != null && newest >= 0 && segment.seal(newest).orElseThrow().step() == openedStep) {
      for (PiecePlace place : segment.layout().pieces()) {
        int tensor = tensors.indexOf(tensor(segment.layout().registered(place)));
        if (names.contains(tensor)) {
          pieces.add(
              new Answer.SavedPiece(
                  tensor,
                  place.piece().slice(),
                  place.piece().byteLength(),
                  0,
                  segment.fromSlot(newest, place)));
        }
      }
      Answer.Source memory =
          new Answer.Source(segment.path().toString(), segment.head().slotAt(newest));
      return new Answer.Want(List.of(memory), pieces, 0, null);
    }
    List<byte[]> bytes = new ArrayList<>();
    long at = 0;
    for (Map.Entry<RegisteredPiece, byte[]> entry : stored.pieces().entrySet()) {
      int tensor = tensors.indexOf(tensor(entry.getKey()));
      if (names.contains(tensor) && entry.getValue().length > 0) {
        pieces.add(
            new Answer.SavedPiece(
                tensor, entry.getKey().piece().slice(), entry.getValue().length, null, at));
        bytes.add(entry.getValue());
        at += entry.getValue().length;
      }
    }
    openWindow(bytes, Math.toIntExact(at));
    Answer.Window described =
        new Answer.Window(directory.window(client).toString(), 2 * CHUNK, CHUNK);
    return new Answer.Want(List.of(), pieces, at, described);
  }

  private void openWindow(List<byte[]> pieces, int total) {
    byte[] all = new byte[total];
    int at = 0;
    for (byte[] piece : pieces) {
      System.arraycopy(piece, 0, all, at, piece.length);
      at += piece.length;
    }
    List<byte[]> chunks = new ArrayList<>();
    for (int from = 0; from < total; from += CHUNK) {
      chunks.add(Arrays.copyOfRange(all, from, Math.min(total, from + CHUNK)));
    }
    stream = chunks;
    sent = 0;
    window = SharedFile.create(directory.window(client), 2 * CHUNK);
  }

  /// Two chunks at a time, in the window's other order, so that nobody relies on it.
  private Answer.Next next() {
    if (stream == null || window == null) {
      throw new KeepstoneException.Refused("no restore is open", "client", "open one");
    }
    List<Answer.Chunk> chunks = new ArrayList<>();
    for (int half = 1; half >= 0 && sent < stream.size(); half--) {
      byte[] bytes = stream.get(sent);
      MemorySegment.copy(
          bytes, 0, window.bytes(), ValueLayout.JAVA_BYTE, (long) half * CHUNK, bytes.length);
      chunks.add(new Answer.Chunk((long) sent * CHUNK, bytes.length, (long) half * CHUNK));
      sent++;
    }
    return new Answer.Next(chunks, endsEarly || sent == stream.size());
  }

  private Answer.Ok done() {
    if (window != null) {
      window.unlink();
      window.close();
      window = null;
    }
    return new Answer.Ok();
  }

  /// Whether the client that greeted last is alive.
  synchronized RecordLock.Holder holder() {
    return RecordLock.probe(directory.clientLock(client));
  }

  synchronized SegmentFile mapped() {
    return segment();
  }

  /// What was heard, verb by verb.
  String verbs() {
    return heard.stream().map(Request::verb).collect(Collectors.joining(" "));
  }

  /// Ends as a kill would: connections break, files stay.
  @Override
  public void close() {
    try {
      server.close();
      for (FrameChannel connection : connections) {
        connection.close();
      }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    synchronized (this) {
      if (segment != null) {
        segment.close();
      }
    }
  }
}
