package dev.keepstone.store.fact;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.reference.CheckpointId;
import java.util.Optional;

/// One thing that became known of a checkpoint, or of its run, after the commit.
public sealed interface Fact {
  /// Numbers measured after the save. Of two facts on the same name of a checkpoint the newer
  /// counts; other names stay.
  ///
  /// @param metrics numbers; those that are not finite in the state tree's form
  record Metrics(CheckpointId id, Json.Obj metrics) implements Fact {
    public Metrics {
      FactLimits.requireMetrics(metrics);
    }
  }

  /// How long it took from the call of `save` to the committed manifest.
  record Durable(CheckpointId id, double ms) implements Fact {
    public Durable {
      if (!(ms >= 0) || Double.isInfinite(ms)) {
        throw new IllegalArgumentException("a time to durable is finite and ≥ 0, found " + ms);
      }
    }
  }

  /// Somebody wants the checkpoint kept, or no longer.
  ///
  /// @param why for people; may be empty
  record Pin(CheckpointId id, boolean pinned, String why) implements Fact {
    public Pin {
      FactLimits.requireText("why", why);
    }
  }

  /// A name for a checkpoint. It keeps the checkpoint, as a pin does.
  ///
  /// @param id empty: the name is taken away
  record Tag(String tag, Optional<CheckpointId> id) implements Fact {
    public Tag {
      FactLimits.requireTag(tag);
    }
  }

  /// Words of people about a checkpoint.
  ///
  /// @param text empty: taken away
  record Note(CheckpointId id, String text) implements Fact {
    public Note {
      FactLimits.requireText("text", text);
    }
  }

  /// What a verification found.
  ///
  /// @param deep whether every byte was read
  /// @param detail the first problem; empty where it is good
  record Verdict(CheckpointId id, boolean deep, boolean good, String detail) implements Fact {
    public Verdict {
      FactLimits.requireText("detail", detail);
    }
  }

  /// A step of a deletion, told for people: what counts are the tomb and its end.
  ///
  /// @param k the tomb's
  /// @param why the reason
  /// @param by the process or person
  record Deleted(CheckpointId id, int k, Act act, String why, String by) implements Fact {
    public Deleted {
      FactLimits.requireText("why", why);
      FactLimits.requireText("by", by);
      if (k < 1) {
        throw new IllegalArgumentException("a tomb counts from 1, found " + k);
      }
    }
  }

  /// The retention rules of the run, as its newest start gave them.
  record Policy(Json.Obj rules) implements Fact {
    public Policy {
      FactLimits.requireRules(rules);
    }

    /// The metric by which checkpoints are compared.
    public Optional<String> monitor() {
      return rules.get("monitor") instanceof Json.Text(String name)
          ? Optional.of(name)
          : Optional.empty();
    }

    /// Which end of it is the better one; the lower where nothing is said.
    public Mode mode() {
      return rules.get("mode") instanceof Json.Text(String mode)
          ? Mode.find(mode).orElse(Mode.MIN)
          : Mode.MIN;
    }
  }

  /// What was done about a deletion.
  enum Act {
    ANNOUNCED("announced"),
    RESTORED("restored"),
    PURGED("purged");

    private final String text;

    Act(String text) {
      this.text = text;
    }

    /// How it stands in objects and listings.
    public String text() {
      return text;
    }
  }

  /// Its form in a batch.
  default Json.Obj toJson() {
    return FactCodec.toJson(this).build();
  }
}
