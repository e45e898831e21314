package dev.keepstone.cli;

import java.util.Map;
import java.util.TreeMap;
import picocli.CommandLine;

/// Manual pages, one per verb, made of the same help that `--help` prints.
final class ManPages {
  private ManPages() {}

  /// Text by path: `share/man/man1/keepstone-ls.1`.
  static Map<String, String> all() {
    Map<String, String> pages = new TreeMap<>();
    collect(Commands.of(new Keepstone()), pages);
    return pages;
  }

  private static void collect(CommandLine command, Map<String, String> pages) {
    String name = command.getCommandSpec().qualifiedName("-");
    Commands.dress(command);
    pages.put("share/man/man1/" + name + ".1", page(name, command));
    command.getSubcommands().values().forEach(below -> collect(below, pages));
  }

  private static String page(String name, CommandLine command) {
    String header = String.join(" ", command.getCommandSpec().usageMessage().header());
    return """
    .TH "%s" "1" "" "keepstone %s" "Keepstone"
    .SH NAME
    %s \\- %s
    .SH DESCRIPTION
    .nf
    %s
    .fi
    """
        .formatted(
            name.toUpperCase(java.util.Locale.ROOT),
            Version.number(),
            roff(name),
            roff(header),
            roff(command.getUsageMessage().stripTrailing()));
  }

  /// Text in which nothing is a request: a line may not begin with a dot or an apostrophe.
  private static String roff(String text) {
    return text.replace("\\", "\\e").replace("-", "\\-").replaceAll("(?m)^([.'])", "\\\\&$1");
  }
}
