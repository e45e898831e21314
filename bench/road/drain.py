"""(b) Draining with an idle trainer against the raw direct write of the same disk and torch.save + fsync; (f) the agent's cost."""

import json
import os
import shutil
import subprocess
import time

import raw
import torch
from figures import Table, ratios, spread
from state import change, flat_bytes, tensors

import keepstone


def agent_pid():
    with open(os.path.join(os.environ["KEEPSTONE_AGENT_DIR"], "agent.json"), encoding="utf-8") as file:
        return json.load(file)["pid"]


def agent_cost(pid):
    """CPU seconds so far and resident bytes that are not shared memory."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status", encoding="ascii") if ":" in line)
    return cpu, (int(status["RssAnon"].split()[0]) + int(status["RssFile"].split()[0])) * 1024


def drained_seconds(store, run, checkpoint_id):
    """Seconds from `draining` to `drained` of one id, as the agent's events tell."""
    path = os.path.join(os.environ["KEEPSTONE_AGENT_DIR"], "events.jsonl")
    with open(path, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            if event.get("event") == "drained" and event.get("id") == checkpoint_id and event.get("run") == run:
                return event["ms"] / 1e3
    raise RuntimeError(f"no drained event for {checkpoint_id}")


def run(folder, rounds, gib, results):
    table = Table(
        "Drain with an idle trainer against the raw disk and torch.save",
        ["state", "raw direct write GB/s", "drain GB/s", "drain / raw", "torch.save + fsync, new file: ours ×", "torch.save + fsync, rewritten: ours ×"],
    )
    cost = Table("The agent's own cost", ["state", "CPU s per GiB drained", "resident beyond the segment MiB, most seen"])
    store = os.path.join(folder, "drain")
    shutil.rmtree(store, ignore_errors=True)
    state = tensors(int(gib * 2**30), 300)
    bytes_ = flat_bytes(state) // 4096 * 4096
    source = raw.resident(bytes_)
    write, drain, fresh, again, cpu_per_gib, most = [], [], [], [], [], 0
    os.makedirs(folder, exist_ok=True)
    rewritten = os.path.join(folder, "rewritten.pt")
    save_and_sync(state, rewritten)
    with keepstone.Checkpointer(store, run="bench", every="1steps", keep_last=2, resume="never", rng=False, budget=3 * bytes_) as ckpt:
        for step in range(1, 4):
            ckpt.save(step, {"model": state}, wait=True)
        pid = agent_pid()
        for step in range(4, 4 + rounds):
            path = os.path.join(folder, "raw.bin")
            write.append(raw.direct_write_seconds(path, source, bytes_))
            os.unlink(path)
            before, _ = agent_cost(pid)
            change(state)
            saved = ckpt.save(step, {"model": state}, wait=True)
            drain.append(drained_seconds(store, "bench", saved.id))
            after, resident = agent_cost(pid)
            cpu_per_gib.append((after - before) / (bytes_ / 2**30))
            most = max(most, resident)
            path = os.path.join(folder, "fresh.pt")
            fresh.append(save_and_sync(state, path))
            os.unlink(path)
            again.append(save_and_sync(state, rewritten))
    shutil.rmtree(folder)
    rate = lambda values: spread([bytes_ / v / 1e9 for v in values])
    table.row(f"{gib:g} GiB", rate(write), rate(drain), spread(ratios(write, drain)), spread(ratios(fresh, drain)), spread(ratios(again, drain)))
    cost.row(f"{gib:g} GiB", spread(cpu_per_gib), f"{most / 2**20:.0f}")
    table.write(results)
    cost.write(results)


def save_and_sync(state, path):
    begin = time.perf_counter()
    with open(path, "r+b" if os.path.exists(path) else "w+b") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - begin
