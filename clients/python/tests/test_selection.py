"""A part of a checkpoint, under other names: include, exclude, map; and what a strict restore says."""

from __future__ import annotations

from typing import Any, Optional

import pytest
import torch
from fake_agent import FakeAgent
from torch import nn

import keepstone
from keepstone import Checkpointer, Refused
from keepstone._selection import Selection, dotted


class Net(nn.Module):
    def __init__(self, inner: str = "encoder", seed: int = 1) -> None:
        super().__init__()
        torch.manual_seed(seed)
        setattr(self, inner, nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))
        self.head = nn.Linear(4, 2)
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(getattr(self, self.inner)(x))


def training(inner: str = "encoder", seed: int = 1) -> dict[str, Any]:
    model = Net(inner, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=seed / 10)
    model(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()
    return {"model": model, "optimizer": optimizer, "ema": Net(inner, seed + 10), "n": seed, "extra": {"lr": float(seed)}}


def save(state: dict[str, Any]) -> None:
    with Checkpointer("/tmp/ks-fake", "run", resume="never") as ckpt:
        ckpt.save(1, state, wait=True)


def restore(state: dict[str, Any], **options: Any) -> keepstone.Restored:
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        at = ckpt.restore(state, **options)
    assert at is not None
    return at


def tensors(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    found = {f"{key}.{name}": t.clone() for key in ("model", "ema") for name, t in state[key].state_dict().items()}
    names = {id(parameter): name for name, parameter in state["model"].named_parameters()}
    for parameter, slots in state["optimizer"].state.items():
        found.update({f"optimizer.{names[id(parameter)]}.{slot}": t.clone() for slot, t in slots.items()})
    return found


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one, other)


def test_paths_and_patterns() -> None:
    assert dotted('state["model"]["0.weight"][3]["a\\"b"]') == 'model.0.weight.3.a"b'
    chosen = Selection(["model.0", "opt*.exp_avg"], "model.0.bias")
    assert [chosen.has(name) for name in ("model.0.weight", "model.0.bias", "model.01", "model", "opt.w.exp_avg")] == [
        True, False, False, False, True,
    ]  # fmt: skip


CHOICES: list[tuple[Any, Any, list[str]]] = [
    ("model", None, ["model."]),
    (["model.encoder.*", "n"], None, ["model.encoder."]),
    (None, "optimizer", ["model.", "ema."]),
    (["optimizer", "model"], ["*.exp_avg", "model.head"], ["model.encoder.", "optimizer.*.exp_avg_sq", "optimizer.*.step"]),
    ("optimizer.head.*", None, ["optimizer.head."]),
]


@pytest.mark.parametrize("choice", range(len(CHOICES)))
def test_a_part_is_taken_and_the_rest_stays_as_it_is(one_fake: FakeAgent, choice: int) -> None:
    include, exclude, taken = CHOICES[choice]
    state = training()
    save(state)
    saved = tensors(state)
    again = training(seed=2)
    before = tensors(again)
    at = restore(again, include=include, exclude=exclude)
    assert not at.missing and not at.unexpected and not at.mismatched
    selection = Selection([f"{one}*" for one in taken])
    for name, tensor in tensors(again).items():
        expected = saved if selection.has(name) else before
        assert same(tensor, expected[name]), name
    plain = include is None or "n" in include
    assert again["n"] == (1 if plain else 2) and again["extra"]["lr"] == (1.0 if include is None else 2.0)
    groups = Selection(include, exclude).has("optimizer.param_groups")
    assert again["optimizer"].param_groups[0]["lr"] == (0.1 if groups else 0.2)


def test_a_pattern_that_matches_nothing_is_refused(one_fake: FakeAgent) -> None:
    save(training())
    with pytest.raises(Refused, match=r"no name matches 'modle\.\*'"):
        restore(training(seed=2), include=["model", "modle.*"])


def test_what_is_left_out_need_not_fit(one_fake: FakeAgent) -> None:
    save(training())
    other = training(seed=2)
    other["model"].head = nn.Linear(4, 7)
    other["new"] = torch.zeros(3)
    del other["ema"], other["optimizer"]
    at = restore(other, include="model", exclude="model.head")
    assert not at.missing and not at.unexpected and not at.mismatched
    with pytest.raises(Refused) as refused:
        restore(other)
    text = str(refused.value)
    assert "(1 missing, 2 unexpected, 2 mismatched)" in text
    assert 'missing in the checkpoint: state["new"]' in text and 'not in this state: state["ema"]' in text
    assert '["head.weight"]: F32 [7, 4] here, F32 [2, 4] in the checkpoint' in text
    at = restore(other, strict=False)
    assert at.missing == ['state["new"]'] and at.unexpected == ['state["optimizer"]', 'state["ema"]'] and len(at.mismatched) == 2


def renamed(name: str) -> Optional[str]:
    return name.replace("encoder", "backbone")


MAPS: list[Any] = [renamed, {r"\bencoder\.": "backbone."}, {r"^model\.encoder": "model.backbone", r"^ema\.encoder": "ema.backbone"}]


@pytest.mark.parametrize("which", range(len(MAPS)))
def test_renamed_parameters_keep_their_moments(one_fake: FakeAgent, which: int) -> None:
    state = training()
    save(state)
    again = training("backbone", seed=2)
    at = restore(again, map=MAPS[which])
    assert not at.missing and not at.unexpected and not at.mismatched
    expected = {name.replace("encoder", "backbone"): tensor for name, tensor in tensors(state).items()}
    found = tensors(again)
    assert found.keys() == expected.keys() and all(same(found[name], expected[name]) for name in found)


def test_one_module_is_filled_from_another(one_fake: FakeAgent) -> None:
    state = training()
    save(state)
    model = Net(seed=5)
    at = restore({"model": model}, include="model", map={r"^ema\.": "model."})
    assert not at.missing and not at.unexpected
    assert all(same(tensor, state["ema"].state_dict()[name]) for name, tensor in model.state_dict().items())


def test_names_that_fall_together_or_fit_nowhere_are_told(one_fake: FakeAgent) -> None:
    save({"model": Net()})
    with pytest.raises(Refused, match="two tensors"):
        restore({"model": Net(seed=2)}, map=lambda name: "model.head.weight" if name.endswith("weight") else name)
    with pytest.raises(Refused, match=r"model\.tail\.weight \(so named by map\)"):
        restore({"model": Net(seed=2)}, map={"head": "tail"})
    with pytest.raises(Refused, match="no regular expression"):
        restore({"model": Net(seed=2)}, map={"(": "tail"})
    model = Net(seed=2)
    before = model.head.weight.clone()
    at = restore({"model": model}, map=lambda name: None if "head" in name else name, strict=False)
    assert at.missing == ['state["model"]["head.weight"]', 'state["model"]["head.bias"]'] and not at.unexpected
    assert same(before, model.head.weight)
