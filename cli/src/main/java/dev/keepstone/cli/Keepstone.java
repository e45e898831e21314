package dev.keepstone.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/// The command itself: its verbs, and the options that each of them has.
@Command(
    name = "keepstone",
    header = "Keepstone, a checkpoint engine for large-model training.",
    synopsisSubcommandLabel = "VERB",
    optionListHeading = "%nOptions of every verb:%n",
    commandListHeading = "%nVerbs:%n",
    footer = {
      "",
      "A checkpoint is named STORE/RUN@WHICH: ckpts/gpt@latest, ckpts/gpt@500,",
      "ckpts/gpt@3-500, ckpts/gpt@latest~1. RUN may be left out where the store has",
      "one; WHICH is latest unless said.",
      "",
      "Examples:",
      "  keepstone ls ckpts",
      "  keepstone verify ckpts/gpt@latest --deep"
    },
    subcommands = {
      Quickstart.class,
      Init.class,
      Ls.class,
      Show.class,
      Inspect.class,
      Diff.class,
      Verify.class,
      Lineage.class,
      Restore.class,
      Import.class,
      Export.class,
      Copy.class,
      Prune.class,
      Undo.class,
      Gc.class,
      Du.class,
      Rollback.class,
      Pin.class,
      Unpin.class,
      Tag.class,
      Untag.class,
      Watch.class,
      SaveNow.class,
      Agent.class,
      Doctor.class,
      Advise.class,
      Dist.class,
      Completion.class
    })
final class Keepstone {
  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      scope = ScopeType.INHERIT,
      description = "Show this help.")
  boolean help;

  @Option(
      names = {"-V", "--version"},
      description = "Show the version and the JDK.")
  boolean version;

  @Option(
      names = "--json",
      scope = ScopeType.INHERIT,
      description = "Print one JSON document on stdout, in success and in failure.")
  boolean json;

  @Option(
      names = "--json-lines",
      scope = ScopeType.INHERIT,
      description = "Print a JSON line for each event; the last is the document.")
  boolean jsonLines;

  @Option(
      names = "--no-progress",
      scope = ScopeType.INHERIT,
      description = "Say nothing until done.")
  boolean noProgress;

  @Option(
      names = "--debug",
      scope = ScopeType.INHERIT,
      description = "Add the stack trace to a failure.")
  boolean debug;

  Console.Form form() {
    return jsonLines ? Console.Form.LINES : json ? Console.Form.DOCUMENT : Console.Form.PEOPLE;
  }
}
