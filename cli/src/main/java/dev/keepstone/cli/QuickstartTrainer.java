package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.segment.place.AgentDirectory;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;

/// One trainer as a process of its own. Closing it kills it where it still runs.
final class QuickstartTrainer implements AutoCloseable {
  /// The trainer's Java side holds little; what trains lies outside the heap. Start-up counts more
  /// than peak speed, and JavaCPP's use of `sun.misc.Unsafe` would be warned of at each start.
  private static final List<String> JVM =
      List.of(
          "-Xmx128m",
          "-XX:+UseSerialGC",
          "-XX:TieredStopAtLevel=1",
          "-Dfile.encoding=UTF-8",
          "--enable-native-access=ALL-UNNAMED",
          "--sun-misc-unsafe-memory-access=allow");

  private final Process process;
  private final Path log;

  private QuickstartTrainer(Process process, Path log) {
    this.process = process;
    this.log = log;
  }

  /// Starts one; what it says and its end come as news.
  ///
  /// @param lib folder of the demo's jars
  /// @param options as `TrainerMain` of the demo takes them
  /// @param agent directory of the agent that it shall find; its `trainer.log` takes what the
  ///   trainer says on standard error
  static QuickstartTrainer start(
      Path lib, List<String> options, Path agent, BlockingQueue<QuickstartNews> news)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(JVM);
    command.addAll(List.of("-cp", lib.resolve("*").toString()));
    command.add("dev.keepstone.demo.TrainerMain");
    command.addAll(options);
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put(AgentDirectory.VARIABLE, agent.toString());
    Path log = agent.resolve("trainer.log");
    builder.redirectError(ProcessBuilder.Redirect.appendTo(log.toFile()));
    Process process = builder.start();
    process.getOutputStream().close();
    Thread reader = new Thread(() -> read(process, news), "trainer " + process.pid());
    reader.setDaemon(true);
    reader.start();
    return new QuickstartTrainer(process, log);
  }

  long pid() {
    return process.pid();
  }

  /// SIGKILL.
  void kill() {
    process.destroyForcibly();
  }

  /// Why a trainer that should have gone on ended.
  KeepstoneException.Failed failure(int code) {
    return new KeepstoneException.Failed(
        "the trainer ended with " + code + lastWords(),
        "pid " + pid(),
        "run it again with --debug and report what it prints",
        null);
  }

  private String lastWords() {
    try {
      List<String> lines = Files.readAllLines(log);
      return lines.isEmpty()
          ? " and said nothing"
          : ": "
              + String.join(
                  "\n          ", lines.subList(Math.max(0, lines.size() - 6), lines.size()));
    } catch (IOException _) {
      return "";
    }
  }

  private static void read(Process process, BlockingQueue<QuickstartNews> news) {
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        // A line that a SIGKILL cut short says nothing.
        try {
          news.add(
              new QuickstartNews.Said(
                  JsonReader.readObject(line.getBytes(StandardCharsets.UTF_8))));
        } catch (JsonException _) {
          continue;
        }
      }
    } catch (IOException _) {
      // The end of its output by other means; the process's end says the rest.
    }
    news.add(new QuickstartNews.TrainerEnded(process.onExit().join().exitValue()));
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
