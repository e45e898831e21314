package dev.keepstone.demo;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;

/// The text to learn, cut into windows of bytes and visited in a new order every epoch.
///
/// The order of an epoch is a function of seed and epoch, so the position that a checkpoint must
/// keep is three numbers.
final class Corpus {
  /// Where the next batch begins.
  record Position(long seed, long epoch, int next) {}

  /// I64 `[batch, window]` each: the bytes seen and the bytes that follow them.
  record Batch(Tensor inputs, Tensor targets) {}

  private final byte[] text;
  private final int window;
  private final int batch;
  private Position position;
  private int[] order;

  /// @throws IllegalArgumentException where the text is too short for one batch
  Corpus(byte[] text, int window, int batch, long seed) {
    this.text = text;
    this.window = window;
    this.batch = batch;
    if (windows() < batch) {
      throw new IllegalArgumentException(
          "the text has " + text.length + " bytes; at least " + (batch * window + 1) + " needed");
    }
    position = new Position(seed, 0, 0);
    order = order(position);
  }

  /// All Markdown under the places given (files or folders), in the order of their names.
  static byte[] read(List<Path> places) throws IOException {
    var all = new ByteArrayOutputStream();
    for (Path place : places) {
      List<Path> files;
      try (Stream<Path> walk = Files.walk(place)) {
        files =
            walk.filter(file -> file.toString().endsWith(".md") && Files.isRegularFile(file))
                .sorted()
                .toList();
      }
      for (Path file : files) {
        all.write(Files.readAllBytes(file));
      }
    }
    return all.toByteArray();
  }

  int bytes() {
    return text.length;
  }

  Position position() {
    return position;
  }

  /// Continues at a position taken earlier, of the same text, window and batch.
  void position(Position taken) {
    position = taken;
    order = order(taken);
  }

  /// The next batch. The rest of an epoch that does not fill one is left out.
  Batch next() {
    if (position.next() + batch > windows()) {
      position(new Position(position.seed(), position.epoch() + 1, 0));
    }
    var inputs = new long[batch * window];
    var targets = new long[batch * window];
    for (int row = 0; row < batch; row++) {
      int begin = order[position.next() + row] * window;
      for (int i = 0; i < window; i++) {
        inputs[row * window + i] = Byte.toUnsignedLong(text[begin + i]);
        targets[row * window + i] = Byte.toUnsignedLong(text[begin + i + 1]);
      }
    }
    position = new Position(position.seed(), position.epoch(), position.next() + batch);
    return new Batch(Tensor.create(inputs, batch, window), Tensor.create(targets, batch, window));
  }

  private int windows() {
    return (text.length - 1) / window;
  }

  /// Fisher and Yates' shuffle of all windows.
  private int[] order(Position of) {
    var random = new SplittableRandom(of.seed() * 1_000_003 + of.epoch());
    var shuffled = new int[windows()];
    for (int i = 0; i < shuffled.length; i++) {
      int other = random.nextInt(i + 1);
      shuffled[i] = shuffled[other];
      shuffled[other] = i;
    }
    return shuffled;
  }
}
