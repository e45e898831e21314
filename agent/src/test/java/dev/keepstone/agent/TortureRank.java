package dev.keepstone.agent;

import dev.keepstone.client.Client;
import dev.keepstone.client.ClientEnvironment;
import dev.keepstone.client.Keep;
import dev.keepstone.client.Launch;
import dev.keepstone.client.Registration;
import dev.keepstone.client.Saved;
import dev.keepstone.client.Source;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.wire.Answer;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// One rank of a launch, to be killed and stopped. It does what the lines on its standard input
/// say, and tells of each in one line:
///
/// ```
/// launch <directory> <store> <token> <rank> <world> <local>   parent <id or none>
/// save <step>                                                 sealed <step>, or skipped <step>
/// halt <step>                                                 sealed <step>, and ends at once
/// await <step>                                                ended <step> <how>
/// anything that must not be                                   wrong <what>
/// ```
final class TortureRank {
  static final Duration STAGING = Duration.ofSeconds(15);
  static final Duration COMMIT = Duration.ofSeconds(10);
  static final Duration PATIENCE = Duration.ofSeconds(30);

  /// Elements of eight bytes that each rank has of the tensor that is spread over all.
  static final long SPREAD = 20_000;

  private final Map<String, MemorySegment> memory = new LinkedHashMap<>();
  private final Map<String, Long> first = new LinkedHashMap<>();
  private final Map<Long, Saved> saved = new LinkedHashMap<>();
  private @Nullable Client client;

  public static void main(String[] arguments) throws IOException {
    TortureRank rank = new TortureRank();
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        rank.obey(line.split(" "));
      }
    } catch (RuntimeException | Error e) {
      e.printStackTrace();
      say("wrong " + e);
    }
  }

  private void obey(String[] words) {
    switch (words[0]) {
      case "launch" -> launch(words);
      case "save" -> say(save(Long.parseLong(words[1])));
      case "halt" -> {
        say(save(Long.parseLong(words[1])));
        Runtime.getRuntime().halt(0);
      }
      case "await" -> say("ended " + words[1] + " " + ended(Long.parseLong(words[1])));
      default -> throw new IllegalArgumentException(words[0]);
    }
  }

  private void launch(String[] words) {
    leave();
    ClientEnvironment environment =
        new ClientEnvironment(
            new AgentDirectory(Path.of(words[1])),
            TortureTrainer::awaitAgent,
            new SecureRandom(),
            new ClientEnvironment.Clocks(Nodes.CLOCK, Nodes.CLOCK::nanos),
            new ClientEnvironment.Patience(STAGING, PATIENCE, PATIENCE));
    int rank = Integer.parseInt(words[4]);
    int world = Integer.parseInt(words[5]);
    Launch launch =
        new Launch(
            Path.of(words[2]),
            "run",
            words[3],
            rank,
            world,
            "latest",
            Keep.last(3),
            "node",
            Integer.parseInt(words[6]),
            COMMIT);
    Client fresh = persistent(() -> Client.connect(environment, "torture"));
    client = fresh;
    Answer.Start started = persistent(() -> fresh.start(launch));
    persistent(() -> fresh.register(registration(rank, world)));
    say("parent " + (started.parent() == null ? "none" : started.parent()));
  }

  /// The launch before is over.
  private void leave() {
    saved.clear();
    memory.clear();
    first.clear();
    if (client != null) {
      try {
        client.close();
      } catch (KeepstoneException e) {
        System.err.println("left: " + e.what());
      }
      client = null;
    }
  }

  private Client joined() {
    if (client == null) {
      throw new IllegalStateException("not launched");
    }
    return client;
  }

  private Registration registration(int rank, int world) {
    List<Source> sources = new ArrayList<>();
    Tensor spread = tensor("spread", SPREAD * world);
    Slice part = new Slice(List.of(SPREAD * rank), new Shape(List.of(SPREAD)));
    sources.add(source("model", new Piece(spread, part), SPREAD * rank));
    sources.add(source("optimizer", Piece.whole(tensor("own" + rank, 1001)), 0));
    // What never changes, in shards of its own after a while.
    sources.add(source("model", Piece.whole(tensor("still", 5003 + rank)), 0));
    sources.removeIf(source -> rank > 0 && source.piece().tensor().name().equals("still"));
    Json.Obj none = Json.object().build();
    return new Registration(
        sources,
        TortureState.tree(Json.object().put("~", "hole").put("v", 0).build()),
        none,
        Json.object().put("client", "torture").build(),
        Registration.Space.DEFAULT);
  }

  private static Tensor tensor(String name, long elements) {
    return new Tensor(name, Dtype.I64, new Shape(List.of(elements)));
  }

  private Source source(String component, Piece piece, long from) {
    String name = piece.tensor().name();
    MemorySegment bytes = Arena.ofAuto().allocate(piece.byteLength(), 8);
    memory.put(name, bytes);
    first.put(name, from);
    return new Source(component, piece, () -> bytes);
  }

  private void set(long step) {
    memory.forEach((name, bytes) -> {
      long from = first.getOrDefault(name, 0L);
      for (long i = 0; i < bytes.byteSize() / 8; i++) {
        bytes.setAtIndex(ValueLayout.JAVA_LONG, i, TortureState.expected(name, step, from + i));
      }
    });
  }

  private String save(long step) {
    set(step);
    String said;
    try {
      saved.put(
          step,
          persistent(() ->
              joined().save(step, List.of(TortureState.tokens(step)), Map.of("loss", 1.0 / step))));
      said = "sealed " + step;
    } catch (KeepstoneException.Busy e) {
      persistent(() -> {
        joined().refuse(step, "skipped", e.what());
        return true;
      });
      said = "skipped " + step + " " + e.what();
    }
    // What is captured is captured.
    set(-step);
    return said;
  }

  private String ended(long step) {
    Saved of = saved.get(step);
    if (of == null) {
      return "never";
    }
    try {
      persistent(() -> joined().awaitDurable(of, PATIENCE));
      return "committed";
    } catch (KeepstoneException.Busy e) {
      return "hangs " + e.what();
    } catch (KeepstoneException e) {
      return "otherwise " + e.what();
    }
  }

  /// Again and again while agents die under it.
  private static <T> T persistent(Supplier<T> attempt) {
    while (true) {
      try {
        return attempt.get();
      } catch (KeepstoneException.AgentUnavailable e) {
        System.err.println("again: " + e.what());
      }
    }
  }

  private static void say(String line) {
    System.out.println(line);
    System.out.flush();
  }
}
