package dev.keepstone.agent;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// Follows `events.jsonl` through the lives of several agents.
final class EventTail {
  private final Path file;
  private final List<Json.Obj> events = new ArrayList<>();
  private final ByteArrayOutputStream begun = new ByteArrayOutputStream();
  private long at;

  EventTail(Path file) {
    this.file = file;
  }

  /// All events so far, of all agents.
  List<Json.Obj> events() throws IOException {
    if (Files.exists(file)) {
      try (FileChannel channel = FileChannel.open(file)) {
        ByteBuffer more = ByteBuffer.allocate((int) (channel.size() - at));
        at += Math.max(0, channel.read(more, at));
        take(more.flip());
      }
    }
    return events;
  }

  private void take(ByteBuffer bytes) {
    while (bytes.hasRemaining()) {
      byte next = bytes.get();
      if (next != '\n') {
        begun.write(next);
        continue;
      }
      try {
        events.add(JsonReader.readObject(begun.toByteArray()));
      } catch (JsonException e) {
        // Its agent was killed while it wrote the line.
        System.out.println("torn event: " + begun.toString(StandardCharsets.UTF_8));
      }
      begun.reset();
    }
  }

  long count(String kind) throws IOException {
    return events().stream().filter(event -> event.text("event").equals(kind)).count();
  }

  /// The ids that events of a kind name.
  List<String> ids(String kind) throws IOException {
    return events().stream()
        .filter(event -> event.text("event").equals(kind))
        .map(event -> event.text("id"))
        .toList();
  }
}
