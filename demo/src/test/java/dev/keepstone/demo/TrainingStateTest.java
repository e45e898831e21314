package dev.keepstone.demo;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.client.Source;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

final class TrainingStateTest {
  private static final Pattern LEAF =
      Pattern.compile("\"~\":\"tensor\",\"component\":\"(\\w+)\",\"name\":\"([^\"]+)\"");

  @BeforeAll
  static void oneThread() {
    Torch.begin();
  }

  @Test
  void theProgressComesBackFromTheValuesThatFillTheHoles() {
    Training training = training();
    training.step();
    Training.Progress progress = training.progress();
    List<Json> values = TrainingState.values(progress);
    Json.Obj filled =
        Json.object()
            .put(
                "state",
                Json.object()
                    .put("step", values.get(0))
                    .put("data", values.get(1))
                    .put("generator", values.get(2))
                    .build())
            .build();
    Training.Progress read = TrainingState.progress(filled);
    assertThat(read.step()).isEqualTo(1);
    assertThat(read.position()).isEqualTo(progress.position());
    assertThat(read.generator()).isEqualTo(progress.generator());
  }

  @Test
  void theTreeNamesEveryTensorOnce() {
    Training training = training();
    String tree = JsonWriter.compact(TrainingState.tree(training));
    List<String> leaves =
        LEAF.matcher(tree)
            .results()
            .map((MatchResult leaf) -> TrainingState.key(leaf.group(1), leaf.group(2)))
            .toList();
    Map<String, Source> sources = TrainingState.named(TrainingState.sources(training));
    assertThat(leaves).doesNotHaveDuplicates();
    assertThat(new TreeSet<>(leaves)).isEqualTo(new TreeSet<>(sources.keySet()));
    assertThat(sources.keySet())
        .contains("model/tokens.weight", "optimizer/blocks.0.mlp.up.bias.exp_avg_sq");
  }

  @Test
  void aSourceIsTheTensorThatTrainsAndNoCopy() {
    Training training = training();
    Source weight = TrainingState.named(TrainingState.sources(training)).get("model/tokens.weight");
    assertThat(weight).isNotNull();
    byte[] before = bytes(weight);
    training.step();
    assertThat(bytes(weight)).isNotEqualTo(before);
    assertThat(weight.piece().tensor().shape().extents()).containsExactly(256L, 16L);
  }

  private static byte[] bytes(Source source) {
    return source.bytes().get().toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
  }

  private static Training training() {
    byte[] text = "All of it has to come back. ".repeat(9).getBytes(StandardCharsets.UTF_8);
    return new Training(
        new Transformer.Form(16, 2, 2, 8, 0.2),
        AdamW.Rates.QUICKSTART,
        new Corpus(text, 8, 4, 1),
        1);
  }
}
