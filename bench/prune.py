"""How long `keepstone prune --dry-run` and `gc --dry-run` take, and how much memory, for runs of 10 to 100,000 checkpoints: see bench/run.

The runs are those of `bench/run list`, which makes and keeps them. Every figure is of a fresh process, the store in the page cache.
"""

import argparse
import os

from list import ROOT, measure


def main():
    parser = argparse.ArgumentParser(prog="bench/run prune")
    parser.add_argument("--counts", type=int, nargs="*", default=[10, 1000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=os.path.join(ROOT, "bench", "target", "list"))
    parser.add_argument("--results", default=os.path.join(ROOT, "bench", "RESULTS.md"), help="file to append to; - for none")
    options = parser.parse_args()
    measure("Planning deletions", "prune", options, commands)


def commands(store):
    prune = ["prune", os.path.join(store, runs(store)[0]), "--keep-last", "3", "--keep-every", "1000steps", "--dry-run", "--json"]
    return {"`prune --dry-run`": prune, "`gc --dry-run`": ["gc", store, "--dry-run", "--json"]}


def runs(store):
    return sorted(name for name in os.listdir(store) if os.path.exists(os.path.join(store, name, "run.json")))


if __name__ == "__main__":
    main()
