"""The examples of many ranks: killed in one process or in all, resumed on as many, fewer and more."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys
from typing import Optional

import pytest
from real_agent import ROOT, Agent

STEPS = 20
SECONDS = 300


def torchrun(store: pathlib.Path, world: int, steps: int = STEPS) -> list[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(world), "--master-port", str(port)]
    example = ROOT / "examples" / "pytorch" / "train_fsdp.py"
    return [*launcher, str(example), *f"--width 16 --every 3steps --steps {steps} --store {store}".split()]


def jax(store: pathlib.Path, devices: int, steps: int = STEPS) -> list[str]:
    example = ROOT / "examples" / "jax" / "train.py"
    words = f"--run run --every 3steps --steps {steps} --devices {devices} --store {store}"
    return [sys.executable, str(example), *words.split()]


def workers(launcher: int) -> list[int]:
    """The processes that a launcher started, itself left out."""
    with open(f"/proc/{launcher}/task/{launcher}/children") as children:
        return [int(pid) for pid in children.read().split()]


def losses(
    command: list[str], log: pathlib.Path, kill_at: Optional[int] = None, one: bool = False
) -> tuple[dict[int, float], int]:
    """Runs until its end, or until it tells of a step: then one of its processes is killed, or all. The losses, and the step it began from."""
    found: dict[int, float] = {}
    begun = 0
    killed = False
    with open(log, "w") as error:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=error, text=True, start_new_session=True)
        assert process.stdout is not None
        for line in process.stdout:
            words = line.split()
            if words[:1] == ["restored"]:
                begun = int(words[2])
            if words[:1] == ["step"]:
                found[int(words[1])] = float.fromhex(words[3])
                if int(words[1]) == kill_at and not killed:
                    killed = True
                    # Workers have sessions of their own: a signal to the launcher's group does not reach them.
                    all_of_them = [*workers(process.pid), process.pid]
                    for pid in all_of_them[-2:-1] if one else all_of_them:
                        os.kill(pid, signal.SIGKILL)
        code = process.wait(SECONDS)
    assert (code == 0) == (kill_at is None), log.read_text()
    return found, begun


def check(agent: Agent, folder: pathlib.Path, command: list[list[str]], others: list[list[str]]) -> None:
    """The uninterrupted run, then three that go on one from the other; then others that go on where those ended."""
    log = folder / "log"
    expected, _ = losses(command[0], log)
    assert sorted(expected) == list(range(1, STEPS + 1))
    last = 0
    for words, kill_at, one in ((command[1], 8, True), (command[2], 15, False), (command[3], None, False)):
        found, begun = losses(words, log, kill_at, one)
        # At most the save in flight is lost, and where the sealed generation was whole, not even that.
        assert begun >= last, (begun, last)
        assert min(found) == begun + 1
        assert all(expected[step] == loss for step, loss in found.items())
        last = max(begun, 6 if kill_at == 8 else 9)
    for words in others:
        found, begun = losses(words, log)
        assert begun >= STEPS and min(found) == begun + 1
        # Another number of ranks or devices sums in another order, and drops out otherwise; it does not begin anew.
        assert all(abs(loss - expected[STEPS]) < 1 for loss in found.values()), (found, expected)
    assert agent.keepstone("verify", f"{folder / 'killed'}@latest", "--deep")["ok"]


def test_the_sharded_example_goes_on_after_kills_and_on_other_numbers_of_ranks(agent: Agent, tmp_path: pathlib.Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    check(
        agent,
        tmp_path,
        [torchrun(whole, 3), *(torchrun(killed, 3) for _ in range(3))],
        [torchrun(killed, 2, STEPS + 3), torchrun(killed, 4, STEPS + 6)],
    )


def test_the_jax_example_goes_on_after_kills_and_on_another_number_of_devices(agent: Agent, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("jax")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    # One process: killing one of its workers is killing it.
    log = tmp_path / "log"
    expected, _ = losses(jax(whole, 8), log)
    first, _ = losses(jax(killed, 8), log, kill_at=8)
    again, begun = losses(jax(killed, 8), log)
    assert begun >= 6 and min(again) == begun + 1 and max(again) == STEPS
    assert all(expected[step] == loss for found in (first, again) for step, loss in found.items())
    fewer, begun = losses(jax(killed, 2, STEPS + 3), log)
    assert begun == STEPS and sorted(fewer) == [STEPS + 1, STEPS + 2, STEPS + 3]
    assert all(abs(loss - expected[STEPS]) < 1 for loss in fewer.values()), (fewer, expected)
