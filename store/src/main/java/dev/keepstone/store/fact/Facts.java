package dev.keepstone.store.fact;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.fact.Fact.Deleted;
import dev.keepstone.store.fact.Fact.Durable;
import dev.keepstone.store.fact.Fact.Metrics;
import dev.keepstone.store.fact.Fact.Note;
import dev.keepstone.store.fact.Fact.Pin;
import dev.keepstone.store.fact.Fact.Policy;
import dev.keepstone.store.fact.Fact.Tag;
import dev.keepstone.store.fact.Fact.Verdict;
import dev.keepstone.store.reference.CheckpointId;
import java.time.Instant;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Stream;

/// All that became known of the checkpoints of a run, merged. It does not change.
///
/// Of each subject the newest fact is kept ([Stamp]), and of each step of a deletion the one told
/// first; so what is known depends neither on the order in which facts are read nor on how often. A
/// subject is: one metric of a checkpoint, its pin, its note, its time to durable, each of the four
/// verdicts (quick or deep, good or bad), one step of one deletion, one tag, the policy.
public final class Facts {
  /// Nothing.
  public static final Facts NONE = new Facts(Map.of(), Map.of(), new TreeMap<>(), Optional.empty());

  private static final Json.Obj NO_METRICS = Json.object().build();

  /// Numbers of each checkpoint, one a subject, in order of their stamps. Apart from what else is
  /// said, because nearly every checkpoint has some, and few have anything else.
  private final Map<CheckpointId, List<Stamped<?>>> measured;

  /// What else is said of each checkpoint, one a subject, in order of their stamps.
  private final Map<CheckpointId, List<Stamped<?>>> said;

  private final SortedMap<String, Stamped<Tag>> tags;
  private final Optional<Stamped<Policy>> policy;
  private final Map<CheckpointId, SortedSet<String>> tagged = new HashMap<>();

  private Facts(
      Map<CheckpointId, List<Stamped<?>>> measured,
      Map<CheckpointId, List<Stamped<?>>> said,
      SortedMap<String, Stamped<Tag>> tags,
      Optional<Stamped<Policy>> policy) {
    this.measured = measured;
    this.said = said;
    this.tags = tags;
    this.policy = policy;
    tags.forEach((tag, fact) ->
        fact.fact()
            .id()
            .ifPresent(id -> tagged.computeIfAbsent(id, none -> new TreeSet<>()).add(tag)));
  }

  /// What these facts say together.
  public static Facts of(Collection<? extends Stamped<?>> facts) {
    return NONE.with(facts);
  }

  /// What both say together: the same in either order, and as often as one likes.
  public Facts merge(Facts other) {
    return with(other.all().toList());
  }

  /// What is known with these facts besides.
  public Facts with(Collection<? extends Stamped<?>> facts) {
    if (facts.isEmpty()) {
      return this;
    }
    Merging merging = new Merging(this);
    facts.forEach(merging::add);
    return merging.done();
  }

  /// Every fact that counts, in no order.
  Stream<Stamped<?>> all() {
    return Stream.of(
            measured.values().stream().flatMap(List::stream),
            said.values().stream().flatMap(List::stream),
            tags.values().stream(),
            policy.stream())
        .flatMap(facts -> facts);
  }

  /// The newest verdict on a checkpoint.
  public Optional<Verdict> verdict(CheckpointId id) {
    return newest(id, Verdict.class, verdict -> true).map(Stamped::fact);
  }

  /// Why a checkpoint is quarantined: the newest verdict that found it bad, unless every byte was
  /// found good since.
  public Optional<Stamped<Verdict>> bad(CheckpointId id) {
    Optional<Stamp> good = deeplyVerified(id).map(Stamped::stamp);
    return newest(id, Verdict.class, verdict -> !verdict.good())
        .filter(bad -> good.isEmpty() || good.get().compareTo(bad.stamp()) < 0);
  }

  /// The newest verdict that read every byte of a checkpoint and found all of them good.
  public Optional<Stamped<Verdict>> deeplyVerified(CheckpointId id) {
    return newest(id, Verdict.class, v -> v.deep() && v.good());
  }

  /// Whether somebody wants the checkpoint kept.
  public boolean pinned(CheckpointId id) {
    return pin(id).isPresent();
  }

  /// The pin of a checkpoint that has one.
  public Optional<Stamped<Pin>> pin(CheckpointId id) {
    return newest(id, Pin.class, pin -> true).filter(pin -> pin.fact().pinned());
  }

  /// What people said of a checkpoint.
  public Optional<String> note(CheckpointId id) {
    return newest(id, Note.class, note -> true)
        .map(note -> note.fact().text())
        .filter(text -> !text.isEmpty());
  }

  /// Every tag and the checkpoint it names.
  public SortedMap<String, CheckpointId> tags() {
    SortedMap<String, CheckpointId> named = new TreeMap<>();
    tags.forEach((tag, fact) -> fact.fact().id().ifPresent(id -> named.put(tag, id)));
    return named;
  }

  /// The checkpoint that a tag names.
  public Optional<CheckpointId> tag(String tag) {
    return Optional.ofNullable(tags.get(tag)).flatMap(fact -> fact.fact().id());
  }

