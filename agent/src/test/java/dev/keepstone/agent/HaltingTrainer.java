package dev.keepstone.agent;

import dev.keepstone.segment.place.AgentDirectory;
import java.io.IOException;
import java.nio.file.Path;

/// A trainer that ends as `os._exit(0)` does, right after its save: nothing is closed, no hook
/// runs.
///
/// Arguments: the agent's directory, the store, `announced` or `sealed`.
final class HaltingTrainer {
  private HaltingTrainer() {}

  public static void main(String[] arguments) throws IOException {
    AgentDirectory directory = new AgentDirectory(Path.of(arguments[0]));
    RawTrainer trainer = new RawTrainer(directory, "00000000000000aa").greet();
    trainer.start(Path.of(arguments[1]), "token", 3);
    trainer.register(KillTest.LAYOUT, null);
    if (arguments[2].equals("announced")) {
      trainer.save(7);
    } else {
      trainer.seal(7);
    }
    Runtime.getRuntime().halt(0);
  }
}
