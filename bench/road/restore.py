"""(c) Restoring cold from the store and from memory, (d) deep verify; each against the raw limit of the same bytes."""

import glob
import json
import os
import shutil
import subprocess
import sys
import time

import raw
import torch
from figures import Table, ratios, spread
from state import flat_bytes, tensors

import keepstone

HERE = os.path.dirname(os.path.abspath(__file__))

# A trainer that was started again: everything imported and its tensors resident before the clock starts, as in a real
# trainer, whose model exists before it restores.
FRESH_TRAINER = """
import json, sys, time
import keepstone
from state import tensors
state = tensors(int(float(sys.argv[2]) * 2**30), 300)
begin = time.perf_counter()
ckpt = keepstone.Checkpointer(sys.argv[1], run="bench", rng=False)
restored = ckpt.restore({"model": state})
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "source": restored.source}), flush=True)
import os
os._exit(0)
"""

# The same bytes by a bare program: map the file, touch each page by copying it into resident memory.
BARE = """
import json, mmap, os, sys, time
import raw
length = int(sys.argv[2]) // 4096 * 4096
target = raw.resident(length)
begin = time.perf_counter()
with open(sys.argv[1], "rb") as file:
    memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
import numpy
source = numpy.frombuffer(memory, dtype=numpy.uint8)[len(memory) - length:]
raw._libc.memmove(raw.address(target), source.ctypes.data, length)
print(json.dumps({"seconds": time.perf_counter() - begin}))
"""

TORCH_LOAD = """
import json, sys, time
import torch
begin = time.perf_counter()
torch.load(sys.argv[1], weights_only=True)
print(json.dumps({"seconds": time.perf_counter() - begin}))
"""

DCP_LOAD = """
import json, sys, time
import torch.distributed.checkpoint as dcp
from state import tensors
state = tensors(int(float(sys.argv[2]) * 2**30), 300)
begin = time.perf_counter()
dcp.load({"model": state}, checkpoint_id=sys.argv[1])
print(json.dumps({"seconds": time.perf_counter() - begin}))
"""


def fresh(program, *arguments):
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")]))
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(out.stdout.decode().splitlines()[-1])


def run(folder, rounds, gib, results):
    import torch.distributed.checkpoint as dcp

    store = os.path.join(folder, "restore")
    shutil.rmtree(folder, ignore_errors=True)
    state = tensors(int(gib * 2**30), 300)
    bytes_ = flat_bytes(state)
    with keepstone.Checkpointer(store, run="bench", every="1steps", keep_last=2, resume="never", rng=False) as ckpt:
        ckpt.save(1, {"model": state}, wait=True)
    torch.save(state, os.path.join(folder, "peer.pt"))
    dcp.save({"model": state}, checkpoint_id=os.path.join(folder, "peer.dcp"))
    shards = glob.glob(os.path.join(store, "bench", "checkpoints", "1-1", "*.safetensors"))
    dcp_files = glob.glob(os.path.join(folder, "peer.dcp", "*"))

    read, cold, verify, torch_load, dcp_load = [], [], [], [], []
    for _ in range(rounds):
        read.append(raw.direct_read_seconds(shards))
        for path in shards:
            raw.drop_from_cache(path)
        answer = fresh(FRESH_TRAINER, store, gib)
        assert answer["source"] == "store", answer
        cold.append(answer["seconds"])
        for path in shards:
            raw.drop_from_cache(path)
        verify.append(deep_verify_seconds(store))
        raw.drop_from_cache(os.path.join(folder, "peer.pt"))
        torch_load.append(fresh(TORCH_LOAD, os.path.join(folder, "peer.pt"))["seconds"])
        for path in dcp_files:
            raw.drop_from_cache(path)
        dcp_load.append(fresh(DCP_LOAD, os.path.join(folder, "peer.dcp"), gib)["seconds"])

    rate = lambda values: spread([bytes_ / v / 1e9 for v in values])
    table = Table(
        "Restore cold from the store, and deep verify, against the raw direct read",
        ["state", "raw read GB/s", "restore GB/s", "restore / raw", "deep verify GB/s", "verify / raw", "torch.load GB/s", "dcp.load GB/s"],
    )
    table.row(
        f"{gib:g} GiB", rate(read), rate(cold), spread(ratios(read, cold)), rate(verify), spread(ratios(read, verify)),
        rate(torch_load), rate(dcp_load),
    )
    table.write(results)
    from_memory(folder, rounds, gib, state, results)
    shutil.rmtree(folder)


def deep_verify_seconds(store):
    command = [os.path.join(os.environ["KEEPSTONE_HOME"], "keepstone"), "verify", f"{store}/bench@1-1", "--deep", "--json"]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout)["seconds"]


def from_memory(folder, rounds, gib, state, results):
    """The trainer is killed after its save; fresh ones restore from the sealed generation, a bare program copies the same file."""
    store = os.path.join(folder, "memory")
    program = FRESH_TRAINER.replace(
        "restored = ckpt.restore", "ckpt.restore"
    )
    seed = program.replace("seconds = time", "ckpt.save(1, {'model': state}, wait=True); restored = type('R', (), {'source': 'saved'}); seconds = time")
    fresh(seed, store, gib)
    bytes_ = flat_bytes(state)
    ours, bare = [], []
    for _ in range(rounds):
        segment = sorted(glob.glob(os.path.join(os.environ["KEEPSTONE_AGENT_DIR"], "*.segment")))[-1]
        bare.append(fresh(BARE, segment, bytes_)["seconds"])
        answer = fresh(FRESH_TRAINER, store, gib)
        assert answer["source"] == "memory", answer
        ours.append(answer["seconds"])
    rate = lambda values: spread([bytes_ / v / 1e9 for v in values])
    table = Table(
        "Restore from memory in a fresh process, end to end, against the same mapping and first touch by a bare program",
        ["state", "bare program GB/s", "restore GB/s", "restore / bare"],
    )
    table.row(f"{gib:g} GiB", rate(bare), rate(ours), spread(ratios(bare, ours)))
    table.write(results)
