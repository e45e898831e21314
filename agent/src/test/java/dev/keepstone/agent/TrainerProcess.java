package dev.keepstone.agent;

import dev.keepstone.segment.place.AgentDirectory;
import java.io.IOException;
import java.nio.file.Path;

/// A trainer to be killed: `<agent directory> <store> <announced steps> <client>`. It saves steps 1
/// to that number, seals one more without telling the agent, says so on standard output, and waits
/// for its end.
final class TrainerProcess {
  private TrainerProcess() {}

  public static void main(String[] arguments) throws IOException, InterruptedException {
    AgentDirectory directory = new AgentDirectory(Path.of(arguments[0]));
    RawTrainer trainer = new RawTrainer(directory, arguments[3]).greet();
    trainer.start(Path.of(arguments[1]), arguments[3], 100);
    trainer.register(KillTest.LAYOUT, null);
    int announced = Integer.parseInt(arguments[2]);
    for (int step = 1; step <= announced; step++) {
      trainer.save(step);
    }
    trainer.seal(announced + 1);
    System.out.write('\n');
    System.out.flush();
    Thread.currentThread().join();
  }
}
