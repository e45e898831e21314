"""(e) Step time of a one-thread CPU trainer while the agent drains: pairs of phases A (no drain), B (drain), A, B, with A/A as control."""

import os
import shutil
import statistics
import subprocess
import time

import torch
from figures import Table, spread
from state import change, tensors

import keepstone

PHASES = 12
STEPS_PER_PHASE = 60


def step_seconds(model, optimizer, data):
    begin = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    model(data).square().mean().backward()
    optimizer.step()
    return time.perf_counter() - begin


def run(folder, gib, rate, results):
    torch.set_num_threads(1)
    store = os.path.join(folder, "steptime")
    shutil.rmtree(store, ignore_errors=True)
    model = torch.nn.Sequential(*[torch.nn.Linear(512, 512) for _ in range(6)])
    optimizer = torch.optim.AdamW(model.parameters())
    data = torch.randn(64, 512)
    state = {"model": tensors(int(gib * 2**30), 300)}
    subprocess.run([os.path.join(os.environ["KEEPSTONE_HOME"], "keepstone"), "agent", "start"] + (["--limit-rate", rate] if rate else []), check=True, stdout=subprocess.DEVNULL)
    for _ in range(50):
        step_seconds(model, optimizer, data)
    medians = {"A": [], "B": []}
    drained = []
    with keepstone.Checkpointer(store, run="bench", every="1steps", keep_last=2, resume="never", rng=False) as ckpt:
        for step in range(1, 4):
            ckpt.save(step, state, wait=True)
        step = 4
        for phase in range(PHASES):
            kind = "AB"[phase % 2]
            times = []
            if kind == "B":
                change(state["model"])
                saved = ckpt.save(step, state)
                step += 1
                while not saved.durable:
                    times.append(step_seconds(model, optimizer, data))
                drained.append(saved.durable_ms / 1e3)
            else:
                times = [step_seconds(model, optimizer, data) for _ in range(STEPS_PER_PHASE)]
            medians[kind].append(statistics.median(times))
    shutil.rmtree(store)
    control = [a / b for a, b in zip(medians["A"][1:], medians["A"])]
    slower = [b / a for a, b in zip(medians["A"], medians["B"])]
    table = Table(
        "Step time of a one-thread trainer while the agent drains",
        ["state", "pace", "A/A control", "draining / not draining", "drain GB/s"],
    )
    table.row(f"{gib:g} GiB", rate or "none", spread(control, 3), spread(slower, 3), spread([gib * 2**30 / 1e9 / d for d in drained]))
    table.write(results)
