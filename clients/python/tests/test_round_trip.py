"""Saving and restoring through a (fake) agent, from memory and from the store's stream."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from fake_agent import FakeAgent
from states import ALL_DTYPES, bits, draws, generators, plain_values, random_tensor, same
from torch import nn

import keepstone
from keepstone import Checkpointer, Refused


def save(state: dict[str, Any], step: int = 1, **options: Any) -> keepstone.Saved:
    with Checkpointer("/tmp/ks-fake", "run", resume="never", **options) as ckpt:
        return ckpt.save(step, state)


def restore(state: dict[str, Any], **options: Any) -> keepstone.Restored:
    strict = options.pop("strict", True)
    with Checkpointer("/tmp/ks-fake", "run", **options) as ckpt:
        restored = ckpt.restore(state, strict=strict)
    assert restored is not None
    return restored


def test_plain_values_come_back_and_the_root_stays_the_same_dict(fake: FakeAgent) -> None:
    state: dict[str, Any] = {"v": plain_values(), "list": [1, 2], "n": 3}
    save(state)
    again: dict[str, Any] = {"v": {}, "list": [], "n": 0}
    kept = again["list"]
    restored = restore(again)
    assert restored.state is again
    assert again["list"] is kept and kept == [1, 2]
    assert same(state, again)


@pytest.mark.parametrize("name", ALL_DTYPES)
def test_every_dtype_comes_back_bit_by_bit(fake: FakeAgent, name: str) -> None:
    shapes = [(3, 4), (0, 3), (1,), (5, 1, 2)] + ([] if name == "F4" else [()])
    tensors = {f"t{i}": random_tensor(name, shape, seed=i) for i, shape in enumerate(shapes)}
    tensors["strided"] = random_tensor(name, (4, 6), seed=9).t()
    if name != "F4":
        tensors["expanded"] = random_tensor(name, (1, 3), seed=10).expand(4, 3)
    state: dict[str, Any] = {"tensors": tensors}
    save(state)
    again: dict[str, Any] = {"tensors": {}}
    restore(again)
    for key, tensor in tensors.items():
        assert bits(again["tensors"][key]) == bits(tensor), key
    in_place: dict[str, Any] = {}
    in_place["tensors"] = {
        key: torch.empty_strided(t.shape, t.stride() if key == "strided" else t.contiguous().stride(), dtype=t.dtype)
        for key, t in tensors.items()
    }
    held = dict(in_place["tensors"])
    restore(in_place)
    for key, tensor in tensors.items():
        assert in_place["tensors"][key] is held[key]
        assert bits(held[key]) == bits(tensor), key


def test_arrays_of_every_kind_come_back(fake: FakeAgent) -> None:
    rng = np.random.default_rng(1)
    arrays: dict[str, Any] = {
        dt: rng.integers(0, 100, (3, 2)).astype(dt)
        for dt in ("?", "i1", "u2", "i4", "u8", "f2", "f4", "f8", "c8", "c16")
    }
    arrays["fortran"] = np.asfortranarray(rng.normal(size=(4, 3)))
    arrays["strided"] = rng.normal(size=(4, 6))[:, ::2]
    arrays["scalar"] = np.array(2.5)
    arrays["empty"] = np.zeros((0, 3))
    arrays["big_endian"] = np.arange(4, dtype=">i4")
    save({"a": arrays, "one": np.arange(3)})
    again: dict[str, Any] = {"a": {}, "one": np.zeros(3, int)}
    held = again["one"]
    restore(again)
    assert again["one"] is held and held.tolist() == [0, 1, 2]
    for key, array in arrays.items():
        assert again["a"][key].shape == array.shape
        assert again["a"][key].tolist() == array.tolist()
        assert key == "big_endian" or again["a"][key].dtype == array.dtype


def test_tensors_in_every_kind_of_container_come_back(fake: FakeAgent) -> None:
    import collections

    t = torch.arange(3.0)
    odict = collections.OrderedDict(w=t + 1)
    odict._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
    state: dict[str, Any] = {
        "list": [t, 1, [t + 2]],
        "tuple": (1, t, (t + 3, "x")),
        "odict": odict,
        "ddict": collections.defaultdict(list, {1: [t + 4]}),
        "keys": {1: t + 5, (1, 2): t + 6, "1": t + 7},
        "param": nn.Parameter(t + 8),
        "long": {"bytes": bytes(range(256)) * 100, "array": bytearray(20_000)},
    }
    save(state)
    again: dict[str, Any] = {key: None for key in state}
    restore(again)
    assert same(state, again)
    assert isinstance(again["param"], nn.Parameter)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(5, 4)
        self.body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.1))
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.wte.weight
        self.register_buffer("mask", torch.tensor([True, False]))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.wte(x)))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 1) -> list[float]:
    losses = []
    for _ in range(steps):
        loss = model(torch.randint(0, 5, (8,))).float().pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_a_module_with_tied_parameters_is_stored_once_per_tensor(fake: FakeAgent) -> None:
    torch.manual_seed(1)
    model = Tied()
    optimizer = torch.optim.AdamW(model.parameters())
    train(model, optimizer, 2)
    save({"model": model, "optimizer": optimizer})
    request = next(r for r in fake.requests if r["do"] == "register")
    names = [piece["name"] for piece in request["pieces"] if piece["component"] == "model"]
    assert "wte.weight" in names and "head.weight" not in names and "scratch" not in names
    assert request["state"]["state"]["model"]["head.weight"]["name"] == "wte.weight"
    expected = train(model, optimizer, 3)
    torch.manual_seed(9)
    other = Tied()
    state = {"model": other, "optimizer": torch.optim.AdamW(other.parameters())}
    restore(state)
    assert other.head.weight is other.wte.weight
    assert train(other, state["optimizer"], 3) == expected


def test_bf16_parameters_keep_fp32_moments_and_the_optimizer_is_never_touched_by_a_save(fake: FakeAgent) -> None:
    def build() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(2)
        model = nn.Linear(4, 3).to(torch.bfloat16)
        optimizer = torch.optim.AdamW(model.parameters(), lr=torch.tensor(0.01))
        for parameter in model.parameters():
            optimizer.state[parameter] = {
                "step": torch.tensor(3.0),
                "exp_avg": torch.randn(parameter.shape),
                "exp_avg_sq": torch.rand(parameter.shape),
            }
        return model, optimizer

    model, optimizer = build()
    before = copy.deepcopy(optimizer.state_dict())
    save({"optimizer": optimizer, "model": model})
    assert same(before["state"], optimizer.state_dict()["state"])
    for fresh_state in (False, True):
        other, other_optimizer = build()
        for parameter in other.parameters():
            if fresh_state:
                del other_optimizer.state[parameter]
            else:
                other_optimizer.state[parameter]["exp_avg"].zero_()
        assert not fresh_state or not other_optimizer.state
        restore({"optimizer": other_optimizer, "model": other})
        for index, slots in before["state"].items():
            for key, value in slots.items():
                found = other_optimizer.state_dict()["state"][index][key]
                assert bits(found) == bits(value), (index, key)


def test_an_optimizer_without_state_stays_without(fake: FakeAgent) -> None:
    model = nn.Linear(2, 2)
    save({"model": model, "optimizer": torch.optim.Adam(model.parameters())})
    other = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(other.parameters())
    other(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    restore({"model": other, "optimizer": optimizer})
    assert len(optimizer.state) == 0


@pytest.mark.parametrize(
    "kind",
    [
        "SGD",
        "Adam",
        "AdamW",
        "Adagrad",
        "RMSprop",
        "Adamax",
        "NAdam",
        "RAdam",
        "Rprop",
        "ASGD",
        "Adadelta",
        "LBFGS",
        "Adafactor",
    ],
)
def test_every_optimizer_of_torch_goes_on_as_it_was(fake: FakeAgent, kind: str) -> None:
    def build(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(seed)
        model = nn.Linear(3, 2)
        options = {"momentum": 0.9} if kind == "SGD" else {}
        return model, getattr(torch.optim, kind)(model.parameters(), lr=0.01, **options)

    def steps(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[float]:
        losses = []
        for step in range(3):
            x = torch.full((2, 3), 0.1 * step)

            def closure() -> torch.Tensor:
                optimizer.zero_grad()
                loss = (model(x) - 1).pow(2).mean()  # noqa: B023
                loss.backward()
                return loss

            losses.append(float(optimizer.step(closure)))
        return losses

    model, optimizer = build(1)
    steps(model, optimizer)
    save({"m": model, "o": optimizer})
    expected = steps(model, optimizer)
    model, optimizer = build(2)
    restore({"m": model, "o": optimizer})
    assert steps(model, optimizer) == expected


SCHEDULERS = {
    "StepLR": lambda o: torch.optim.lr_scheduler.StepLR(o, 2),
    "MultiStepLR": lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1, 3, 3]),
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=20),
    "Cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "Lambda": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda n: 1 / (n + 1)),
    "Plateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=1),
    "Sequential": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o, [torch.optim.lr_scheduler.LinearLR(o, total_iters=2), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)], [2]
    ),
    "Chained": lambda o: torch.optim.lr_scheduler.ChainedScheduler(
        [torch.optim.lr_scheduler.ConstantLR(o, total_iters=2), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)]
    ),
}


@pytest.mark.parametrize("kind", sorted(SCHEDULERS))
def test_every_scheduler_goes_on_as_it_was(one_fake: FakeAgent, kind: str) -> None:
    def build() -> tuple[Any, Any, Any]:
        model = nn.Linear(2, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return model, optimizer, SCHEDULERS[kind](optimizer)

    def steps(optimizer: Any, scheduler: Any) -> list[float]:
        rates = []
        for _ in range(3):
            optimizer.step()
            scheduler.step(*([1.0] if kind == "Plateau" else []))
            rates.append(optimizer.param_groups[0]["lr"])
        return rates

    model, optimizer, scheduler = build()
    steps(optimizer, scheduler)
    save({"m": model, "o": optimizer, "s": scheduler})
    expected = steps(optimizer, scheduler)
    model, optimizer, scheduler = build()
    restore({"m": model, "o": optimizer, "s": scheduler})
    assert steps(optimizer, scheduler) == expected


def test_several_modules_and_optimizers_keep_apart(fake: FakeAgent) -> None:
    def build(seed: int) -> dict[str, Any]:
        torch.manual_seed(seed)
        nets = {"gen": nn.Linear(2, 3), "disc": nn.Linear(2, 3)}
        ema = torch.optim.swa_utils.AveragedModel(nets["gen"])
        both = torch.optim.SGD([*nets["disc"].parameters(), *nets["gen"].parameters()], lr=0.1, momentum=0.9)
        only = torch.optim.Adam([{"params": [nets["gen"].bias], "lr": 0.5}, {"params": [nets["gen"].weight]}])
        for net in nets.values():
            net(torch.ones(1, 2)).sum().backward()
        both.step()
        only.step()
        return {"both": both, "only": only, "nets": nets, "ema": ema, "scaler": torch.amp.GradScaler("cpu")}

    state = build(1)
    save(state)
    again = build(2)
    restore(again)
    request = next(r for r in fake.requests if r["do"] == "register")
    named = {(p["component"], p["name"]) for p in request["pieces"]}
    assert {("nets.gen", "weight"), ("nets.disc", "bias"), ("ema", "weight"), ("ema", "n_averaged")} <= named
    assert {("both", "nets.gen.weight.momentum_buffer"), ("only", "bias.exp_avg")} <= named
    for name in ("gen", "disc"):
        assert bits(state["nets"][name].weight) == bits(again["nets"][name].weight)
    assert bits(state["ema"].module.weight) == bits(again["ema"].module.weight)
    for name in ("both", "only"):
        assert same(state[name].state_dict(), again[name].state_dict())


def test_random_state_goes_on_where_it_was(fake: FakeAgent) -> None:
    def draw() -> list[Any]:
        return [torch.rand(2).tolist(), np.random.normal(size=2).tolist(), random.random()]

    state = {"own": generators(3)}
    save(state)
    expected = draw(), draws(state["own"])
    torch.manual_seed(5)
    again = {"own": generators(4)}
    restore(again)
    assert (draw(), draws(again["own"])) == expected
    torch.manual_seed(5)
    first = torch.rand(1)
    torch.manual_seed(5)
    restore(again, rng=False)
    assert torch.equal(torch.rand(1), first)


class Stateful:
    def __init__(self) -> None:
        self.inner: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        return self.inner

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inner = state


class Extra(nn.Linear):
    label = "none"

    def get_extra_state(self) -> Any:
        return {"label": self.label, "t": torch.ones(2)}

    def set_extra_state(self, state: Any) -> None:
        self.label = state["label"]


def test_objects_with_a_state_of_their_own_take_it_back(fake: FakeAgent) -> None:
    thing, module = Stateful(), Extra(2, 2)
    thing.inner = {"t": torch.arange(4), "n": [1, {2: 3}], "g": torch.Generator().manual_seed(3)}
    module.label = "saved"
    empty = Stateful()
    save({"thing": thing, "nested": [empty, module]})
    again = {"thing": Stateful(), "nested": [Stateful(), Extra(2, 2)]}
    other = again["nested"][1]
    restore(again)
    assert same(again["thing"].inner, thing.inner)
    assert other.label == "saved" and bits(other.weight) == bits(module.weight)


def test_a_state_that_does_not_fit_is_refused_whole_and_nothing_is_touched(fake: FakeAgent) -> None:
    torch.manual_seed(1)
    save({"model": nn.Linear(3, 2), "extra": torch.ones(2), "n": 1})
    model = nn.Sequential(nn.Linear(3, 2))
    other = nn.Linear(4, 2)
    for state in ({"model": other, "extra": torch.zeros(2), "n": 0}, {"model": model, "extra": torch.zeros(2), "n": 0}):
        before = [bits(parameter) for parameter in state["model"].parameters()]
        with pytest.raises(Refused) as refused:
            restore(state)
        assert 'state["model"]["' in str(refused.value)
        assert before == [bits(parameter) for parameter in state["model"].parameters()]
        assert state["n"] == 0 and state["extra"].sum() == 0
    found = restore({"model": other, "extra": torch.zeros(2), "new": 0}, strict=False)
    assert found.mismatched == ['state["model"]["weight"]: F32 [2, 4] here, F32 [2, 3] in the checkpoint']
    assert found.missing == ['state["new"]'] and found.unexpected == ['state["n"]']
    assert found.state["extra"].sum() == 2


def test_what_is_restored_is_never_a_view_of_the_segment(one_fake: FakeAgent) -> None:
    torch.manual_seed(1)
    model = Tied()
    optimizer = torch.optim.AdamW(model.parameters())
    train(model, optimizer, 1)
    save({"m": model, "o": optimizer, "t": {"x": torch.ones(3)}})
    expected = {key: value.clone() for key, value in model.state_dict().items()}
    other = Tied()
    state: dict[str, Any] = {"m": other, "o": torch.optim.AdamW(other.parameters()), "t": {}}
    restore(state)
    train(other, state["o"], 10)
    state["t"]["x"].zero_()
    third = Tied()
    again: dict[str, Any] = {"m": third, "o": torch.optim.AdamW(third.parameters()), "t": {}}
    restore(again)
    assert again["t"]["x"].sum() == 3
    assert all(bits(value) == bits(expected[key]) for key, value in third.state_dict().items())
