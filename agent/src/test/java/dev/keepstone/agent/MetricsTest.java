package dev.keepstone.agent;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.segment.wire.RunStatus;
import dev.keepstone.segment.wire.SegmentStatus;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What the agent tells people and scrapers.
class MetricsTest {
  private static final String NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
  private static final Pattern TYPE =
      Pattern.compile("# TYPE (" + NAME + ") (counter|gauge|histogram)");
  private static final Pattern SAMPLE =
      Pattern.compile(
          "("
              + NAME
              + ")(\\{(?:"
              + NAME
              + "=\"(?:[^\"\\\\\n]|\\\\[\\\\\"n])*\",?)*\\})? (-?[0-9.]+(?:E-?[0-9]+)?)");

  @TempDir Path store;

  /// Reads the exposition format strictly: every sample after the type of its family, no family
  /// twice, no sample twice.
  private static Map<String, Double> parse(String page) {
    Map<String, String> types = new HashMap<>();
    Map<String, Double> samples = new HashMap<>();
    String family = "";
    for (String line : page.lines().toList()) {
      if (line.startsWith("# HELP ")) {
        continue;
      }
      Matcher type = TYPE.matcher(line);
      if (type.matches()) {
        family = type.group(1);
        assertThat(types.put(family, type.group(2))).as(family).isNull();
        continue;
      }
      Matcher sample = SAMPLE.matcher(line);
      assertThat(sample.matches()).as(line).isTrue();
      String name = sample.group(1);
      assertThat(
              name.equals(family)
                  || ("histogram".equals(types.get(family))
                      && name.matches(family + "_(bucket|sum|count)")))
          .as(line)
          .isTrue();
      String labels = sample.group(2) == null ? "" : sample.group(2);
      Double before = samples.put(name + labels, Double.valueOf(sample.group(3)));
      assertThat(before).as("twice: " + line).isNull();
    }
    assertThat(page).endsWith("\n");
    return samples;
  }

  private static String http(Nodes node, String request) throws IOException {
    try (SocketChannel channel =
        SocketChannel.open(UnixDomainSocketAddress.of(node.directory.socket()))) {
      ByteBuffer bytes = ByteBuffer.wrap(request.getBytes(UTF_8));
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      ByteArrayOutputStream all = new ByteArrayOutputStream();
      ByteBuffer some = ByteBuffer.allocate(4096);
      while (channel.read(some) >= 0) {
        all.write(some.array(), 0, some.position());
        some.clear();
      }
      return all.toString(UTF_8);
    }
  }

  @Test
  void aScraperReadsWhatHappenedFromTheSocket() throws Exception {
    try (Nodes node = new Nodes(1)) {
      node.start();
      RawTrainer trainer = node.trainer("00000000000000aa");
      trainer.start(store, "token", 3);
      trainer.register(RawTrainer.floats("model", 1000, "a", "b"), null);
      trainer.save(10);
      trainer.await("1-10");
      trainer.save(20);
      trainer.await("1-20");
      String answer = http(node, "GET /metrics HTTP/1.1\r\nHost: agent\r\n\r\n");
      assertThat(answer).startsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4");
      String page = answer.substring(answer.indexOf("\r\n\r\n") + 4);
      assertThat(answer).contains("Content-Length: " + page.getBytes(UTF_8).length + "\r\n");
      Map<String, Double> samples = parse(page);
      String run = "{store=\"" + store + "\",run=\"run\"}";
      assertThat(samples)
          .containsEntry("keepstone_saves_sealed_total" + run, 2.0)
          .containsEntry("keepstone_saves_committed_total" + run, 2.0)
          .containsEntry("keepstone_saves_failed_total" + run, 0.0)
          .containsEntry("keepstone_last_durable_step" + run, 20.0)
          .containsEntry("keepstone_queue" + run, 0.0)
          .containsEntry("keepstone_agent_budget_bytes", (double) (256L << 20))
          .containsEntry("keepstone_durable_seconds_count" + run, 2.0)
          .containsEntry("keepstone_stall_seconds_sum" + run, 0.002);
      assertThat(samples.get("keepstone_captured_bytes_total" + run)).isGreaterThan(16_000);
      assertThat(samples.get("keepstone_written_bytes_total" + run)).isGreaterThan(16_000);
      assertThat(samples.get("keepstone_agent_resident_bytes")).isPositive();
      String last = "{store=\"" + store + "\",run=\"run\",le=\"+Inf\"}";
      assertThat(samples).containsEntry("keepstone_stall_seconds_bucket" + last, 2.0);
      // The same by the verb; and whoever asks in frames is served as before.
      assertThat(parse(trainer.ask(new Request.Metrics()).text()).keySet())
          .isEqualTo(samples.keySet());
      trainer.close();
    }
  }

