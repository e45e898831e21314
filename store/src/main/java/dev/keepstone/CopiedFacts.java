package dev.keepstone;

import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.fact.Facts;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;

/// What became known of checkpoints after their commit goes along with them, so far as it is not
/// known there. What was decided there stays: a tag there keeps naming what it names.
final class CopiedFacts {
  private final Journal journal;
  private final Facts here;
  private final Facts there;
  private final List<Fact> facts = new ArrayList<>();
  private final List<String> warnings = new ArrayList<>();

  CopiedFacts(Host host, Run source, Run target, String nonce) {
    this.journal = journal(target, host, nonce);
    this.here = source.look().facts();
    this.there = target.look().facts();
  }

  private static Journal journal(Run run, Host host, String nonce) {
    return Journal.of(run, host.clock(), nonce, "keepstone copy");
  }

  /// A checkpoint there was mended, and then verified to the last byte.
  static void good(Run run, Host host, String nonce, CheckpointId id) {
    journal(run, host, nonce).append(List.of(new Fact.Verdict(id, true, true, "")));
  }

  List<String> warnings() {
    return warnings;
  }

  /// @return how many
  long take(Collection<CheckpointId> ids) {
    ids.forEach(this::take);
    if (there.policy().isEmpty()) {
      // Without it `best` would have no meaning there.
      here.policy().ifPresent(facts::add);
    }
    if (!facts.isEmpty()) {
      journal.append(facts);
    }
    return facts.size();
  }

  private void take(CheckpointId id) {
    if (!here.metrics(id).fields().isEmpty() && !here.metrics(id).equals(there.metrics(id))) {
      facts.add(new Fact.Metrics(id, here.metrics(id)));
    }
    if (here.durableMs(id).isPresent() && there.durableMs(id).isEmpty()) {
      facts.add(new Fact.Durable(id, here.durableMs(id).getAsDouble()));
    }
    if (here.pinned(id) && !there.pinned(id)) {
      facts.add(new Fact.Pin(id, true, here.pin(id).orElseThrow().fact().why()));
    }
    if (there.note(id).isEmpty()) {
      here.note(id).ifPresent(text -> facts.add(new Fact.Note(id, text)));
    }
    for (String tag : here.tagsOf(id)) {
      Optional<CheckpointId> named = there.tag(tag);
      if (named.isEmpty()) {
        facts.add(new Fact.Tag(tag, Optional.of(id)));
      } else if (!named.get().equals(id)) {
        warnings.add("tag " + tag + " names " + named.get() + " there, and stays as it is");
      }
    }
  }
}
