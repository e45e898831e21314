package dev.keepstone.demo;

import dev.keepstone.client.AgentStarter;
import dev.keepstone.client.ClientEnvironment;
import dev.keepstone.client.Keep;
import dev.keepstone.client.Launch;
import dev.keepstone.client.Saved;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.place.AgentDirectory;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.HexFormat;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/// The trainer as a process: trains, saves every few steps, resumes where the newest checkpoint
/// ends. Options are those of [TrainerOptions]; what it says on standard output is told at [Lines].
final class TrainerMain {
  private static final int BATCH = 4;
  private static final int USAGE = 2;

  private final TrainerOptions options;
  private final Training training;
  private final int textBytes;
  private final Lines lines;

  private TrainerMain(TrainerOptions options, Lines lines) throws IOException {
    Torch.begin();
    Transformer.Form form = Transformer.Form.QUICKSTART;
    byte[] text = Corpus.read(options.text());
    var corpus = new Corpus(text, form.window(), BATCH, options.seed());
    this.options = options;
    this.training = new Training(form, AdamW.Rates.QUICKSTART, corpus, options.seed());
    this.textBytes = text.length;
    this.lines = lines;
  }

  public static void main(String[] args) throws IOException {
    var out =
        new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
    try {
      new TrainerMain(TrainerOptions.parse(args), new Lines(out)).run();
    } catch (IllegalArgumentException e) {
      System.err.println(e.getMessage() + "\n\n" + TrainerOptions.USAGE);
      System.exit(USAGE);
    } catch (KeepstoneException e) {
      System.err.println(e.getMessage());
      System.exit(1);
    }
  }

  private void run() throws IOException {
    Path store = options.store();
    if (store == null) {
      lines.tell(first());
      train(null);
      return;
    }
    RandomGenerator random = new SecureRandom();
    ClientEnvironment environment =
        new ClientEnvironment(
            AgentDirectory.of(System.getenv()),
            AgentStarter.none(),
            random,
            new ClientEnvironment.Clocks(Clock.systemUTC(), System::nanoTime),
            ClientEnvironment.Patience.DEFAULT);
    String token = HexFormat.of().toHexDigits(random.nextLong());
    Launch launch =
        new Launch(store, options.run(), token, 0, 1, "latest", Keep.last(options.keep()));
    try (Checkpoints checkpoints =
        Checkpoints.begin(environment, launch, training, "keepstone demo")) {
      Json.Builder first = first();
      checkpoints
          .restored()
          .ifPresent(restored ->
              first.put(
                  "restored",
                  Json.object()
                      .put("id", restored.id())
                      .put("step", restored.step())
                      .put("from", restored.from())
                      .put("ms", restored.millis())
                      .build()));
      lines.tell(first);
      train(checkpoints);
    }
  }

  private Json.Builder first() {
    return Json.object()
        .put("pid", ProcessHandle.current().pid())
        .put("parameters", training.transformer().elements())
        .put("text_bytes", textBytes);
  }

  /// Steps until the last, or until nobody listens.
  private void train(@Nullable Checkpoints checkpoints) throws IOException {
    Comparison comparison =
        options.compare() == null
            ? null
            : new Comparison(
                TrainingState.sources(training).stream().map(s -> s.bytes().get()).toList(),
                options.compare(),
                System::nanoTime);
    boolean heard = true;
    while (heard && training.steps() < options.steps()) {
      long step = training.steps() + 1;
      lines.tell(Json.object().put("begin", step));
      long begun = System.nanoTime();
      float loss = training.step();
      Json.Builder line = Lines.step(step, loss, (System.nanoTime() - begun) / 1e6);
      if (checkpoints != null && step % options.every() == 0) {
        Comparison.Times times = comparison == null ? null : comparison.measure();
        line.put("saved", saved(checkpoints.save(loss), times));
      }
      heard = lines.tell(line);
    }
  }

  private static Json.Obj saved(Saved saved, Comparison.@Nullable Times times) {
    Json.Builder told =
        Json.object()
            .put("id", saved.id())
            .put("bytes", saved.byteLength())
            .put("stall_ms", saved.stallNanos() / 1e6);
    if (times != null) {
      told.put("copy_ms", times.copyMillis()).put("write_ms", times.writeMillis());
    }
    return told.build();
  }
}
