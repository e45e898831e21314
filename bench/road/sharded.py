"""Four ranks on this node: what a save costs each of them, the drain of all, and a restore on three."""

import glob
import json
import os
import shutil
import socket
import subprocess
import sys

import raw
from figures import Table, ratios, spread

HERE = os.path.dirname(os.path.abspath(__file__))
PER_TENSOR_SECONDS = 2e-6
FIXED_SECONDS = 2e-3


def ranks(world, *arguments):
    """Runs so many ranks; what each of them answered."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    running = []
    for rank in range(world):
        environment = dict(
            os.environ,
            PYTHONPATH=os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")]),
            RANK=str(rank),
            WORLD_SIZE=str(world),
            LOCAL_WORLD_SIZE=str(world),
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(port),
        )
        command = [sys.executable, "-W", "ignore", os.path.join(HERE, "sharded_rank.py"), *map(str, arguments)]
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    answers = [[json.loads(line) for line in process.communicate()[0].splitlines() if line.startswith("{")] for process in running]
    for process in running:
        if process.returncode != 0:
            raise RuntimeError(f"a rank ended with {process.returncode}")
    return answers


def drained_seconds(checkpoint_id):
    """From the first `draining` to the last `drained` of an id: the parts of all ranks of this node."""
    from datetime import datetime

    begun, ended = [], []
    with open(os.path.join(os.environ["KEEPSTONE_AGENT_DIR"], "events.jsonl"), encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            if event.get("id") == checkpoint_id and event["event"] in ("draining", "drained"):
                at = datetime.fromisoformat(event["at"].replace("Z", "+00:00")).timestamp()
                (begun if event["event"] == "draining" else ended).append(at)
    return max(ended) - min(begun)


def run(folder, rounds, gib, results):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    store, count = os.path.join(folder, "sharded"), 300
    saved = ranks(4, "saves", store, folder, gib, count, rounds)
    total = sum(rank[0]["bytes"] for rank in saved)
    # A step waits for its slowest rank.
    slowest = lambda field: [max(rank[i][field] for rank in saved) for i in range(rounds)]
    copy, stall, peer = slowest("copy"), slowest("stall"), slowest("peer")
    allowance = count * PER_TENSOR_SECONDS + FIXED_SECONDS
    ms = lambda values: spread([v * 1e3 for v in values], 1)
    table = Table(
        "Stall at 4 ranks: the slowest rank's save() against the slowest rank's memory copy of its bytes into its own segment",
        ["state", "tensors", "copy ms", "save() ms", "(save − 2 µs/tensor − 2 ms) / copy", "dcp.async_save: blocked ms"],
    )
    table.row(f"4 × {gib / 4:g} GiB", count, ms(copy), ms(stall), spread(ratios([s - allowance for s in stall], copy)), ms(peer))
    table.write(results)

    source = raw.resident(total // 4096 * 4096)
    write, drain = [], [drained_seconds(saved[0][i]["id"]) for i in range(rounds)]
    for _ in range(rounds):
        path = os.path.join(folder, "raw.bin")
        write.append(raw.direct_write_seconds(path, source, len(source)))
        os.unlink(path)
    rate = lambda values: spread([total / v / 1e9 for v in values])
    table = Table("Drain of 4 ranks against the raw disk (measured right after)", ["state", "raw direct write GB/s", "drain GB/s", "drain / raw"])
    table.row(f"4 × {gib / 4:g} GiB", rate(write), rate(drain), spread(ratios(write, drain)))
    table.write(results)
    del source

    newest = max(glob.glob(os.path.join(store, "bench", "checkpoints", "*")), key=os.path.getmtime)
    shards = glob.glob(os.path.join(newest, "*.safetensors"))
    peers = glob.glob(os.path.join(folder, "peer.dcp", "*"))
    read, ours, theirs = [], [], []
    for _ in range(max(3, rounds // 2)):
        read.append(raw.direct_read_seconds(shards))
        for path in shards:
            raw.drop_from_cache(path)
        answers = ranks(3, "restores", store, folder, gib, count, 1)
        assert all(rank[0]["right"] and rank[0]["source"] == "store" for rank in answers), answers
        ours.append(max(rank[0]["seconds"] for rank in answers))
        for path in peers:
            raw.drop_from_cache(path)
        theirs.append(max(rank[0]["seconds"] for rank in ranks(3, "peer", store, folder, gib, count, 1)))
    table = Table(
        "Restore on 3 ranks what 4 saved, cold, against the raw direct read of the same files and dcp.load",
        ["state", "raw read GB/s", "restore GB/s", "restore / raw", "dcp.load GB/s"],
    )
    table.row(f"{gib:g} GiB", rate(read), rate(ours), spread(ratios(read, ours)), rate(theirs))
    table.write(results)
    shutil.rmtree(folder)
