"""How long `keepstone prune --dry-run` and `gc --dry-run` take, and how much memory, for runs of 10 to 100,000 checkpoints: see bench/run.

The runs are those of `bench/run list`, which makes and keeps them. Every figure is of a fresh process, the store in the page cache.
"""

import argparse
import datetime
import os
import statistics

from list import ROOT, made, measured


def main():
    parser = argparse.ArgumentParser(prog="bench/run prune")
    parser.add_argument("--counts", type=int, nargs="*", default=[10, 1000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=os.path.join(ROOT, "bench", "target", "list"))
    parser.add_argument("--results", default=os.path.join(ROOT, "bench", "RESULTS.md"), help="file to append to; - for none")
    options = parser.parse_args()
    rows = []
    for count in options.counts:
        store = made(os.path.abspath(options.folder), count)
        run = os.path.join(store, runs(store)[0])
        rules = ["--keep-last", "3", "--keep-every", "1000steps"]
        for name, words in (("`prune --dry-run`", ["prune", run, *rules, "--dry-run", "--json"]), ("`gc --dry-run`", ["gc", store, "--dry-run", "--json"])):
            taken = [measured(words) for _ in range(options.rounds)]
            seconds, peak = [one[0] for one in taken], max(one[1] for one in taken)
            rows.append(f"| {count:,} | {name} | {min(seconds):.2f} / **{statistics.median(seconds):.2f}** / {max(seconds):.2f} | {peak} |")
            print(rows[-1], flush=True)
    if options.results != "-":
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        with open(options.results, "a", encoding="utf-8") as file:
            file.write(
                "\n## Planning deletions\n\n"
                f"{now} · {os.cpu_count()} cores · `bench/run prune --rounds {options.rounds}` · fresh processes, warm page cache · min / **median** / max\n\n"
                "| checkpoints | command | seconds | most resident MiB |\n| --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
            )


def runs(store):
    return sorted(name for name in os.listdir(store) if os.path.exists(os.path.join(store, name, "run.json")))


if __name__ == "__main__":
    main()
