"""The example, killed at random moments, prints the losses of the uninterrupted run."""

from __future__ import annotations

import os
import pathlib
import random
import subprocess
import sys
import time

import pytest
from real_agent import ROOT, Agent

EXAMPLE = str(ROOT / "examples" / "pytorch" / "train.py")
STEPS = 120


def start(store: pathlib.Path, run: str) -> subprocess.Popen[str]:
    words = [
        sys.executable,
        EXAMPLE,
        "--store",
        str(store),
        "--run",
        run,
        "--steps",
        str(STEPS),
        "--every",
        "7steps",
        "--width",
        "32",
    ]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})


def losses(text: str) -> dict[int, str]:
    return {
        int(words[1]): words[3] for words in map(str.split, text.splitlines()) if len(words) == 4 and words[0] == "step"
    }


def test_killed_at_random_moments_every_loss_is_that_of_the_uninterrupted_run(
    agent: Agent, store: pathlib.Path, long: bool, seed: int
) -> None:
    whole = start(store, "whole")
    out, err = whole.communicate(timeout=300)
    assert whole.returncode == 0, err
    expected = losses(out)
    assert sorted(expected) == list(range(1, STEPS + 1))

    moments = random.Random(seed)
    kills, restored, compared = 20 if long else 6, [], 0
    for _ in range(kills):
        process = start(store, "killed")
        assert process.stdout is not None
        lines = [process.stdout.readline()]  # imports are over, training has begun
        after = moments.randrange(4, 30)
        while len(lines) < after and (line := process.stdout.readline()):
            lines.append(line)
        time.sleep(moments.random() * 0.01)
        process.kill()
        lines += process.stdout.read().splitlines(keepends=True)
        process.wait()
        found = losses("".join(line for line in lines if line.endswith("\n")))
        compared += len(found)
        assert found == {step: expected[step] for step in found}
        restored += [line.strip() for line in lines if line.startswith("restored")]
        if max(found, default=0) == STEPS:
            break
    process = start(store, "killed")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    found = losses(out)
    compared += len(found)
    assert found == {step: expected[step] for step in found} and (STEPS in found or "restored" in out)
    assert restored, "no restart restored anything"
    print(f"{kills} kills, {compared} losses compared; {restored}")


def test_the_process_may_end_right_after_a_save(agent: Agent, store: pathlib.Path, tmp_path: pathlib.Path) -> None:
    script = tmp_path / "ends.py"
    script.write_text(
        "import os, sys, torch, keepstone\n"
        "state = {'t': torch.arange(200_000.0), 'n': 7}\n"
        "ckpt = keepstone.Checkpointer(sys.argv[1], 'run')\n"
        "ckpt.restore(state)\n"
        "ckpt.save(3, state)\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, str(script), str(store)], check=True, timeout=120)
    import keepstone
    import torch

    state = {"t": torch.zeros(200_000), "n": 0}
    with keepstone.Checkpointer(store, "run") as ckpt:
        at = ckpt.restore(state)
    assert at is not None and at.step == 3
    assert torch.equal(state["t"], torch.arange(200_000.0)) and state["n"] == 7


@pytest.mark.parametrize("die", ["between saves", "while draining"])
def test_the_agent_is_killed_and_training_goes_on(agent: Agent, store: pathlib.Path, die: str) -> None:
    import keepstone
    import torch

    state = {"t": torch.zeros(100_000), "n": 0}
    with keepstone.Checkpointer(store, "run") as ckpt:
        ckpt.restore(state)
        saves = []
        for step in range(1, 5):
            state["t"].fill_(step)
            if step == 3:
                if die == "between saves":
                    saves[-1].wait()
                agent.kill()
            saves.append(ckpt.save(step, state))
        for saved in saves:
            assert saved.wait().durable
    tree, at = keepstone.load(f"{store}/run")
    assert at.step == 4 and bool((tree["t"] == 4).all())
    for step in (2, 3):
        tree, _ = keepstone.load(f"{store}/run@{step}")
        assert bool((tree["t"] == step).all())
