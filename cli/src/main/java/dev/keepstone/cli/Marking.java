package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.Store;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.fact.Facts;
import dev.keepstone.store.hold.Secure;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.util.List;
import java.util.Set;

/// What `pin`, `unpin`, `tag` and `untag` have in common: a checkpoint is found, facts about it are
/// written down, and what is then known of it is told.
///
/// @param verb who writes, for people
record Marking(Host host, String verb, Run run, View view, CheckpointId id) {
  static final Set<ExitCode> CODES = ExitCode.reading(ExitCode.NO_SPACE, ExitCode.UNKNOWN);

  static Marking find(String verb, String reference, Console console) {
    Host host = console.shell().host();
    Reference named = Reference.parse(reference, host.disk());
    Run run = Store.open(host, named.store()).run(named.run());
    View view = run.lookDecided(host.clock());
    return new Marking(host, verb, run, view, view.find(named.which()));
  }

  void write(List<Fact> facts) {
    if (!facts.isEmpty()) {
      Journal.of(run, host.clock(), host.nonce(), verb).append(facts);
    }
  }

  /// Sees to it that the checkpoint stays, after the need of it was written down.
  ///
  /// @throws KeepstoneException.NotFound where it was deleted meanwhile
  void secure(Console console) {
    if (!Secure.secureSeen(run, id)) {
      throw new KeepstoneException.NotFound(
          "checkpoint " + id + " was deleted meanwhile",
          run.tier().describe(run.name()) + "@" + id,
          "take another one: keepstone ls " + run.tier().describe(run.name()));
    }
    if (view.tombs().open(id).isPresent()) {
      console.say("its announced deletion is called off");
    }
  }

  Answer answer() {
    Facts facts = run.look().facts();
    return Answer.of(
        Json.object()
            .put("run", run.name())
            .put("id", id.toString())
            .put("step", id.step())
            .put("pinned", facts.pinned(id))
            .put("tags", Json.array(facts.tagsOf(id).stream().map(Json::of).toList()))
            .put("note", facts.note(id).orElse(null))
            .build());
  }

  /// As it is told.
  String name() {
    return run.name() + "@" + id;
  }
}
