package dev.keepstone.client;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.wire.Answer;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.List;
import java.util.Map;

/// A trainer that saves once, says so, and waits to be killed.
public final class KilledTrainer {
  private KilledTrainer() {}

  static MemorySegment state(Arena arena) {
    return arena.allocate(20).fill((byte) 42);
  }

  public static void main(String[] arguments) throws IOException {
    ClientEnvironment environment =
        new ClientEnvironment(
            new AgentDirectory(Path.of(arguments[0])),
            AgentStarter.none(),
            new SecureRandom(),
            new ClientEnvironment.Clocks(Clock.systemUTC(), System::nanoTime),
            ClientEnvironment.Patience.DEFAULT);
    Client client = Client.connect(environment, "killed 1");
    Answer.Start _ = client.start(Launch.single(Path.of("/store"), "run", "token"));
    Source weight =
        Source.of("model", new Tensor("w", Dtype.U8, Shape.of(20)), state(Arena.global()));
    Json.Obj none = Json.object().build();
    Answer.Register _ =
        client.register(
            new Registration(List.of(weight), none, none, none, Registration.Space.DEFAULT));
    Saved _ = client.save(7, List.of(), Map.of());
    System.out.println("sealed");
    int _ = System.in.read();
  }

  /// Starts one and waits until it has sealed.
  static Process start(Path directory) throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                KilledTrainer.class.getName(),
                directory.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    int first = process.getInputStream().read();
    if (first != 's') {
      throw new IOException("the trainer said " + first);
    }
    return process;
  }
}
