package dev.keepstone.agent;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.segment.place.AgentDirectory;
import java.io.File;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The agent as somebody's child: a container's, systemd's.
class ForegroundTest {
  @TempDir Path folder;

  private Process start(AgentDirectory directory, Path log, String notify, String... options)
      throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(AgentJvm.OPTIONS);
    command.addAll(
        List.of("-cp", System.getProperty("java.class.path"), AgentMain.class.getName()));
    command.addAll(List.of("--foreground", "--budget", "64MiB"));
    command.addAll(List.of("--dir", directory.path().toString()));
    command.addAll(List.of(options));
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectInput(new File("/dev/null"))
            .redirectError(log.toFile());
    builder.environment().put("NOTIFY_SOCKET", notify);
    Process process = builder.start();
    while (!Files.exists(directory.socket())) {
      assertThat(process.waitFor(10, TimeUnit.MILLISECONDS)).isFalse();
    }
    return process;
  }

  private static RawTrainer sealed(AgentDirectory directory, Path store, long rate)
      throws Exception {
    RawTrainer trainer = new RawTrainer(directory, "00000000000000aa").greet();
    trainer.start(store, "token", 3);
    trainer.register(RawTrainer.floats("model", 1 << 20, "a"), rate);
    trainer.save(10);
    return trainer;
  }

  @Test
  void sigtermDrainsAndEndsWithZeroAndTheSupervisorIsToldOnTheWay() throws Exception {
    Path socket = folder.resolve("notify");
    try (Datagrams told = new Datagrams(socket);
        Nodes node = new Nodes(1)) {
      Path log = folder.resolve("log");
      Process agent = start(node.directory, log, socket.toString());
      assertThat(told.next()).startsWith("READY=1\n");
      RawTrainer trainer = sealed(node.directory, folder.resolve("store"), 8 << 20);
      agent.destroy();
      assertThat(told.next()).startsWith("STOPPING=1\nEXTEND_TIMEOUT_USEC=615000000\n");
      assertThat(agent.waitFor()).isZero();
      Stores.requireWhole(folder.resolve("store"), "1-10");
      assertThat(Files.readString(log)).contains(" started ", " committed ", " ended");
      trainer.close();
    }
  }

  @Test
  void whatIsNotDrainedInTimeIsToldAndDrainedByTheNextAgent() throws Exception {
    try (Nodes node = new Nodes(2)) {
      Path log = folder.resolve("log");
      Process agent = start(node.directory, log, "", "--stop-timeout", "200ms");
      // 4 MiB at 64 KiB a second.
      RawTrainer trainer = sealed(node.directory, folder.resolve("store"), 64 << 10);
      agent.destroy();
      assertThat(agent.waitFor()).isEqualTo(3);
      assertThat(Files.readString(log)).contains("leaves 1 sealed generations to the next agent");
      trainer.die();
      node.start();
      new EventTailAwait(node).committed();
      Stores.requireWhole(folder.resolve("store"), "1-10");
      trainer.close();
    }
  }

  /// Waits for a commit by what the agent's event file says.
  private record EventTailAwait(Nodes node) {
    void committed() throws Exception {
      EventTail tail = new EventTail(node.directory.events());
      while (tail.count("committed") == 0) {
        Thread.onSpinWait();
      }
    }
  }

  /// A Unix datagram socket, which the JDK does not have.
  private static final class Datagrams implements AutoCloseable {
    private static final Linker LINKER = Linker.nativeLinker();
    private final int descriptor;

    Datagrams(Path path) {
      try (Arena arena = Arena.ofConfined()) {
        descriptor = (int) call("socket", "iii", ValueLayout.JAVA_INT).invokeExact(1, 2, 0);
        byte[] name = path.toString().getBytes(UTF_8);
        MemorySegment address = arena.allocate(110, 8);
        address.set(ValueLayout.JAVA_SHORT, 0, (short) 1);
        MemorySegment.copy(name, 0, address, ValueLayout.JAVA_BYTE, 2, name.length);
        int bound =
            (int)
                call("bind", "ipi", ValueLayout.JAVA_INT)
                    .invokeExact(descriptor, address, 3 + name.length);
        assertThat(bound).isZero();
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }

    /// Waits for the next one.
    String next() {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment bytes = arena.allocate(4096);
        long length =
            (long)
                call("recv", "ipli", ValueLayout.JAVA_LONG)
                    .invokeExact(descriptor, bytes, 4096L, 0);
        return new String(bytes.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), UTF_8);
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }

    private static MethodHandle call(String name, String types, ValueLayout result) {
      ValueLayout[] layouts =
          types
              .chars()
              .mapToObj(type ->
                  switch (type) {
                    case 'i' -> ValueLayout.JAVA_INT;
                    case 'l' -> ValueLayout.JAVA_LONG;
                    default -> ValueLayout.ADDRESS;
                  })
              .toArray(ValueLayout[]::new);
      return LINKER.downcallHandle(
          LINKER.defaultLookup().findOrThrow(name), FunctionDescriptor.of(result, layouts));
    }

    @Override
    public void close() {
      try {
        int _ = (int) call("close", "i", ValueLayout.JAVA_INT).invokeExact(descriptor);
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
