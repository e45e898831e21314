package dev.keepstone.demo;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/// A training run in one process: model, optimizer, data, and the count of steps. It knows nothing
/// of checkpoints; the tensors of [#transformer()] and [#adam()] and [#progress()] are all that one
/// needs to continue.
final class Training {
  /// What is not a tensor and changes with every step.
  record Progress(long step, Corpus.Position position, byte[] generator) {}

  private final Transformer transformer;
  private final AdamW adam;
  private final Corpus corpus;
  private long step;

  /// Seeds libtorch's generator: one training at a time.
  Training(Transformer.Form form, AdamW.Rates rates, Corpus corpus, long seed) {
    Torch.seed(seed);
    this.transformer = new Transformer(form);
    this.adam = new AdamW(rates, transformer.parameters());
    this.corpus = corpus;
  }

  /// One step of training: forward, backward, update.
  ///
  /// @return the loss before the update, in nats per byte
  float step() {
    try (var _ = new PointerScope()) {
      Corpus.Batch batch = corpus.next();
      Tensor loss = transformer.loss(batch.inputs(), batch.targets());
      loss.backward();
      adam.step();
      step++;
      return loss.item_float();
    }
  }

  /// Completed steps.
  long steps() {
    return step;
  }

  Transformer transformer() {
    return transformer;
  }

  AdamW adam() {
    return adam;
  }

  Progress progress() {
    return new Progress(step, corpus.position(), Torch.generator());
  }

  /// Continues from there; the tensors have been filled in place before or are filled after.
  void progress(Progress taken) {
    step = taken.step();
    adam.steps(taken.step());
    corpus.position(taken.position());
    Torch.generator(taken.generator());
  }
}
