package dev.keepstone.agent.events;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.segment.wire.Event;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/// The agent's events, numbered from 1: the last [#REMEMBERED] in memory, all of them in
/// `events.jsonl`, and all but progress as lines for people in `agent.log` (docs/spec/segment.md
/// §1, docs/spec/wire.md "events").
///
/// Readers pull at their own speed, so one that is slow or stuck never holds the agent: what it
/// missed beyond the remembered ones is lost to it alone.
public final class EventLog implements AutoCloseable {
  /// Events that a late reader can still have.
  public static final int REMEMBERED = 4096;

  /// As text, which is a fraction of the objects that it stands for.
  private final Deque<Line> remembered = new ArrayDeque<>();

  private final InstantSource clock;
  private final Figures figures;
  private final LineFile lines;
  private final LineFile words;
  private final Consumer<String> echo;
  private long last;
  private boolean closed;

  private record Line(long sequence, byte[] json) {}

  /// @param directory the agent's directory; log files are appended to
  public EventLog(Path directory, InstantSource clock) {
    this(directory, clock, line -> {});
  }

  /// @param echo hears each line of the log too
  public EventLog(Path directory, InstantSource clock, Consumer<String> echo) {
    this.echo = echo;
    this.clock = clock;
    this.figures = new Figures(clock::millis);
    this.lines = new LineFile(directory, "events", ".jsonl");
    this.words = new LineFile(directory, "agent", ".log");
  }

  /// Adds an event.
  ///
  /// @param fields what belongs to it beside `seq`, `at` and `event`, in order
  public synchronized void add(String event, Json.Obj fields) {
    Instant at = clock.instant().truncatedTo(ChronoUnit.MILLIS);
    Event entry = new Event(++last, at, event, fields);
    if (remembered.size() == REMEMBERED) {
      remembered.removeFirst();
    }
    String line = JsonWriter.compact(entry.toJson());
    remembered.addLast(new Line(entry.sequence(), line.getBytes(StandardCharsets.UTF_8)));
    figures.take(event, fields);
    lines.append(line);
    if (!event.equals("progress")) {
      say(sentence(at, event, fields));
    }
    notifyAll();
  }

  /// Says something to people alone: a line in `agent.log`, no event.
  public synchronized void note(String sentence) {
    say(clock.instant().truncatedTo(ChronoUnit.MILLIS) + " " + sentence);
  }

  private void say(String line) {
    words.append(line);
    echo.accept(line);
  }

  /// What the events add up to.
  public Figures figures() {
    return figures;
  }

  /// Waits for events after a sequence number.
  ///
  /// @return those remembered, in order; empty after the timeout, or once closed
  public synchronized List<Event> await(long after, long timeoutMillis)
      throws InterruptedException {
    if (last <= after && !closed) {
      wait(timeoutMillis);
    }
    List<Event> found = new ArrayList<>();
    for (Line line : remembered) {
      if (line.sequence > after) {
        found.add(Event.read(JsonReader.readObject(line.json)));
      }
    }
    return found;
  }

  /// Whether nothing more will come.
  public synchronized boolean closed() {
    return closed;
  }

  private static String sentence(Instant at, String event, Json.Obj fields) {
    StringBuilder text = new StringBuilder().append(at).append(' ').append(event);
    for (Map.Entry<String, Json> field : fields.fields().entrySet()) {
      String value =
          field.getValue() instanceof Json.Text(String plain) && plain.indexOf('\n') < 0
              ? plain
              : JsonWriter.compact(field.getValue());
      text.append(' ').append(field.getKey()).append('=').append(value);
    }
    return text.toString();
  }

  @Override
  public synchronized void close() {
    closed = true;
    lines.close();
    words.close();
    notifyAll();
  }
}
