package dev.keepstone.cli;

import dev.keepstone.store.fact.Fact;
import java.util.List;
import java.util.Set;
import java.util.SortedSet;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// `keepstone unpin`: the rules decide again.
@Command(
    name = "unpin",
    header = "Let the rules decide about a pinned checkpoint again.",
    footer = {
      "",
      "Examples:",
      "  keepstone unpin ckpts/gpt@3-500",
      "  keepstone unpin ckpts/gpt@paper --json"
    })
final class Unpin implements Verb {
  @Parameters(paramLabel = "REF", description = "STORE/RUN@WHICH.")
  String reference = "";

  @Override
  public Set<ExitCode> codes() {
    return Marking.CODES;
  }

  @Override
  public Answer run(Console console) {
    Marking marking = Marking.find("keepstone unpin", reference, console);
    boolean pinned = marking.view().facts().pinned(marking.id());
    // Said again even where no pin is known: one that came since the look is taken away too.
    marking.write(List.of(new Fact.Pin(marking.id(), false, "")));
    SortedSet<String> tags = marking.view().facts().tagsOf(marking.id());
    console.say(
        marking.name()
            + (pinned ? " is not pinned any more" : " was not pinned")
            + (tags.isEmpty() ? "" : "; its tags keep it: " + String.join(" ", tags)));
    return marking.answer();
  }
}
