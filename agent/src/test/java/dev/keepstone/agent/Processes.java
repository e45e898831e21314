package dev.keepstone.agent;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.segment.place.AgentDirectory;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;

/// Agents and trainers as processes of their own, to be killed.
final class Processes implements AutoCloseable {
  private final AgentDirectory directory;
  private final List<Process> started = new CopyOnWriteArrayList<>();

  Processes(AgentDirectory directory) {
    this.directory = directory;
  }

  /// Starts an agent and returns when its socket is there.
  Process agent(String... options) throws IOException, InterruptedException {
    return agentUnder("", options);
  }

  /// As [#agent], by a caller with this umask, as in `027`; empty for that of this process.
  Process agentUnder(String umask, String... options) throws IOException, InterruptedException {
    Files.deleteIfExists(directory.socket());
    List<String> arguments =
        new ArrayList<>(
            List.of("--foreground", "--budget", "64MiB", "--dir", directory.path().toString()));
    arguments.addAll(List.of(options));
    Process process = start(umask, AgentMain.class, arguments);
    while (!Files.exists(directory.socket())) {
      if (process.waitFor(10, TimeUnit.MILLISECONDS)) {
        throw new IOException("the agent ended with " + process.exitValue());
      }
    }
    return process;
  }

  Process java(Class<?> main, List<String> arguments) throws IOException {
    return start("", main, arguments);
  }

  /// A process that listens to its standard input.
  Process piped(Class<?> main) throws IOException {
    return start("", main, List.of(), ProcessBuilder.Redirect.PIPE);
  }

  private Process start(String umask, Class<?> main, List<String> arguments) throws IOException {
    return start(umask, main, arguments, ProcessBuilder.Redirect.from(new File("/dev/null")));
  }

  private Process start(
      String umask, Class<?> main, List<String> arguments, ProcessBuilder.Redirect input)
      throws IOException {
    List<String> command = new ArrayList<>();
    if (!umask.isEmpty()) {
      command.addAll(List.of("/bin/sh", "-c", "umask " + umask + "; exec \"$0\" \"$@\""));
    }
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(AgentJvm.OPTIONS);
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(main.getName());
    command.addAll(arguments);
    Process process =
        new ProcessBuilder(command)
            .redirectInput(input)
            // In the foreground an agent tells its whole log.
            .redirectError(ProcessBuilder.Redirect.appendTo(new File("target/processes.log")))
            .start();
    started.add(process);
    return process;
  }

  /// SIGKILL, and nothing of the process is left when this returns.
  static void kill(Process process) throws InterruptedException {
    process.destroyForcibly();
    process.waitFor();
  }

  /// Waits until the agent told that many events of a kind, in all its lives.
  void awaitEvents(String kind, int count) throws IOException, InterruptedException {
    Path file = directory.events();
    while (true) {
      int found = 0;
      for (String line : Files.exists(file) ? Files.readAllLines(file) : List.<String>of()) {
        Json.Obj event = JsonReader.readObject(line.getBytes(StandardCharsets.UTF_8));
        found += event.text("event").equals(kind) ? 1 : 0;
      }
      if (found >= count) {
        return;
      }
      if (started.getLast().waitFor(5, TimeUnit.MILLISECONDS)) {
        throw new IOException("the agent ended with " + started.getLast().exitValue());
      }
    }
  }

  @Override
  public void close() throws InterruptedException {
    for (Process process : started) {
      kill(process);
    }
  }
}
