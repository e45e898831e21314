"""(g) Unchanged tensors: what a save costs the trainer and the disk when 1 % of the bytes is trained."""

import json
import os
import shutil
import time

from figures import Table, ratios, spread
from state import change, flat_bytes, tensors

import keepstone

# The agent asks for another layout once it has seen what stays; then the layout has settled.
SETTLED_AFTER = 8


def run(folder, rounds, sizes, counts, results):
    stall = Table(
        "Frozen: save() with 1 % trainable against a full save of the same state",
        ["state", "tensors", "full save() ms", "save() with frozen= ms", "frozen / full"],
    )
    written = Table(
        "Unchanged tensors: bytes that a save writes when 1 % of the bytes change",
        ["state", "tensors", "declared frozen: % of the state", "seen by the agent: % of the state", "seen, less 1 % MiB"],
    )
    for gib in sizes:
        for count in counts:
            bytes_, full, frozen, declared, seen = measure(os.path.join(folder, "frozen"), int(gib * 2**30), count, rounds)
            ms = lambda values: spread([v * 1e3 for v in values], 2)
            stall.row(f"{gib:g} GiB", count, ms(full), ms(frozen), spread(ratios(frozen, full), 3))
            percent = lambda values: spread([100 * v / bytes_ for v in values], 3)
            over = spread([(v - bytes_ / 100) / 2**20 for v in seen], 3)
            written.row(f"{gib:g} GiB", count, percent(declared), percent(seen), over)
    stall.write(results)
    written.write(results)


def measure(store, byte_length, count, rounds):
    shutil.rmtree(store, ignore_errors=True)
    adapter = tensors(byte_length // 100, max(1, count // 100), seed=2)
    state = {"model": {"base": tensors(byte_length - byte_length // 100, count), "adapter": adapter}}
    bytes_ = flat_bytes(adapter) + flat_bytes(state["model"]["base"])
    common = dict(every="1steps", keep_last=2, resume="never", rng=False, budget=5 * bytes_)
    full, frozen, declared, seen = [], [], [], []
    with (
        keepstone.Checkpointer(store, run="full", **common) as whole,
        keepstone.Checkpointer(store, run="frozen", frozen="base.*", **common) as part,
    ):
        for step in range(1, SETTLED_AFTER + rounds):
            times = []
            for ckpt in (whole, part):
                change(adapter)
                begin = time.perf_counter()
                saved = ckpt.save(step, state)
                times.append(time.perf_counter() - begin)
                saved.wait()
                settled = not saved.replanned
                time.sleep(0.2)
            if step >= SETTLED_AFTER:
                assert settled
                full.append(times[0])
                frozen.append(times[1])
                seen.append(written_bytes("full", f"1-{step}"))
                declared.append(written_bytes("frozen", f"1-{step}"))
    shutil.rmtree(store)
    return bytes_, full, frozen, declared, seen


def written_bytes(run, checkpoint_id):
    """What the agent says it wrote of a checkpoint's shards."""
    with open(os.path.join(os.environ["KEEPSTONE_AGENT_DIR"], "events.jsonl"), encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            if event.get("event") == "drained" and event.get("id") == checkpoint_id and event.get("run") == run:
                return event["written"]
    raise RuntimeError(f"no drained event for {checkpoint_id}")