  /// The tags of a checkpoint.
  public SortedSet<String> tagsOf(CheckpointId id) {
    return Collections.unmodifiableSortedSet(tagged.getOrDefault(id, new TreeSet<>()));
  }

  /// Metrics that came after the save; by name.
  public Json.Obj metrics(CheckpointId id) {
    List<Stamped<?>> numbers = measured.getOrDefault(id, List.of());
    if (numbers.isEmpty()) {
      return NO_METRICS;
    }
    SortedMap<String, Json> metrics = new TreeMap<>();
    for (Stamped<?> fact : numbers) {
      if (fact.fact() instanceof Metrics later) {
        metrics.putAll(later.metrics().fields());
      }
    }
    return new Json.Obj(metrics);
  }

  /// How long it took to make a checkpoint durable, in milliseconds, where its agent told.
  public OptionalDouble durableMs(CheckpointId id) {
    return newest(measured, id, Durable.class, durable -> true)
        .map(durable -> OptionalDouble.of(durable.fact().ms()))
        .orElse(OptionalDouble.empty());
  }

  /// What was done about deletions of a checkpoint, in order.
  public List<Stamped<Deleted>> deletions(CheckpointId id) {
    return said.getOrDefault(id, List.of()).stream()
        .flatMap(fact -> as(fact, Deleted.class).stream())
        .toList();
  }

  /// The run's retention rules, where a start gave any.
  public Optional<Policy> policy() {
    return policy.map(Stamped::fact);
  }

  /// The newest time of any fact: who writes another one writes it after this ([Stamp#after]).
  public Instant newest() {
    return all()
        .map(fact -> fact.stamp().at())
        .max(Comparator.naturalOrder())
        .orElse(Instant.EPOCH);
  }

  private <F extends Fact> Optional<Stamped<F>> newest(
      CheckpointId id, Class<F> kind, Predicate<F> wanted) {
    return newest(said, id, kind, wanted);
  }

  private static <F extends Fact> Optional<Stamped<F>> newest(
      Map<CheckpointId, List<Stamped<?>>> checkpoints,
      CheckpointId id,
      Class<F> kind,
      Predicate<F> wanted) {
    List<Stamped<?>> facts = checkpoints.getOrDefault(id, List.of());
    for (int i = facts.size() - 1; i >= 0; i--) {
      Stamped<?> stamped = facts.get(i);
      if (kind.isInstance(stamped.fact()) && wanted.test(kind.cast(stamped.fact()))) {
        return as(stamped, kind);
      }
    }
    return Optional.empty();
  }

  private static <F extends Fact> Optional<Stamped<F>> as(Stamped<?> stamped, Class<F> kind) {
    return kind.isInstance(stamped.fact())
        ? Optional.of(new Stamped<>(stamped.stamp(), stamped.by(), kind.cast(stamped.fact())))
        : Optional.empty();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Facts facts
        && measured.equals(facts.measured)
        && said.equals(facts.said)
        && tags.equals(facts.tags)
        && policy.equals(facts.policy);
  }

  @Override
  public int hashCode() {
    return Objects.hash(measured, said, tags, policy);
  }

  @Override
  public String toString() {
    return all().sorted(Stamped.ORDER).toList().toString();
  }

  /// What is known, and facts that are not weighed against it yet.
  private static final class Merging {
    private final Weighing measured;
    private final Weighing said;
    private final SortedMap<String, Stamped<Tag>> tags;
    private Optional<Stamped<Policy>> policy;

    Merging(Facts known) {
      this.measured = new Weighing(known.measured);
      this.said = new Weighing(known.said);
      this.tags = new TreeMap<>(known.tags);
      this.policy = known.policy;
    }

    Facts done() {
      return new Facts(measured.done(), said.done(), tags, policy);
    }

    void add(Stamped<?> stamped) {
      switch (stamped.fact()) {
        case Tag tag -> tags.merge(tag.tag(), with(stamped, tag), Merging::newer);
        case Policy rules -> {
          Stamped<Policy> given = with(stamped, rules);
          policy = Optional.of(policy.map(known -> newer(known, given)).orElse(given));
        }
        case Metrics fact when fact.metrics().fields().size() == 1 ->
            measured.put(fact.id(), stamped);
        case Metrics(CheckpointId id, Json.Obj metrics) ->
            // One subject each: a later report of one name must not hide the others.
            metrics
                .fields()
                .forEach((name, value) ->
                    measured.put(
                        id, with(stamped, new Metrics(id, new Json.Obj(Map.of(name, value))))));
        case Durable fact -> measured.put(fact.id(), stamped);
        case Pin fact -> said.put(fact.id(), stamped);
        case Note fact -> said.put(fact.id(), stamped);
        case Verdict fact -> said.put(fact.id(), stamped);
        case Deleted fact -> said.put(fact.id(), stamped);
      }
    }

    private static <F extends Fact> Stamped<F> with(Stamped<?> stamped, F fact) {
      return new Stamped<>(stamped.stamp(), stamped.by(), fact);
    }

    private static <S extends Stamped<?>> S newer(S one, S other) {
      return Stamped.ORDER.compare(one, other) >= 0 ? one : other;
    }
  }
}
