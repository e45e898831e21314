"""Unchanged tensors are stored once: a frozen base with a trained adapter, restored, copied, exported and killed."""

from __future__ import annotations

import json
import pathlib
import shutil
import signal
import subprocess
import sys
from typing import Any

import keepstone
import pytest
import torch
from keepstone import Checkpointer
from real_agent import Agent
from torch import nn

SIZE = 512


class Adapted(nn.Module):
    """1 % trainable: a frozen base, and beside it what is trained."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.base = nn.Sequential(*(nn.Linear(SIZE, SIZE) for _ in range(6))).requires_grad_(False)
        self.down, self.up = nn.Linear(SIZE, 8, bias=False), nn.Linear(8, SIZE, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.up(self.down(x))  # type: ignore[no-any-return]


class Training:
    def __init__(self) -> None:
        self.model = Adapted()
        self.optimizer = torch.optim.AdamW([self.model.down.weight, self.model.up.weight], lr=0.01)
        self.state: dict[str, Any] = {"model": self.model, "optimizer": self.optimizer, "step": 0}

    def train(self, until: int) -> list[float]:
        losses = []
        while self.state["step"] < until:
            self.state["step"] += 1
            loss = self.model(torch.randn(4, SIZE)).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(float(loss.detach()))
        return losses


def show(agent: Agent, store: pathlib.Path, which: str) -> dict[str, Any]:
    return agent.keepstone("show", f"{store}/run@{which}")


def own_bytes(store: pathlib.Path, id: str) -> int:
    return sum(file.stat().st_size for file in (store / "run" / "checkpoints" / id).glob("*.safetensors"))


def written(agent: Agent, id: str) -> int:
    events = [json.loads(line) for line in (agent.directory / "events.jsonl").read_text().splitlines()]
    return sum(event["written"] for event in events if event["event"] == "drained" and event["id"] == id)


def test_a_frozen_base_is_written_once_and_its_users_restore_alone(
    agent: Agent, store: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    training = Training()
    torch.manual_seed(6)
    with Checkpointer(store, "run", frozen="base.*") as ckpt:
        for step in (1, 2, 3):
            training.train(step)
            saved = ckpt.save(step, training.state, wait=True)
    full = own_bytes(store, "1-1")
    assert saved.bytes < full / 10
    assert own_bytes(store, "1-3") == written(agent, "1-3") < full / 10
    seen = show(agent, store, "latest")
    assert seen["used_bytes"] > full * 0.9 and seen["bytes"] == full
    assert not seen["loadable_as_is"] and "1-1" in seen["why_not"]
    assert show(agent, store, "1")["loadable_as_is"]
    assert agent.keepstone("verify", f"{store}/run@latest", "--deep")["ok"]
    plan = agent.keepstone("prune", f"{store}/run", "--keep-last", 1, "--dry-run")["plan"]
    assert {entry["id"]: entry["action"] for entry in plan} == {"1-1": "keep", "1-2": "delete", "1-3": "keep"}
    assert any("uses its shards" in reason for entry in plan if entry["id"] == "1-1" for reason in entry["reasons"])

    torch.manual_seed(7)
    expected = training.train(8)
    copy = tmp_path / "copy"
    shutil.copytree(store, copy)
    for place in (store, copy):
        again = Training()
        for parameter in again.model.parameters():
            nn.init.zeros_(parameter)
        with Checkpointer(place, "run", frozen="base.*") as ckpt:
            at = ckpt.restore(again.state)
        assert at is not None and at.step == 3 and again.state["step"] == 3
        torch.manual_seed(7)
        assert again.train(8) == expected
        tree, _ = keepstone.load(f"{place}/run@latest")
        assert torch.equal(tree["model"]["base.0.weight"], training.model.base[0].weight)
    file = next((store / "run" / "checkpoints" / "1-1").glob("model-00000.*.1.safetensors"))
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    agent.keepstone("verify", f"{store}/run@latest", "--deep", status=6)


def test_what_nobody_declared_is_seen_and_then_written_once(agent: Agent, store: pathlib.Path) -> None:
    training = Training()
    with Checkpointer(store, "run") as ckpt:
        replanned = 0
        for step in range(1, 9):
            training.train(step)
            replanned += ckpt.save(step, training.state, wait=True).replanned
    assert replanned == 2, "the first layout, and the one that the agent asked for"
    full = own_bytes(store, "1-1")
    assert written(agent, "1-8") <= full / 10
    again = Training()
    with Checkpointer(store, "run") as ckpt:
        assert ckpt.restore(again.state) is not None
    for name, tensor in training.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name


KILLED = """
import os, signal, sys
import torch
sys.path.insert(0, sys.argv[2])
from test_frozen import Training
from keepstone import Checkpointer
training = Training()
torch.manual_seed(6)
ckpt = Checkpointer(sys.argv[1], "run", frozen="base.*")
for step in (1, 2, 3):
    training.train(step)
    ckpt.save(step, training.state)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("agent_too", [False, True], ids=["trainer", "trainer and agent"])
def test_a_killed_trainer_with_a_frozen_base_loses_nothing(
    agent: Agent, store: pathlib.Path, agent_too: bool
) -> None:
    here = str(pathlib.Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", KILLED, str(store), here], timeout=120)
    assert done.returncode == -signal.SIGKILL
    if agent_too:
        agent.kill()
    expected = Training()
    torch.manual_seed(6)
    expected.train(3)
    tensors = {name: tensor.clone() for name, tensor in expected.model.state_dict().items()}
    losses = expected.train(6)
    again = Training()
    for parameter in again.model.parameters():
        nn.init.zeros_(parameter)
    with Checkpointer(store, "run", frozen="base.*") as ckpt:
        at = ckpt.restore(again.state)
        assert at is not None and at.step == 3 and at.source == "memory"
        for name, tensor in tensors.items():
            assert torch.equal(again.model.state_dict()[name], tensor), name
        assert again.train(6) == losses
        assert ckpt.save(6, again.state, wait=True).durable
    assert own_bytes(store, "2-6") < own_bytes(store, "1-1") / 10, "the new start uses what the old one stored"


def test_a_frozen_transformers_model_is_exported_whole(
    agent: Agent, store: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    config = transformers.GPT2Config(n_layer=2, n_head=2, n_embd=32, vocab_size=100, n_positions=16)
    model = transformers.GPT2LMHeadModel(config)
    tokens = torch.arange(8)[None]
    with Checkpointer(store, "run", frozen=["transformer.wte.*", "transformer.h.*"]) as ckpt:
        for step in (1, 2):
            with torch.no_grad():
                model.transformer.ln_f.weight.add_(0.5)
            ckpt.save(step, {"model": model}, wait=True)
    model.eval()
    loads = {"1": store / "run" / "checkpoints" / "1-1", "2": tmp_path / "exported"}
    agent.keepstone("export", f"{store}/run@2", loads["2"])
    for which, place in loads.items():
        loaded, about = transformers.AutoModelForCausalLM.from_pretrained(place, output_loading_info=True)
        assert not about["missing_keys"] and not about["unexpected_keys"] and not about["mismatched_keys"]
        loaded.eval()
        assert torch.equal(loaded(tokens).logits, model(tokens).logits) == (which == "2")
    assert not (store / "run" / "checkpoints" / "1-2" / "model.safetensors.index.json").exists()
    assert show(agent, store, "1")["loadable_as_is"] and not show(agent, store, "2")["loadable_as_is"]
