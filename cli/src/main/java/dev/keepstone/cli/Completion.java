package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import java.util.Set;
import picocli.AutoComplete;
import picocli.CommandLine.Command;

/// `keepstone completion`: what bash (and zsh, by bashcompinit) completes after `keepstone`.
@Command(
    name = "completion",
    header = "Print the completion script for bash.",
    footer = {
      "",
      "Examples:",
      "  keepstone completion",
      "  keepstone completion | sudo tee /etc/bash_completion.d/keepstone"
    })
final class Completion implements Verb {
  @Override
  public Set<ExitCode> codes() {
    return Set.of(ExitCode.DONE, ExitCode.USAGE);
  }

  @Override
  public Answer run(Console console) {
    String script = script();
    console.say(script.stripTrailing());
    return Answer.of(Json.object().put("script", script).build());
  }

  static String script() {
    return AutoComplete.bash("keepstone", Commands.of(new Keepstone()));
  }
}
