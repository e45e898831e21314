package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Which;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone tag`: a checkpoint gets names, by which it is found and which keep it.
@Command(
    name = "tag",
    header = "Name a checkpoint, and keep it as long as it has a name.",
    footer = {
      "",
      "Examples:",
      "  keepstone tag ckpts/gpt@3-500 paper",
      "  keepstone tag ckpts/gpt@best release_2 --move"
    })
final class Tag implements Verb {
  @Parameters(
      index = "0",
      paramLabel = "REF",
      description = "STORE/RUN@WHICH; an id may be off the line.")
  String reference = "";

  @Parameters(
      index = "1..*",
      arity = "1..*",
      paramLabel = "TAG",
      description = "A letter, then letters, digits, '_' and '.'.")
  List<String> tags = List.of();

  @Option(names = "--move", description = "Take a name over from the checkpoint that has it.")
  boolean move;

  @Option(names = "--note", paramLabel = "TEXT", description = "Why; ls and show tell it.")
  @Nullable String note;

  @Override
  public Set<ExitCode> codes() {
    return Marking.CODES;
  }

  @Override
  public Answer run(Console console) {
    Marking marking = Marking.find("keepstone tag", reference, console);
    List<Fact> facts = new ArrayList<>();
    for (String tag : tags) {
      requireFree(marking, tag);
      facts.add(new Fact.Tag(tag, Optional.of(marking.id())));
    }
    if (note != null) {
      facts.add(new Fact.Note(marking.id(), note));
    }
    marking.write(facts);
    marking.secure(console);
    console.say(marking.name() + " is tagged " + String.join(" ", tags));
    return marking.answer();
  }

  private void requireFree(Marking marking, String tag) {
    if (!Which.isTag(tag)) {
      throw new KeepstoneException.Refused(
          "\"" + tag + "\" can be no tag",
          marking.name(),
          "begin with a letter, go on with letters, digits, '_' and '.'; latest, first, best and"
              + " last-good mean something else");
    }
    Optional<CheckpointId> named = marking.view().facts().tag(tag);
    if (!move && named.isPresent() && !named.get().equals(marking.id())) {
      throw new KeepstoneException.Refused(
          "the tag " + tag + " names " + named.get() + ", which it keeps",
          marking.name(),
          "--move takes it over; keepstone pin keeps the other one");
    }
  }
}
