package dev.keepstone.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class TrainerOptionsTest {
  @Test
  void whatIsNotSaidHasADefault() {
    assertThat(TrainerOptions.parse("--text", "docs", "--text", "README.md"))
        .isEqualTo(
            new TrainerOptions(
                List.of(Path.of("docs"), Path.of("README.md")), null, "demo", 100, 20, 3, 1, null));
  }

  @Test
  void everythingCanBeSaid() {
    assertThat(
            TrainerOptions.parse(
                "--text=docs --store=s --run=r --steps=7 --every=2 --keep=5 --seed=-9 --compare=c"
                    .split("[ =]")))
        .isEqualTo(
            new TrainerOptions(
                List.of(Path.of("docs")), Path.of("s"), "r", 7, 2, 5, -9, Path.of("c")));
  }

  @ParameterizedTest
  @CsvSource({
    "'--steps 0 --text d', '--steps must be at least 1, found 0'",
    "'--every x --text d', '--every needs a whole number, found x'",
    "'--text', '--text needs a value'",
    "'--stor s', 'unknown option --stor'",
    "'--steps 3', '--text is missing'"
  })
  void aMistakeIsNamed(String arguments, String message) {
    assertThatThrownBy(() -> TrainerOptions.parse(arguments.split(" ")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }
}
