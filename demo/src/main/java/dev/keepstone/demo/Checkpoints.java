package dev.keepstone.demo;

import dev.keepstone.client.Client;
import dev.keepstone.client.ClientEnvironment;
import dev.keepstone.client.Launch;
import dev.keepstone.client.Registration;
import dev.keepstone.client.Restore;
import dev.keepstone.client.Saved;
import dev.keepstone.client.Source;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Answer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongSupplier;

/// A training's checkpoints: resumes it where the newest ends, then saves it. All that a trainer on
/// the JVM needs of Keepstone is in this file.
final class Checkpoints implements AutoCloseable {
  /// What was restored.
  ///
  /// @param from `memory` or `store`
  /// @param millis from the question to the last byte in place
  record Restored(String id, long step, String from, double millis) {}

  private final Client client;
  private final Training training;
  private final Optional<Restored> restored;

  private Checkpoints(Client client, Training training, Optional<Restored> restored) {
    this.client = client;
    this.training = training;
    this.restored = restored;
  }

  /// Announces the launch, fills the training in place from the newest checkpoint of the run where
  /// there is one, and registers its state.
  static Checkpoints begin(
      ClientEnvironment environment, Launch launch, Training training, String version) {
    Client client = Client.connect(environment, version);
    boolean done = false;
    try {
      Answer.Start _ = client.start(launch);
      List<Source> sources = TrainingState.sources(training);
      LongSupplier nanos = environment.clocks().nanos();
      long asked = nanos.getAsLong();
      List<Restored> taken = new ArrayList<>();
      client.resume(restore -> {
        fill(restore, training, sources);
        String from = restore.fromMemory() ? "memory" : "store";
        double millis = (nanos.getAsLong() - asked) / 1e6;
        taken.add(new Restored(restore.id(), restore.step(), from, millis));
      });
      Optional<Restored> restored = taken.stream().findFirst();
      Json.Obj provenance =
          Json.object().put("client", version).put("framework", Torch.version()).build();
      Answer.Register _ =
          client.register(
              new Registration(
                  sources,
                  TrainingState.tree(training),
                  Json.object().build(),
                  provenance,
                  Registration.Space.DEFAULT));
      done = true;
      return new Checkpoints(client, training, restored);
    } finally {
      if (!done) {
        client.close();
      }
    }
  }

  private static void fill(Restore restore, Training training, List<Source> sources) {
    Map<String, Source> wanted = TrainingState.named(sources);
    Set<String> missing = new HashSet<>(wanted.keySet());
    restore.into(saved -> {
      String key = TrainingState.key(saved.component(), saved.tensor().name());
      missing.remove(key);
      Source source = wanted.get(key);
      return source == null
          ? List.of()
          : List.of(Restore.Target.whole(saved.tensor(), source.bytes().get()));
    });
    if (!missing.isEmpty()) {
      throw new KeepstoneException.Refused(
          "the checkpoint lacks " + missing.size() + " tensors, as " + missing.iterator().next(),
          "checkpoint " + restore.id(),
          "give the run another name");
    }
    training.progress(TrainingState.progress((Json.Obj) restore.state()));
  }

  /// Empty for a fresh start.
  Optional<Restored> restored() {
    return restored;
  }

  /// Captures the training as it is now; returns when every byte is copied.
  Saved save(float loss) {
    return client.save(
        training.steps(), TrainingState.values(training.progress()), Map.of("loss", (double) loss));
  }

  /// Waits until the last save is durable.
  @Override
  public void close() {
    client.close();
  }
}
