package dev.keepstone.agent.place;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/// Tells whoever supervises this process how it is, as `sd_notify` does: one datagram to the socket
/// that `NOTIFY_SOCKET` names. The JDK has no datagrams on Unix sockets.
public final class Notify {
  private static final int AF_UNIX = 1;
  private static final int SOCK_DGRAM_CLOEXEC = 0x80002;
  private static final int PATH_BYTES = 108;

  private final String socket;

  private Notify(String socket) {
    this.socket = socket;
  }

  /// To the socket that the environment names; to nobody where it names none.
  public static Notify of(Map<String, String> environment) {
    return new Notify(environment.getOrDefault("NOTIFY_SOCKET", ""));
  }

  /// Sends lines such as `READY=1`.
  ///
  /// @return whether somebody was told; false also where nobody wants to be
  public boolean tell(String... lines) {
    byte[] path = socket.getBytes(StandardCharsets.UTF_8);
    if (path.length == 0 || path.length >= PATH_BYTES) {
      return false;
    }
    if (path[0] == '@') {
      // An abstract name, which is no file.
      path[0] = 0;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = arena.allocate(2 + PATH_BYTES, 8);
      address.set(JAVA_SHORT, 0, (short) AF_UNIX);
      MemorySegment.copy(path, 0, address, JAVA_BYTE, 2, path.length);
      byte[] text = String.join("\n", lines).getBytes(StandardCharsets.UTF_8);
      MemorySegment message = arena.allocateFrom(JAVA_BYTE, text);
      // A file's name ends with a zero byte, an abstract one with its length.
      int length = 2 + path.length + (path[0] == 0 ? 0 : 1);
      return send(message, address, length);
    } catch (Throwable e) {
      throw new IllegalStateException("sd_notify", e);
    }
  }

  private static boolean send(MemorySegment message, MemorySegment address, int length)
      throws Throwable {
    MethodHandle open =
        call("socket", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
    MethodHandle send =
        call(
            "sendto",
            FunctionDescriptor.of(
                JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT));
    MethodHandle close = call("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    int descriptor = (int) open.invokeExact(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
    if (descriptor < 0) {
      return false;
    }
    long sent =
        (long) send.invokeExact(descriptor, message, message.byteSize(), 0, address, length);
    int _ = (int) close.invokeExact(descriptor);
    return sent == message.byteSize();
  }

  @SuppressWarnings("restricted")
  private static MethodHandle call(String name, FunctionDescriptor types) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), types);
  }
}
