package dev.keepstone.cli;

import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/// Standard output or error as it should behave: UTF-8 whatever the locale; silent for good once
/// the reader has gone (`keepstone ls | head`); a full disk behind it is remembered.
final class Standard extends OutputStream {
  private final FileOutputStream file;
  private boolean gone;
  private boolean failed;

  Standard(FileDescriptor descriptor) {
    file = new FileOutputStream(descriptor);
  }

  PrintStream stream() {
    return new PrintStream(new BufferedOutputStream(this, 1 << 16), true, StandardCharsets.UTF_8);
  }

  /// Whether something could not be written although somebody was there to read.
  boolean failed() {
    return failed;
  }

  @Override
  public void write(int b) {
    write(new byte[] {(byte) b}, 0, 1);
  }

  @Override
  public void write(byte[] bytes, int offset, int length) {
    if (gone || failed) {
      return;
    }
    try {
      file.write(bytes, offset, length);
    } catch (IOException e) {
      // The JDK has no type for EPIPE, and the system's word for it is not translated.
      gone = "Broken pipe".equals(e.getMessage());
      failed = !gone;
    }
  }
}
