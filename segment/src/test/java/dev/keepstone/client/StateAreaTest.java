package dev.keepstone.client;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.SpecText;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class StateAreaTest {
  @Test
  void theExampleOfTheSpecIsWhatIsWritten() {
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put("loss", 2.5);
    metrics.put("grad_norm", Double.NaN);
    byte[] area = StateArea.encode(metrics, List.of(Json.of(81920), Json.object().build()));
    assertThat(new String(area, UTF_8))
        .isEqualTo(requireNonNull(SpecText.examples("segment.md").get("state-area")).strip());
  }
}
