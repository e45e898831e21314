package dev.keepstone.agent.place;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Pattern;

/// What the end of this agent is tied to. Where that is less than the node, a client waits at its
/// end until its last save is durable.
public enum Outlives {
  /// The container: its end takes every process and, mostly, `/dev/shm` along.
  PROCESS("process"),
  /// The job step of a batch system, which kills what its processes leave behind.
  JOB_STEP("job-step"),
  /// The node: a session of its own is enough.
  NODE("node");

  private static final Pattern STEP = Pattern.compile("/slurm[^\n]*/job_\\d+");
  private static final Pattern CONTAINER =
      Pattern.compile("/(docker|kubepods|containerd|libpod|lxc|machine\\.slice)[-/.]");

  private final String word;

  Outlives(String word) {
    this.word = word;
  }

  /// The word in answers and in `agent.json`.
  public String word() {
    return word;
  }

  /// Judges from what this process can read of itself.
  public static Outlives here(Map<String, String> environment) {
    boolean marker =
        Files.exists(Path.of("/.dockerenv"))
            || Files.exists(Path.of("/run/.containerenv"))
            || environment.containsKey("KUBERNETES_SERVICE_HOST")
            || environment.containsKey("container");
    return judge(read(Path.of("/proc/self/cgroup")), marker);
  }

  /// A job step is looked for first: where a step runs a container, the step ends no later.
  static Outlives judge(String cgroups, boolean containerMarker) {
    if (STEP.matcher(cgroups).find()) {
      return JOB_STEP;
    }
    return containerMarker || CONTAINER.matcher(cgroups).find() ? PROCESS : NODE;
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return "";
    }
  }
}
