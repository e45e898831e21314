package dev.keepstone.agent;

import java.util.List;

/// How the virtual machine of an agent is started. Measured: docs/architecture.md, "The agent's
/// memory".
public final class AgentJvm {
  /// Options, before the class path.
  public static final List<String> OPTIONS =
      List.of(
          // Small by far, and still room for the layouts of a hundred thousand tensors and the JSON
          // of their parts; Heap sees to it that it shrinks again.
          "-Xms8m",
          "-Xmn4m",
          "-Xmx1g",
          "-XX:+UseSerialGC",
          "-XX:MinHeapFreeRatio=10",
          "-XX:MaxHeapFreeRatio=20",
          "-XX:-ShrinkHeapInSteps",
          // The compiler's peaks stay in the C heap unless they are given back.
          "-XX:TrimNativeHeapInterval=1000",
          "-Xss512k",
          "-XX:MaxMetaspaceSize=64m",
          "-XX:ReservedCodeCacheSize=32m",
          // A connection that once read a layout of 20 MB would keep a buffer of that size.
          "-Djdk.nio.maxCachedBufferSize=262144",
          "-XX:+ExitOnOutOfMemoryError",
          "-Dfile.encoding=UTF-8",
          "--enable-native-access=ALL-UNNAMED");

  private AgentJvm() {}
}
