package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.fact.Fact;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SortedSet;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// `keepstone untag`: a checkpoint loses names.
@Command(
    name = "untag",
    header = "Take names of a checkpoint away, all of them where none is given.",
    footer = {
      "",
      "Examples:",
      "  keepstone untag ckpts/gpt@paper",
      "  keepstone untag ckpts/gpt@3-500 release_1 release_2"
    })
final class Untag implements Verb {
  @Parameters(index = "0", paramLabel = "REF", description = "STORE/RUN@WHICH.")
  String reference = "";

  @Parameters(
      index = "1..*",
      arity = "0..*",
      paramLabel = "TAG",
      description = "The names to take away (default: all it has).")
  List<String> tags = List.of();

  @Override
  public Set<ExitCode> codes() {
    return Marking.CODES;
  }

  @Override
  public Answer run(Console console) {
    Marking marking = Marking.find("keepstone untag", reference, console);
    SortedSet<String> has = marking.view().facts().tagsOf(marking.id());
    List<String> taken = tags.isEmpty() ? List.copyOf(has) : tags;
    List<Fact> facts = new ArrayList<>();
    for (String tag : taken) {
      if (!has.contains(tag)) {
        throw new KeepstoneException.NotFound(
            "checkpoint " + marking.id() + " is not tagged " + tag,
            marking.name(),
            has.isEmpty() ? "it has no tags" : "it has " + String.join(" ", has));
      }
      facts.add(new Fact.Tag(tag, Optional.empty()));
    }
    marking.write(facts);
    console.say(
        taken.isEmpty()
            ? marking.name() + " has no tags"
            : marking.name() + " is not tagged " + String.join(" ", taken) + " any more");
    return marking.answer();
  }
}
