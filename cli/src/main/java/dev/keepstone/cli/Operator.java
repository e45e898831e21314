package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.store.deletion.Author;
import dev.keepstone.store.run.Run;
import java.util.Map;

/// The person at the command, as tombs and the journal name them.
final class Operator {
  private Operator() {}

  static Author of(Run run, Console console, String nonce) {
    Host host = console.shell().host();
    Map<String, String> environment = console.shell().environment();
    String user = environment.getOrDefault("USER", environment.getOrDefault("LOGNAME", "somebody"));
    return Author.of(run, host.clock(), nonce, user);
  }
}
