package dev.keepstone.cli;

import dev.keepstone.store.fact.Fact;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone pin`: a checkpoint is kept, whatever the rules say.
@Command(
    name = "pin",
    header = "Keep a checkpoint, whatever the rules say, until it is unpinned.",
    footer = {
      "",
      "Examples:",
      "  keepstone pin ckpts/gpt@best",
      "  keepstone pin ckpts/gpt@3-500 --note table_2"
    })
final class Pin implements Verb {
  @Parameters(paramLabel = "REF", description = "STORE/RUN@WHICH; an id may be off the line.")
  String reference = "";

  @Option(names = "--note", paramLabel = "TEXT", description = "Why; ls and show tell it.")
  @Nullable String note;

  @Override
  public Set<ExitCode> codes() {
    return Marking.CODES;
  }

  @Override
  public Answer run(Console console) {
    Marking marking = Marking.find("keepstone pin", reference, console);
    List<Fact> facts = new ArrayList<>();
    facts.add(new Fact.Pin(marking.id(), true, note == null ? "" : note));
    if (note != null) {
      facts.add(new Fact.Note(marking.id(), note));
    }
    marking.write(facts);
    marking.secure(console);
    console.say(marking.name() + " is pinned");
    return marking.answer();
  }
}
