"""MLPerf-Storage-shaped checkpointing, unofficial: an 8B model's geometry scaled to 1/20, eight logical ranks on this machine.

Per rank, as ZeRO-3 would leave it: a share of each weight in 16 bits and three large float32 tensors of the optimizer (12 bytes
a parameter); 392.9 M parameters, 5.12 GiB in all. So many saves, then so many restores, 5 s apart, a barrier before each; a save ends when it is committed
(every byte synced), a restore begins cold: Keepstone reads around the page cache. The ranks share two cores, so the aggregate comes first.
"""

import glob
import multiprocessing
import os
import secrets
import shutil
import statistics
import time

import numpy
import raw
from figures import Table, spread

import keepstone

RANKS = 8
LAYERS, HIDDEN, FFN, KV, VOCABULARY = 24, 1024, 3584, 256, 32064
GAP_SECONDS = 5.0


def weights():
    """Elements of each weight of the whole model."""
    yield "embed", VOCABULARY * HIDDEN
    for layer in range(LAYERS):
        yield f"layers.{layer}.qkv", HIDDEN * (HIDDEN + 2 * KV)
        yield f"layers.{layer}.out", HIDDEN * HIDDEN
        yield f"layers.{layer}.up", HIDDEN * 2 * FFN
        yield f"layers.{layer}.down", FFN * HIDDEN
        yield f"layers.{layer}.norms", 2 * HIDDEN
    yield "norm", HIDDEN
    yield "head", VOCABULARY * HIDDEN


def state_of(rank, seed):
    """This rank's share, of bytes that do not compress."""
    chance = numpy.random.default_rng([seed, rank])
    noise = chance.integers(0, 2**16, size=1 << 20, dtype=numpy.uint16)

    def piece(whole, dtype):
        share = -(-whole // RANKS)
        begin = min(rank * share, whole)
        local = numpy.resize(noise, min(share, whole - begin) * numpy.dtype(dtype).itemsize // 2).view(dtype)
        local = local.copy()
        if dtype is numpy.float32:
            local[~numpy.isfinite(local)] = 0
        return keepstone.Piece(local, offset=[begin], shape=[whole])

    parameters = sum(size for _, size in weights())
    model = {name: piece(size, numpy.uint16) for name, size in weights()}
    optimizer = {name: piece(parameters, numpy.float32) for name in ("master", "exp_avg", "exp_avg_sq")}
    return {"model": model, "optimizer": optimizer}


def bytes_of(state):
    return sum(piece.local.nbytes for part in state.values() for piece in part.values())


def _checkpointer(store, rank, token, **more):
    # Three shares of memory: two slots, and the trainer's own.
    return keepstone.Checkpointer(
        store, run="profile-a", rank=rank, world_size=RANKS, token=token, every=1, rng=False, close_timeout=1200, **more
    )


def _save(store, rank, token, barrier, times, answers):
    state = state_of(rank, 0)
    seconds, stalls = [], []
    with _checkpointer(store, rank, token, resume="never", keep_last=2) as ckpt:
        ckpt.save(1, state, wait=True)  # lays out and reserves, as the first save of a job does
        for step in range(2, 2 + times):
            for part in state.values():
                for piece in part.values():
                    piece.local[:1] += 1
            time.sleep(GAP_SECONDS)
            barrier.wait()
            begin = time.perf_counter()
            saved = ckpt.save(step, state)
            saved.wait()
            seconds.append(time.perf_counter() - begin)
            stalls.append(saved.stall_ms)
    answers.put((rank, bytes_of(state), seconds, stalls))


def _restore(store, rank, token, barrier, answers):
    state = state_of(rank, 1)
    ckpt = _checkpointer(store, rank, token)
    barrier.wait()
    begin = time.perf_counter()
    restored = ckpt.restore(state)
    seconds = time.perf_counter() - begin
    assert restored.source == "store", restored.source
    barrier.wait()
    ckpt.close()
    answers.put((rank, bytes_of(state), [seconds], []))


def _ranks(act, *arguments):
    spawn = multiprocessing.get_context("spawn")
    barrier, answers, token = spawn.Barrier(RANKS), spawn.Queue(), secrets.token_hex(16)
    store, rest = arguments[0], arguments[1:]
    processes = [
        spawn.Process(target=act, args=(store, rank, token, barrier, *rest, answers)) for rank in range(RANKS)
    ]
    for process in processes:
        process.start()
    found = sorted(answers.get(timeout=3600) for _ in processes)
    for process in processes:
        process.join()
    return found


def run(folder, times, results):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    store = os.path.join(folder, "profile-a")
    saved = _ranks(_save, store, times)
    total = sum(rank[1] for rank in saved)
    writes = [max(rank[2][i] for rank in saved) for i in range(times)]
    newest = max(glob.glob(os.path.join(store, "profile-a", "manifests", "*.json")), key=os.path.getmtime)
    shards = glob.glob(os.path.join(store, "profile-a", "checkpoints", os.path.basename(newest)[:-5], "*.safetensors"))
    reads, raw_reads = [], []
    for _ in range(times):
        raw_reads.append(raw.direct_read_seconds(shards))
        time.sleep(GAP_SECONDS)
        found = _ranks(_restore, store)
        reads.append(max(rank[2][0] for rank in found))
    source = raw.resident(1 << 30)
    raw_writes = []
    for _ in range(times):
        path = os.path.join(folder, "raw.bin")
        raw_writes.append(raw.direct_write_seconds(path, source, len(source)) * total / len(source))
        os.unlink(path)
    shutil.rmtree(folder)
    table = Table(
        "Profile A: MLPerf-Storage-shaped, unofficial; 8 logical ranks on 2 cores, 5.12 GiB in all",
        ["direction", "files", "seconds (slowest rank)", "sd", "aggregate GiB/s", "slowest rank GiB/s", "raw disk GiB/s", "stall of the slowest rank ms"],
    )
    share = min(rank[1] for rank in saved)
    gib = lambda bytes_, values: spread([bytes_ / v / 2**30 for v in values])
    stalls = [max(rank[3][i] for rank in saved) for i in range(times)]
    table.row("save", len(shards), spread(writes), f"{statistics.pstdev(writes):.2f}", gib(total, writes), gib(share, writes), gib(total, raw_writes), spread(stalls, 1))
    table.row("restore", len(shards), spread(reads), f"{statistics.pstdev(reads):.2f}", gib(total, reads), gib(share, reads), gib(total, raw_reads), "")
    table.write(results)
