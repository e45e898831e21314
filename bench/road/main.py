"""Chooses what to run; see bench/run."""

import argparse
import os

import commands
import drain
import frozen
import profile_a
import restore
import sharded
import stall
import steptime
import torch


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(prog="bench/run")
    parser.add_argument("what", choices=["stall", "drain", "restore", "steptime", "frozen", "sharded", "profile-a", "import", "verify", "inspect", "all"])
    parser.add_argument("--gib", type=float, nargs="*", default=[1, 4], help="sizes of the state (stall and frozen take all, the others the first)")
    parser.add_argument("--tensors", type=int, nargs="*", default=[300, 5000])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rate", default=None, help="pace of the drain in steptime, as --limit-rate")
    parser.add_argument("--folder", default=os.path.join(here, "..", "target", "road"))
    parser.add_argument("--results", default=os.path.join(here, "..", "RESULTS.md"))
    options = parser.parse_args()
    torch.set_num_threads(os.cpu_count())
    folder = os.path.abspath(options.folder)
    every = options.what == "all"
    if every or options.what == "stall":
        stall.run(folder, options.rounds, options.gib, options.tensors, options.results)
    if every or options.what == "frozen":
        frozen.run(folder, options.rounds, options.gib, options.tensors, options.results)
    if every or options.what == "drain":
        drain.run(folder, options.rounds, options.gib[0], options.results)
    if every or options.what == "restore":
        restore.run(folder, options.rounds, options.gib[0], options.results)
    if every or options.what == "sharded":
        sharded.run(folder, options.rounds, options.gib[0], options.results)
    if options.what == "profile-a":
        profile_a.run(folder, options.rounds, options.results)
    if every or options.what == "steptime":
        steptime.run(folder, options.gib[0], options.rate, options.results)
    if every or options.what == "import":
        commands.import_(folder, options.rounds, options.gib[0], options.results)
    if every or options.what == "verify":
        commands.verify(folder, options.rounds, options.gib[0], options.results)
    if every or options.what == "inspect":
        commands.inspect(folder, options.rounds, 100_000, options.results)


if __name__ == "__main__":  # a peer's process imports this file again
    main()
