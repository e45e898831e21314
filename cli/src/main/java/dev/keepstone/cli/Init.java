package dev.keepstone.cli;

import dev.keepstone.Store;
import dev.keepstone.core.json.Json;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.Set;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// `keepstone init`: makes a folder a store. The first save would do it too.
@Command(
    name = "init",
    header = "Make a folder a store; one that is a store already stays as it is.",
    footer = {"", "Examples:", "  keepstone init ckpts", "  keepstone init /mnt/nfs/ckpts --json"})
final class Init implements Verb {
  @Parameters(paramLabel = "STORE", description = "The folder; made where it is missing.")
  Path store = Path.of(".");

  @Override
  public Set<ExitCode> codes() {
    return EnumSet.of(
        ExitCode.DONE,
        ExitCode.FAILED,
        ExitCode.USAGE,
        ExitCode.DENIED,
        ExitCode.INTEGRITY,
        ExitCode.NO_SPACE,
        ExitCode.UNSUPPORTED,
        ExitCode.UNKNOWN);
  }

  @Override
  public Answer run(Console console) {
    Store made = Store.init(console.shell().host(), store);
    console.say("store at " + made.path().toAbsolutePath().normalize());
    return Answer.of(
        Json.object().put("store", made.path().toAbsolutePath().normalize().toString()).build());
  }
}
