"""Tensors that are declared frozen: captured once, restored with the rest, and guarded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_agent import FakeAgent
from torch import nn

from keepstone import Checkpointer, Refused


class Adapted(nn.Module):
    """A base that stays and an adapter that is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
        self.adapter = nn.Linear(64, 1, bias=False)
        self.base.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.adapter(self.base(x))  # type: ignore[no-any-return]


def registrations(fake: FakeAgent) -> list[dict]:
    return [request for request in fake.requests if request["do"] == "register"]


def test_what_is_frozen_is_captured_once_and_restored_with_the_rest(fake: FakeAgent) -> None:
    torch.manual_seed(1)
    model = Adapted()
    with Checkpointer("/tmp/ks-fake", "run", frozen="base.*") as ckpt:
        full = sum(tensor.nbytes for tensor in model.state_dict().values())
        first = ckpt.save(1, {"model": model}, wait=True)
        assert first.bytes == model.adapter.weight.nbytes < full / 100
        with torch.no_grad():
            model.adapter.weight.add_(1)
        second = ckpt.save(2, {"model": model}, wait=True)
        assert not second.replanned
    frozen = [piece["name"] for piece in registrations(fake)[0]["pieces"] if piece.get("frozen")]
    assert frozen == ["base.0.weight", "base.0.bias", "base.1.weight", "base.1.bias"]
    other = Adapted()
    with Checkpointer("/tmp/ks-fake", "run", frozen="base.*") as ckpt:
        assert ckpt.restore({"model": other}) is not None
        ckpt.save(3, {"model": other}, wait=True)
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_a_frozen_tensor_that_is_written_to_is_refused_by_name(one_fake: FakeAgent) -> None:
    model = Adapted()
    with Checkpointer("/tmp/ks-fake", "run", frozen=["base.*"]) as ckpt:
        ckpt.save(1, {"model": model})
        with torch.no_grad():
            model.base[1].bias.add_(1)
        with pytest.raises(Refused, match=r"frozen and has been written to[^\n]*\n.*model\.base\.1\.bias"):
            ckpt.save(2, {"model": model})
        ckpt.wait()


def test_a_frozen_tensor_that_lies_elsewhere_is_captured_again(one_fake: FakeAgent) -> None:
    model = Adapted()
    with Checkpointer("/tmp/ks-fake", "run", frozen="base.*") as ckpt:
        ckpt.save(1, {"model": model}, wait=True)
        model.base[0].weight.data = model.base[0].weight.data * 2
        saved = ckpt.save(2, {"model": model}, wait=True)
        assert saved.replanned
        assert not ckpt.save(3, {"model": model}, wait=True).replanned
    (run,) = one_fake.runs.values()
    (found,) = run["ids"]["1-3"]
    (data,) = [data for piece, data in zip(found["pieces"], found["data"]) if piece["name"] == "base.0.weight"]
    data = np.frombuffer(data, "f4").reshape(64, 64)
    assert np.array_equal(data, model.base[0].weight.detach().numpy())


def test_a_pattern_that_matches_nothing_is_refused_with_names_that_are_there(one_fake: FakeAgent) -> None:
    with (
        Checkpointer("/tmp/ks-fake", "run", frozen=["base.*", "bass.*"]) as ckpt,
        pytest.raises(Refused, match=r"bass\.\*(.|\n)*names here: base\.0\.weight"),
    ):
        ckpt.save(1, {"model": Adapted()})
    with pytest.raises(Refused, match="frozen is a pattern"):
        Checkpointer("/tmp/ks-fake", "run", frozen=[1])  # type: ignore[list-item]


def test_what_the_optimizer_keeps_is_never_frozen(one_fake: FakeAgent) -> None:
    model = Adapted()
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 64)).sum().backward()
    optimizer.step()
    with Checkpointer("/tmp/ks-fake", "run", frozen="*") as ckpt:
        ckpt.save(1, {"model": model, "optimizer": optimizer})
        ckpt.wait()
    frozen = {piece["component"] for piece in registrations(one_fake)[0]["pieces"] if piece.get("frozen")}
    assert frozen == {"model"}


def test_a_layout_that_the_agent_asks_for_comes_with_the_next_save(one_fake: FakeAgent) -> None:
    state = {"t": torch.arange(10.0)}
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        one_fake.replan = True
        ckpt.save(1, state, wait=True)
        one_fake.replan = False
        assert ckpt.save(2, state, wait=True).replanned
        assert not ckpt.save(3, state, wait=True).replanned
    assert len(registrations(one_fake)) == 2
