package dev.keepstone.cli;

import java.util.ArrayList;
import java.util.List;

/// Rows whose cells stand below each other, two spaces apart; the last column takes what is left of
/// the width and is cut with `…`.
final class Table {
  private static final String GAP = "  ";

  private final int columns;
  private final String indent;
  private final boolean[] right;
  private final List<List<String>> rows = new ArrayList<>();

  /// @param columns width of a line
  /// @param indent what stands before each row
  /// @param heads one per column; a head that ends in `>` aligns its column to the right
  Table(int columns, String indent, String... heads) {
    this.columns = columns;
    this.indent = indent;
    this.right = new boolean[heads.length];
    List<String> row = new ArrayList<>();
    for (int i = 0; i < heads.length; i++) {
      right[i] = heads[i].endsWith(">");
      row.add(right[i] ? heads[i].substring(0, heads[i].length() - 1) : heads[i]);
    }
    rows.add(row);
  }

  void row(String... cells) {
    rows.add(List.of(cells));
  }

  /// Nothing where there is no row but the head.
  List<String> lines() {
    if (rows.size() == 1) {
      return List.of();
    }
    int[] widths = new int[right.length];
    for (List<String> row : rows) {
      for (int i = 0; i < widths.length; i++) {
        widths[i] = Math.max(widths[i], length(row.get(i)));
      }
    }
    return rows.stream().map(row -> line(row, widths)).toList();
  }

  private String line(List<String> row, int[] widths) {
    StringBuilder line = new StringBuilder(indent);
    for (int i = 0; i < widths.length; i++) {
      String cell = row.get(i);
      String space = " ".repeat(widths[i] - length(cell));
      line.append(i == 0 ? "" : GAP).append(right[i] ? space + cell : cell + space);
    }
    return cut(line.toString().stripTrailing(), columns);
  }

  /// The text, or as much of it as fits with `…` at its end.
  static String cut(String text, int columns) {
    if (length(text) <= columns) {
      return text;
    }
    return text.substring(0, text.offsetByCodePoints(0, columns - 1)) + "…";
  }

  private static int length(String text) {
    return text.codePointCount(0, text.length());
  }
}
