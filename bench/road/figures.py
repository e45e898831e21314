"""Figures of a benchmark: minimum, median, maximum; ratios pair by pair; a Markdown row of each."""

import datetime
import os
import statistics
import sys


def spread(values, digits=2):
    values = sorted(values)
    return f"{values[0]:.{digits}f} / **{statistics.median(values):.{digits}f}** / {values[-1]:.{digits}f}"


def ratios(numerators, denominators):
    return [a / b for a, b in zip(numerators, denominators)]


class Table:
    """Rows of one benchmark, printed as they come and appended to a results file at the end."""

    def __init__(self, title, columns):
        self.title = title
        self.columns = columns
        self.rows = []

    def row(self, *cells):
        self.rows.append([str(cell) for cell in cells])
        print("  " + " | ".join(self.rows[-1]), flush=True)

    def write(self, path):
        lines = [
            f"## {self.title}",
            "",
            f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC · "
            f"{os.cpu_count()} cores · `{' '.join(['bench/run'] + sys.argv[1:])}` · min / **median** / max",
            "",
            "| " + " | ".join(self.columns) + " |",
            "| " + " | ".join("---" for _ in self.columns) + " |",
        ]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        if path:
            with open(path, "a", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n\n")
