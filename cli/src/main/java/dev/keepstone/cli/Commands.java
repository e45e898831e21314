package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;

/// The command line as picocli knows it, dressed the same way for every verb.
final class Commands {
  /// Of help, and of tables that nobody's terminal limits.
  static final int WIDTH = 80;

  private Commands() {}

  static CommandLine of(Keepstone options) {
    CommandLine top = new CommandLine(options);
    top.setColorScheme(CommandLine.Help.defaultColorScheme(Ansi.OFF));
    top.setUsageHelpWidth(WIDTH);
    top.setCaseInsensitiveEnumValuesAllowed(true);
    return top;
  }

  /// The help of one command.
  static Answer help(CommandLine command, Console console) {
    dress(command);
    String text = command.getUsageMessage();
    console.say(text.stripTrailing());
    return Answer.of(Json.object().put("help", text).build());
  }

  /// Completes a command for its help. Exit codes are filled in here, for help is all they are
  /// needed for.
  static void dress(CommandLine command) {
    if (command.getCommand() instanceof Verb verb) {
      Map<String, String> codes = new LinkedHashMap<>();
      for (ExitCode code : ExitCode.values()) {
        if (verb.codes().contains(code)) {
          codes.put(" " + code.number, code.meaning);
        }
      }
      command
          .getCommandSpec()
          .usageMessage()
          .exitCodeListHeading("%nExit codes:%n")
          .exitCodeList(codes);
    }
    // The header is a line of the verb list too, where a line break of its own would part the
    // verbs.
    command.getCommandSpec().usageMessage().synopsisHeading("%nUsage: ");
  }
}
