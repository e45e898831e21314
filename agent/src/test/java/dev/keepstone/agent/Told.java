package dev.keepstone.agent;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/// The lines that a process says, kept as they come.
final class Told {
  private final Process process;
  private final List<String> lines = new ArrayList<>();
  private final Thread reader;

  Told(Process process) {
    this.process = process;
    this.reader = Thread.ofVirtual().start(this::read);
  }

  private void read() {
    try (BufferedReader said = process.inputReader(StandardCharsets.UTF_8)) {
      for (String line = said.readLine(); line != null; line = said.readLine()) {
        synchronized (lines) {
          lines.add(line);
        }
      }
    } catch (IOException e) {
      // The process was killed in the middle of a line.
    }
  }

  Process process() {
    return process;
  }

  /// What it has said so far.
  List<String> lines() {
    synchronized (lines) {
      return List.copyOf(lines);
    }
  }

  /// Kills it; afterwards [#lines] has all that it ever said.
  void kill() throws InterruptedException {
    Processes.kill(process);
    reader.join();
  }
}
