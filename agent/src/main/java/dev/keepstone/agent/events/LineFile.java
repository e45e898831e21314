package dev.keepstone.agent.events;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/// A file of lines that turns over at [#MAX_BYTES]: `<name>.<ending>` is written,
/// `<name>.1.<ending>` is what came before.
///
/// Losing a line is better than losing a checkpoint: a file that cannot be written (a full
/// `/dev/shm`) is tried again with the next line and never fails the caller.
final class LineFile implements AutoCloseable {
  static final long MAX_BYTES = 16L << 20;

  private final Path file;
  private final Path before;
  private @Nullable FileChannel channel;
  private boolean closed;

  LineFile(Path directory, String name, String ending) {
    this.file = directory.resolve(name + ending);
    this.before = directory.resolve(name + ".1" + ending);
  }

  void append(String line) {
    if (closed) {
      return;
    }
    ByteBuffer bytes = ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8));
    try {
      FileChannel open = open();
      if (open.size() + bytes.remaining() > MAX_BYTES && open.size() > 0) {
        open.close();
        channel = null;
        Files.move(file, before, StandardCopyOption.REPLACE_EXISTING);
        open = open();
      }
      while (bytes.hasRemaining()) {
        open.write(bytes);
      }
    } catch (IOException e) {
      drop();
    }
  }

  private FileChannel open() throws IOException {
    FileChannel open = channel;
    if (open == null) {
      open = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
      channel = open;
    }
    return open;
  }

  private void drop() {
    FileChannel open = channel;
    channel = null;
    if (open != null) {
      try {
        open.close();
      } catch (IOException e) {
        // Nothing was promised about this file.
      }
    }
  }

  @Override
  public void close() {
    closed = true;
    drop();
  }
}
