package dev.keepstone.store.object;

import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Decimal;
import java.util.Comparator;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Every name in a run, made and recognised (docs/spec/store.md, section 1). A name that is not
/// recognised is not ours.
///
/// @param run the run's folder, a name of the store's root
public record Names(String run) {
  private static final Pattern PLAIN = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_.-]*");
  private static final Pattern TEMPORARY = Pattern.compile("(.+)\\.[0-9a-f]{8}\\.[0-9]+\\.tmp");
  private static final String SHARD_TEXT =
      "([A-Za-z0-9][A-Za-z0-9_.-]*)-[0-9]{5,}\\.[0-9a-f]{8}(?:\\.[1-9][0-9]{0,3})?\\.safetensors";
  private static final Pattern SHARD = Pattern.compile(SHARD_TEXT);
  private static final Pattern WRITTEN_BY = Pattern.compile(".+-([0-9]{5,10})\\.[0-9a-f]{8}\\..+");
  private static final Pattern OURS =
      Pattern.compile(
          "state-[0-9]{5,}\\.[0-9a-f]{8}\\.json|config\\.json|refused\\.json"
              + "|"
              + SHARD_TEXT
              + "|[A-Za-z0-9][A-Za-z0-9_.-]*\\.safetensors\\.index\\.json");

  /// The highest number of a further shard of a component.
  public static final int MOST_GROUPS = 9999;

  private static final String JSON = ".json";
  private static final String PARENT = ".parent.json";
  private static final String SNAPSHOT = "snapshot-";
  private static final long MOST_BATCHES = (1L << 53) - 1;
  private static final String END = ".end.json";
  private static final String PROBE = "probe.";
  private static final String RANK = "rank-";

  public Names {
    requireRun(run);
  }

  public String marker() {
    return run + "/run.json";
  }

  public String starts() {
    return run + "/starts";
  }

  public String start(int number) {
    return starts() + "/" + number + JSON;
  }

  public String parent(int number) {
    return starts() + "/" + number + PARENT;
  }

  /// The k-th step that somebody asked the ranks of a start to save.
  public String due(int number, int k) {
    return starts() + "/" + number + ".due-" + k + JSON;
  }

  /// Somebody's wish for the k-th of them.
  public String ask(int number, int k) {
    return starts() + "/" + number + ".ask-" + k + JSON;
  }

  /// @param launch 16 hex digits
  public String ranksHere(String launch) {
    return run + "/ranks/" + launch;
  }

  /// A rank that has come to this store.
  public String rankHere(String launch, int rank) {
    return ranksHere(launch) + "/" + RANK + rank(rank) + JSON;
  }

  /// The rank whose presence has this file name.
  public static Optional<Integer> rankHereOf(String file) {
    return file.startsWith(RANK)
        ? partOf("part-" + file.substring(RANK.length()))
        : Optional.empty();
  }

  public String manifests() {
    return run + "/manifests";
  }

  public String manifest(CheckpointId id) {
    return manifests() + "/" + id + JSON;
  }

  public String checkpoints() {
    return run + "/checkpoints";
  }

  public String checkpoint(CheckpointId id) {
    return checkpoints() + "/" + id;
  }

  /// A file in a checkpoint's folder.
  public String file(CheckpointId id, String file) {
    return checkpoint(id) + "/" + file;
  }

  public String part(CheckpointId id, int rank) {
    return file(id, partFile(rank));
  }

  /// Where who waits for a checkpoint finds that a rank has refused, without reading every part.
  public String refused(CheckpointId id) {
    return file(id, "refused.json");
  }

  public String tombs() {
    return run + "/tombs";
  }

  public String tomb(CheckpointId id, int k) {
    return tombs() + "/" + id + "." + k + JSON;
  }

  public String end(CheckpointId id, int k) {
    return tombs() + "/" + id + "." + k + END;
  }

  /// What a process puts to learn the hour of who keeps the store.
  public String probe(String nonce) {
    return tombs() + "/" + PROBE + nonce + JSON;
  }

  public String holds() {
    return run + "/holds";
  }

  public String hold(CheckpointId id, String nonce, int k) {
    return holds() + "/" + id + "." + nonce + "." + k + JSON;
  }

  public String facts() {
    return run + "/facts";
  }

  public String batch(BatchName name) {
    return facts() + "/" + name.writer + "." + name.sequence + JSON;
  }

  public String snapshot(long number) {
    return facts() + "/" + SNAPSHOT + number + JSON;
  }

  /// A rank as it stands in names: five digits or more.
  public static String rank(int rank) {
    return String.format(Locale.ROOT, "%05d", rank);
  }

  public static String partFile(int rank) {
    return "part-" + rank(rank) + JSON;
  }

  /// The first shard of a component.
  public static String shard(String component, int rank, String nonce) {
    return shard(component, rank, nonce, 0);
  }

  /// One of several shards that one rank has of one component.
  ///
  /// @param group 0 to [#MOST_GROUPS]; 0 leaves no mark in the name
  public static String shard(String component, int rank, String nonce, int group) {
    String mark = group == 0 ? "" : "." + group;
    return component + "-" + rank(rank) + "." + nonce + mark + ".safetensors";
  }

  /// The component whose shard has this file name. What stands behind the last dash has none, so
  /// that no component's name can be taken for another's.
  public static Optional<String> componentOf(String shard) {
    Matcher matcher = SHARD.matcher(shard);
    return matcher.matches() ? Optional.of(matcher.group(1)) : Optional.empty();
  }

  /// The rank that wrote a shard or state tree of this file name.
  public static Optional<Integer> writerOf(String file) {
    Matcher matcher = WRITTEN_BY.matcher(file);
    return matcher.matches() && OURS.matcher(file).matches()
        ? Optional.of(Long.parseLong(matcher.group(1)))
            .filter(rank -> rank <= Integer.MAX_VALUE)
            .map(Long::intValue)
        : Optional.empty();
  }

  public static String state(int rank, String nonce) {
    return "state-" + rank(rank) + "." + nonce + JSON;
  }

  public static String index(String component) {
    return component + ".safetensors.index.json";
  }

  /// The start whose announcement has this file name.
  public static Optional<Integer> startOf(String file) {
    return stripped(file, JSON).flatMap(Names::number);
  }

  /// The start whose decision has this file name.
  public static Optional<Integer> parentOf(String file) {
    return stripped(file, PARENT).flatMap(Names::number);
  }

  /// The checkpoint whose manifest has this file name.
  public static Optional<CheckpointId> manifestOf(String file) {
    return stripped(file, JSON).flatMap(CheckpointId::find);
  }

  /// The rank whose part has this file name.
  public static Optional<Integer> partOf(String file) {
    if (!file.startsWith("part-")) {
      return Optional.empty();
    }
    return stripped(file.substring("part-".length()), JSON)
        .filter(text -> text.length() >= 5 && text.length() <= 10)
        .filter(text -> text.chars().allMatch(c -> c >= '0' && c <= '9'))
        .map(Long::parseLong)
        .filter(rank -> rank <= Integer.MAX_VALUE && partFile(rank.intValue()).equals(file))
        .map(Long::intValue);
  }

  /// The tomb that has this file name.
  public static Optional<TombName> tombOf(String file) {
    return stripped(file, JSON).flatMap(TombName::find);
  }

  /// The tomb whose end has this file name.
  public static Optional<TombName> endOf(String file) {
    return stripped(file, END).flatMap(TombName::find);
  }

  /// The hold that has this file name.
  public static Optional<HoldName> holdOf(String file) {
    return stripped(file, JSON).flatMap(HoldName::find);
  }

  /// The batch of facts that has this file name.
  public static Optional<BatchName> batchOf(String file) {
    return stripped(file, JSON).flatMap(BatchName::find);
  }

  /// The number of the snapshot that has this file name.
  public static Optional<Long> snapshotOf(String file) {
    return stripped(file, JSON)
        .filter(text -> text.startsWith(SNAPSHOT))
        .map(text -> Decimal.find(text.substring(SNAPSHOT.length()), MOST_BATCHES))
        .filter(number -> number >= 1);
  }

  /// Whether a name among tombs is a probe's.
  public static boolean isProbe(String file) {
    return file.startsWith(PROBE)
        && stripped(file.substring(PROBE.length()), JSON).filter(Fields::isNonce).isPresent();
  }

  /// The name under which a temporary one was to be published.
  public static Optional<String> temporaryOf(String file) {
    Matcher temporary = TEMPORARY.matcher(file);
    return temporary.matches() ? Optional.of(temporary.group(1)) : Optional.empty();
  }

  /// Whether a name in a checkpoint's folder is one of ours, temporary ones included.
  public static boolean inCheckpoint(String file) {
    String name = temporaryOf(file).orElse(file);
    return partOf(name).isPresent() || OURS.matcher(name).matches();
  }

  /// Which tomb of which checkpoint.
  public record TombName(CheckpointId id, int k) {
    private static Optional<TombName> find(String text) {
      int dot = text.indexOf('.');
      if (dot < 0) {
        return Optional.empty();
      }
      return CheckpointId.find(text.substring(0, dot))
          .flatMap(id -> number(text.substring(dot + 1)).map(k -> new TombName(id, k)));
    }
  }

  /// Which renewal of whose hold of which checkpoint.
  public record HoldName(CheckpointId id, String nonce, int k) {
    private static Optional<HoldName> find(String text) {
      String[] fields = text.split("\\.", -1);
      if (fields.length != 3 || !Fields.isNonce(fields[1])) {
        return Optional.empty();
      }
      return CheckpointId.find(fields[0])
          .flatMap(id -> number(fields[2]).map(k -> new HoldName(id, fields[1], k)));
    }
  }

  /// Which batch of facts of which writer.
  ///
  /// @param writer 8 hex digits
  /// @param sequence from 1
  public record BatchName(String writer, long sequence) implements Comparable<BatchName> {
    private static final Comparator<BatchName> ORDER =
        Comparator.comparing(BatchName::writer).thenComparingLong(BatchName::sequence);

    public BatchName {
      Fields.requireNonce(writer);
      if (sequence < 1 || sequence > MOST_BATCHES) {
        throw new IllegalArgumentException("a writer's batches count from 1, found " + sequence);
      }
    }

    @Override
    public int compareTo(BatchName other) {
      return ORDER.compare(this, other);
    }

    private static Optional<BatchName> find(String text) {
      int dot = text.indexOf('.');
      if (dot < 0 || !Fields.isNonce(text.substring(0, dot))) {
        return Optional.empty();
      }
      long sequence = Decimal.find(text.substring(dot + 1), MOST_BATCHES);
      return sequence < 1
          ? Optional.empty()
          : Optional.of(new BatchName(text.substring(0, dot), sequence));
    }
  }

  /// Whether a folder of the store's root may be a run.
  public static boolean isRun(String name) {
    return PLAIN.matcher(name).matches() && !name.equals(StoreMarker.NAME);
  }

  /// @throws IllegalArgumentException where the name is no run's
  public static void requireRun(String name) {
    if (!isRun(name)) {
      throw new IllegalArgumentException(
          "a run's name is letters, digits, '.', '_' and '-' and begins with a letter or digit,"
              + " found \""
              + name
              + "\"");
    }
  }

  /// A name that stays in its folder.
  ///
  /// @throws IllegalArgumentException where it does not
  public static void requirePlain(String file) {
    if (!PLAIN.matcher(file).matches()) {
      throw new IllegalArgumentException(
          "a file's name is letters, digits, '.', '_' and '-' and begins with a letter or digit,"
              + " found \""
              + file
              + "\"");
    }
  }

  /// @throws IllegalArgumentException where the name is no component's
  public static void requireComponent(String name) {
    if (!PLAIN.matcher(name).matches()
        || name.contains("..")
        || name.equals("state")
        || name.equals("part")) {
      throw new IllegalArgumentException(
          "a component's name is letters, digits, '.', '_' and '-', has no '..' and is not 'state'"
              + " or 'part', found \""
              + name
              + "\"");
    }
  }

  private static Optional<String> stripped(String file, String ending) {
    return file.endsWith(ending)
        ? Optional.of(file.substring(0, file.length() - ending.length()))
        : Optional.empty();
  }

  private static Optional<Integer> number(String text) {
    long value = Decimal.find(text, Integer.MAX_VALUE);
    return value < 1 ? Optional.empty() : Optional.of((int) value);
  }
}
