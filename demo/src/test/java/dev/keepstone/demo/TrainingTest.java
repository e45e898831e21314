package dev.keepstone.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.client.Source;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

final class TrainingTest {
  private static final Transformer.Form SMALL = new Transformer.Form(16, 2, 2, 8, 0.2);
  private static final byte[] TEXT =
      "The trainer waits for a memory copy and nothing else. "
          .repeat(3)
          .getBytes(StandardCharsets.UTF_8);

  @BeforeAll
  static void oneThread() {
    Torch.begin();
  }

  @Test
  void oneSeedGivesTheSameLossesBitForBit() {
    int[] first = losses(training(1), 12);
    assertThat(losses(training(1), 12)).isEqualTo(first);
    assertThat(losses(training(2), 12)).isNotEqualTo(first);
  }

  @Test
  void itLearns() {
    var training = training(3);
    float before = training.step();
    losses(training, 150);
    assertThat(training.step()).isLessThan(before - 1);
  }

  @Test
  void anotherTrainerContinuesFromTheBytesAndTheProgressBitForBit() {
    var first = training(4);
    losses(first, 7);
    List<byte[]> bytes = bytes(first);
    Training.Progress progress = first.progress();
    int[] expected = losses(first, 12);

    var second = training(5);
    losses(second, 2);
    fill(second, bytes);
    second.progress(progress);
    assertThat(losses(second, 12)).isEqualTo(expected);
    assertThat(second.steps()).isEqualTo(19);
  }

  @Test
  void everyPartOfTheProgressMovesWithEveryStep() {
    var training = training(6);
    losses(training, 3);
    Training.Progress taken = training.progress();
    losses(training, 2);
    Training.Progress later = training.progress();
    assertThat(later.step()).isEqualTo(taken.step() + 2);
    assertThat(later.position()).isNotEqualTo(taken.position());
    assertThat(later.generator()).hasSize(5056).isNotEqualTo(taken.generator());
  }

  @Test
  void anEpochVisitsEveryWindowOnceAndTheNextInAnotherOrder() {
    var corpus = new Corpus(TEXT, 8, 4, 7);
    int batches = (TEXT.length - 1) / 8 / 4;
    for (int i = 0; i < batches; i++) {
      assertThat(corpus.position()).isEqualTo(new Corpus.Position(7, 0, 4 * i));
      corpus.next();
    }
    corpus.next();
    assertThat(corpus.position()).isEqualTo(new Corpus.Position(7, 1, 4));
  }

  @Test
  void aTextOfLessThanOneBatchIsRefused() {
    assertThatThrownBy(() -> new Corpus(new byte[32], 8, 4, 7))
        .hasMessage("the text has 32 bytes; at least 33 needed");
  }

  private static Training training(long seed) {
    return new Training(
        SMALL, new AdamW.Rates(1e-2, 0.9, 0.99, 1e-8, 0.01), new Corpus(TEXT, 8, 4, seed), seed);
  }

  private static int[] losses(Training training, int steps) {
    return IntStream.range(0, steps).map(i -> Float.floatToRawIntBits(training.step())).toArray();
  }

  private static List<byte[]> bytes(Training training) {
    return TrainingState.sources(training).stream()
        .map(source -> source.bytes().get().toArray(ValueLayout.JAVA_BYTE))
        .toList();
  }

  private static void fill(Training training, List<byte[]> bytes) {
    List<Source> sources = TrainingState.sources(training);
    for (int i = 0; i < sources.size(); i++) {
      sources.get(i).bytes().get().copyFrom(MemorySegment.ofArray(bytes.get(i)));
    }
  }
}