  @Test
  void everyMetricIsInTheGuideAndNoOther() throws Exception {
    String guide =
        Files.readString(
            Path.of(System.getProperty("keepstone.root"), "docs/guides/operations.md"));
    try (Nodes node = new Nodes(2)) {
      node.start();
      RawTrainer trainer = node.trainer("00000000000000aa");
      trainer.start(store, "token", 3);
      trainer.register(RawTrainer.floats("model", 10, "a"), null);
      trainer.save(10);
      trainer.await("1-10");
      String page = trainer.ask(new Request.Metrics()).text();
      assertThat(
              Pattern.compile("`(keepstone_[a-z_]+)`")
                  .matcher(guide)
                  .results()
                  .map(found -> found.group(1))
                  .distinct())
          .containsExactlyInAnyOrderElementsOf(
              TYPE.matcher(page).results().map(found -> found.group(1)).toList());
      trainer.close();
    }
  }

  @Test
  void anotherPageIsNotThereAndALongHeadEndsItsConnectionAlone() throws Exception {
    try (Nodes node = new Nodes(3)) {
      node.start();
      assertThat(http(node, "GET / HTTP/1.0\r\n\r\n")).startsWith("HTTP/1.1 404 Not Found");
      assertThat(http(node, "GET " + "x".repeat(8 << 10))).isEmpty();
      RawTrainer trainer = node.trainer("00000000000000aa");
      assertThat(trainer.ask(new Request.Status()).runs()).isEmpty();
      trainer.close();
    }
  }

  @Test
  void aSaveUnderWayIsToldWithItsPhases() throws Exception {
    try (Nodes node = new Nodes(4)) {
      node.start();
      RawTrainer trainer = node.trainer("00000000000000aa");
      trainer.start(store, "token", 3);
      // Slow enough that it is still under way when it is looked at.
      trainer.register(RawTrainer.floats("model", 1 << 20, "a"), 1L << 20);
      trainer.save(10);
      RunStatus run = trainer.ask(new Request.Status()).runs().getFirst();
      assertThat(run.saves()).hasSize(1);
      RunStatus.Save save = run.saves().getFirst();
      assertThat(save.id()).isEqualTo("1-10");
      assertThat(save.phases().getFirst().name()).isEqualTo("sealed");
      assertThat(save.phase()).isIn("sealed", "draining");
      assertThat(run.held()).isEqualTo(trainer.registered().fileBytes());
      assertThat(run.limitRate()).isEqualTo(1L << 20);
      trainer.ask(new Request.Rate(store.toString(), "run", null, null));
      trainer.await("1-10");
      RunStatus after = trainer.ask(new Request.Status()).runs().getFirst();
      assertThat(after.saves()).isEmpty();
      assertThat(after.lastDurable()).isEqualTo(10);
      assertThat(after.slowest()).isNotNull();
      trainer.close();
    }
  }

  @Test
  void whatADeadTrainerLeftIsListedWithItsFateAndFreedOnDemandOnceDurable() throws Exception {
    try (Nodes node = new Nodes(5)) {
      node.start();
      RawTrainer trainer = node.trainer("00000000000000aa");
      trainer.start(store, "token", 3);
      trainer.register(RawTrainer.floats("model", 1 << 20, "a"), 1L << 20);
      trainer.save(10);
      trainer.die();
      RawTrainer other = node.trainer("00000000000000bb");
      // Its death is noticed by its connection's end or by the next round.
      SegmentStatus left = awaitDead(other);
      assertThat(left.step()).isEqualTo(10);
      assertThat(left.fate()).isEqualTo("drains, then stays for a restart");
      Answer.Free early = other.ask(new Request.Free(null, null));
      assertThat(early).isEqualTo(new Answer.Free(0, 1));
      other.ask(new Request.Rate(store.toString(), "run", null, null));
      while (other.ask(new Request.Status()).runs().getFirst().queue() > 0) {
        Thread.onSpinWait();
      }
      SegmentStatus kept = other.ask(new Request.Status()).segments().getFirst();
      assertThat(kept.fate()).startsWith("stays for a restart until ");
      assertThat(other.ask(new Request.Free(store.toString(), "another")).freed()).isZero();
      Answer.Free freed = other.ask(new Request.Free(store.toString(), "run"));
      assertThat(freed).isEqualTo(new Answer.Free(left.bytes(), 0));
      assertThat(other.ask(new Request.Status()).segments()).isEmpty();
      assertThat(node.directory.segments()).isEmpty();
      Stores.requireWhole(store, "1-10");
      other.close();
      trainer.close();
    }
  }

  private static SegmentStatus awaitDead(RawTrainer asking) throws IOException {
    while (true) {
      SegmentStatus found = asking.ask(new Request.Status()).segments().getFirst();
      if (!found.living()) {
        return found;
      }
      Thread.onSpinWait();
    }
  }
}
