package dev.keepstone.segment.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class WireErrorTest {
  static Stream<KeepstoneException> failures() {
    return Stream.of(
        new KeepstoneException.NotFound("a", "b", "c"),
        new KeepstoneException.Integrity("a", "b", "c"),
        new KeepstoneException.Refused("a", "b", "c"),
        new KeepstoneException.NoSpace("a", "b", "c"),
        new KeepstoneException.Busy("a", "b", "c"),
        new KeepstoneException.Denied("a", "b", "c"),
        new KeepstoneException.Fenced("a", "b", "c"),
        new KeepstoneException.OutcomeUnknown("a", "b", "c"),
        new KeepstoneException.Unsupported("a", "b", "c"),
        new KeepstoneException.AgentUnavailable("a", "b", "c"),
        new KeepstoneException.Failed("a", "b", "c", null));
  }

  @ParameterizedTest
  @MethodSource("failures")
  void aFailureCrossesTheSocketWithKindAndWords(KeepstoneException failure) {
    Json.Obj frame = WireError.frame(failure);
    assertThatThrownBy(() -> new Request.Next().readAnswer(frame))
        .isExactlyInstanceOf(failure.getClass())
        .hasMessage(failure.getMessage());
  }

  @Test
  void everyKindIsTried() {
    assertThat(failures().map(Object::getClass))
        .hasSameSizeAs(KeepstoneException.class.getPermittedSubclasses());
  }

  @Test
  void aTypeOfALaterVersionIsAFailureAllTheSame() {
    Json.Obj error =
        Json.object().put("type", "Later").put("what", "a").put("on", "b").put("next", "c").build();
    assertThat(WireError.read(error)).isInstanceOf(KeepstoneException.Failed.class);
  }
}
