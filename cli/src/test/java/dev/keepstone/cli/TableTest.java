package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TableTest {
  @Test
  void cellsStandBelowTheirHeadAndNumbersToTheRight() {
    Table table = new Table(80, "  ", "id", "step>", "kept because");
    table.row("1-40", "40", "latest");
    table.row("10-12000", "12000", "last 3");
    assertThat(table.lines())
        .containsExactly(
            "  id         step  kept because",
            "  1-40         40  latest",
            "  10-12000  12000  last 3");
  }

  @Test
  void aLineThatIsTooLongIsCutWithASign() {
    Table table = new Table(12, "", "a", "b");
    table.row("12345", "67890 abcdef");
    assertThat(table.lines()).containsExactly("a      b", "12345  6789…");
  }

  @Test
  void aTableWithoutRowsIsNothing() {
    assertThat(new Table(80, "", "a").lines()).isEmpty();
  }
}
