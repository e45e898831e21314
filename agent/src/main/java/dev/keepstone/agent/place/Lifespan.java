package dev.keepstone.agent.place;

import dev.keepstone.segment.place.Outlives;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Pattern;

/// What the end of this process is tied to. Where that is less than the node, a client waits at its
/// end until its last save is durable.
public final class Lifespan {
  private static final Pattern STEP = Pattern.compile("/slurm[^\n]*/job_\\d+");
  private static final Pattern CONTAINER =
      Pattern.compile("/(docker|kubepods|containerd|libpod|lxc|machine\\.slice)[-/.]");

  private Lifespan() {}

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
      return Outlives.JOB_STEP;
    }
    return containerMarker || CONTAINER.matcher(cgroups).find() ? Outlives.PROCESS : Outlives.NODE;
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return "";
    }
  }
}
