"""What lies in the store is what real libraries write and read."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import keepstone
import pytest
import torch
from keepstone import Checkpointer, IntegrityError, _dtypes
from real_agent import Agent
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from states import ALL_DTYPES, bits, generators, plain_values, random_tensor, same
from torch import nn

# What safetensors itself cannot load in its 0.8: kept as bits by us, exported as U8 or not at all.
UNKNOWN_TO_SAFETENSORS = {"C32", "C128"}


def folder(store: pathlib.Path, id: str) -> pathlib.Path:
    return store / "run" / "checkpoints" / id


def shard(store: pathlib.Path, id: str, component: str) -> pathlib.Path:
    (found,) = folder(store, id).glob(f"{component}-00000.*.safetensors")
    return found


def fresh(value: Any) -> Any:
    return {key: fresh(item) for key, item in value.items()} if isinstance(value, dict) else torch.zeros_like(value)


def test_everything_a_state_can_hold_comes_back_from_memory_and_from_the_store(
    agent: Agent, store: pathlib.Path
) -> None:
    state: dict[str, Any] = {
        "values": plain_values(),
        "generators": generators(3),
        "tensors": {"list": [torch.arange(3), (torch.ones(2), "x")], 5: torch.eye(3).t(), "long": bytes(40_000)},
        "empty": {},
    }
    with Checkpointer(store, "run") as ckpt:
        ckpt.save(1, state, metrics={"loss": float("nan"), "acc": 0.5}, wait=True)
        again: dict[str, Any] = {"values": {}, "generators": generators(4), "tensors": {}, "empty": {}}
        with Checkpointer(store, "run") as second:
            at = second.restore(again)
        assert at is not None and at.source == "memory" and same(state, again)
    again = {"values": {}, "generators": generators(4), "tensors": {}, "empty": {}}
    with Checkpointer(store, "run") as third:
        at = third.restore(again)
    assert at is not None and at.source == "store" and at.metrics["acc"] == 0.5 and same(state, again)
    tree, loaded = keepstone.load(f"{store}/run@1")
    assert loaded.id == "1-1" and same(state, tree)


def test_all_dtypes_are_read_by_safetensors_bit_by_bit(
    agent: Agent, store: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    tensors = {name: random_tensor(name, (3, 4), seed=index) for index, name in enumerate(ALL_DTYPES)}
    tensors |= {f"{name}.empty": random_tensor(name, (0, 2), seed=1) for name in ALL_DTYPES}
    with Checkpointer(store, "run") as ckpt:
        ckpt.save(1, {"t": tensors}, wait=True)
    file = shard(store, "1-1", "t")
    theirs = load_file(file)
    for name, tensor in tensors.items():
        if name.split(".")[0] in UNKNOWN_TO_SAFETENSORS:
            assert theirs[name].dtype == torch.uint8 and theirs[name].numpy().tobytes() == bits(tensor)[2]
        else:
            assert bits(theirs[name]) == bits(tensor), name
    tree, _ = keepstone.load(f"{store}/run")
    assert same(tree["t"], tensors)
    plain = {name: tensor for name, tensor in tensors.items() if name.split(".")[0] not in UNKNOWN_TO_SAFETENSORS}
    save_file(plain, tmp_path / "theirs.safetensors")
    seen = agent.keepstone("inspect", tmp_path / "theirs.safetensors")
    described = {tensor["name"]: (tensor["dtype"], tuple(tensor["shape"])) for tensor in seen["tensors"]}
    for name, tensor in plain.items():
        dtype = name.split(".")[0]
        assert described[name] == (dtype, _dtypes.shape_of(dtype, tuple(tensor.shape)))
    exported = tmp_path / "exported.safetensors"
    agent.keepstone("export", f"{store}/run@latest", exported)
    theirs = load_file(exported)
    for name, tensor in plain.items():
        found = theirs.get(name, theirs.get(f"t.{name}"))
        assert found is not None and bits(found) == bits(tensor), name


def test_a_transformers_model_loads_from_the_checkpoints_folder_as_it_lies(agent: Agent, store: pathlib.Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    config = transformers.GPT2Config(n_layer=2, n_head=2, n_embd=32, vocab_size=100, n_positions=16)
    model = transformers.GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters())
    with Checkpointer(store, "run") as ckpt:
        ckpt.save(1, {"model": model, "optimizer": optimizer}, wait=True)
        tokens = torch.arange(8)[None]
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        ckpt.save(2, {"model": torch.compile(model), "optimizer": optimizer}, wait=True)
    model.eval()
    place = folder(store, "1-2")
    assert json.loads((place / "config.json").read_text())["architectures"] == ["GPT2LMHeadModel"]
    loaded, about = transformers.AutoModelForCausalLM.from_pretrained(place, output_loading_info=True)
    assert not about["missing_keys"] and not about["unexpected_keys"] and not about["mismatched_keys"]
    loaded.eval()
    assert torch.equal(loaded(tokens).logits, model(tokens).logits)
    assert loaded.lm_head.weight.data_ptr() == loaded.transformer.wte.weight.data_ptr()
    with safe_open(shard(store, "1-2", "model"), "pt") as opened:
        assert opened.metadata() == {"format": "pt"}
        assert "lm_head.weight" not in opened.keys()  # noqa: SIM118


def test_bf16_parameters_keep_fp32_moments(agent: Agent, store: pathlib.Path) -> None:
    def build(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(seed)
        model = nn.Linear(8, 8).to(torch.bfloat16)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        for parameter in model.parameters():
            moments = {"exp_avg": torch.randn(parameter.shape), "exp_avg_sq": torch.rand(parameter.shape)}
            optimizer.state[parameter] = {"step": torch.tensor(3.0), **moments}
        return model, optimizer

    model, optimizer = build(1)
    with Checkpointer(store, "run") as ckpt:
        ckpt.save(1, {"m": model, "o": optimizer}, wait=True)
    assert load_file(shard(store, "1-1", "o"))["weight.exp_avg"].dtype == torch.float32
    other, other_optimizer = build(2)
    other_optimizer.state.clear()
    with Checkpointer(store, "run") as ckpt:
        ckpt.restore({"m": other, "o": other_optimizer})
    assert bits(other.weight) == bits(model.weight)
    assert same(optimizer.state_dict()["state"], other_optimizer.state_dict()["state"])


def test_ten_steps_trained_after_a_memory_restore_leave_the_generation_whole(agent: Agent, store: pathlib.Path) -> None:
    def build(seed: int) -> dict[str, Any]:
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 1))
        return {"m": model, "o": torch.optim.AdamW(model.parameters(), lr=0.1)}

    def train(state: dict[str, Any], steps: int) -> None:
        for _ in range(steps):
            state["m"](torch.randn(8, 16)).pow(2).mean().backward()
            state["o"].step()
            state["o"].zero_grad()

    first = build(1)
    train(first, 2)
    with Checkpointer(store, "run") as ckpt:
        ckpt.save(2, first, wait=True)
        second, third = build(2), build(3)
        with Checkpointer(store, "run") as other:
            at = other.restore(second)
            assert at is not None and at.source == "memory"
            train(second, 10)
            with Checkpointer(store, "run") as another:
                at = another.restore(third)
            assert at is not None and at.source == "memory"
    assert same(first["m"].state_dict(), third["m"].state_dict())
    assert same(first["o"].state_dict()["state"], third["o"].state_dict()["state"])
    tree, _ = keepstone.load(f"{store}/run@2")  # what was drained from that generation, with its checksums
    assert same(dict(first["m"].state_dict()), tree["m"])


def test_everything_overwritten_right_after_save_and_saves_faster_than_the_drain(
    agent: Agent, store: pathlib.Path
) -> None:
    state = {"t": torch.zeros(500_000), "history": [0]}
    with Checkpointer(store, "run", keep_last=10) as ckpt:
        ckpt.restore(state)
        saves = []
        for step in range(1, 7):
            state["t"].fill_(step)
            state["history"].append(step)
            saves.append(ckpt.save(step, state))
            if step == 1:
                agent.rate(store, "run", 4 << 20)
            state["t"].fill_(-1)
            state["history"].clear()
            state["history"].append(-step)
        agent.rate(store, "run", None)
        assert all(saved.wait().durable for saved in saves)
        assert all(saved.replanned is (saved is saves[0]) for saved in saves)
    for step in range(1, 7):
        tree, at = keepstone.load(f"{store}/run@{step}")
        assert at.step == step and bool((tree["t"] == step).all())
        assert tree["history"] == [0 if step == 1 else -(step - 1), step]


def test_a_flipped_bit_is_named_by_file_tensor_and_bytes(agent: Agent, store: pathlib.Path) -> None:
    with Checkpointer(store, "run") as ckpt:
        ckpt.save(1, {"a": torch.zeros(10), "b": torch.zeros(600_000)}, wait=True)
    file = shard(store, "1-1", "b")
    data = bytearray(file.read_bytes())
    data[-5] ^= 4
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"bytes 2101248\.\.2404095 .*tensor b") as broken:
        keepstone.load(f"{store}/run")
    assert str(file) in str(broken.value)
    with pytest.raises(IntegrityError):
        keepstone.load(f"{store}/run", mmap=True)
    tree, _ = keepstone.load(f"{store}/run", include="a")
    assert list(tree) == ["a"]


def test_load_selects_maps_and_finds(agent: Agent, store: pathlib.Path) -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), momentum=0.9)
    with Checkpointer(store, "run") as ckpt:
        for step in (1, 2, 3):
            model(torch.ones(1, 3)).sum().backward()
            optimizer.step()
            ckpt.save(step, {"model": model, "optimizer": optimizer, "n": step}, wait=True)
    assert keepstone.load(f"{store}/run@latest~1")[1].id == "1-2"
    assert keepstone.load(str(store))[1].step == 3
    assert keepstone.load(f"{store}/run@1-1")[0]["n"] == 1
    tree, _ = keepstone.load(f"{store}/run", include=["model"], exclude="*.bias", mmap=True)
    assert list(tree["model"]) == ["weight"] and bits(tree["model"]["weight"]) == bits(model.weight)
    for wrong in ("@7", "@9-1", "@first~1"):
        with pytest.raises(keepstone.NotFound):
            keepstone.load(f"{store}/run{wrong}")
    with pytest.raises(keepstone.NotFound, match=r"keepstone\.json"):
        keepstone.load("/nowhere/at/all")


def test_several_modules_and_optimizers_keep_apart(agent: Agent, store: pathlib.Path) -> None:
    def build(seed: int) -> dict[str, Any]:
        torch.manual_seed(seed)
        gen, disc = nn.Linear(4, 4), nn.Linear(4, 4)
        ema = torch.optim.swa_utils.AveragedModel(gen)
        state = {
            "opts": {
                "g": torch.optim.AdamW(gen.parameters()),
                "d": torch.optim.SGD(disc.parameters(), lr=0.1, momentum=0.9),
            },
            "nets": {"gen": gen, "disc": disc},
            "ema": ema,
        }
        (gen(torch.ones(1, 4)).sum() + disc(torch.ones(1, 4)).sum()).backward()
        for optimizer in state["opts"].values():
            optimizer.step()
        return state

    state, again = build(1), build(2)
    with Checkpointer(store, "run") as ckpt:
        ckpt.save(1, state, wait=True)
    with Checkpointer(store, "run") as ckpt:
        ckpt.restore(again)
    for name in ("gen", "disc"):
        assert same(state["nets"][name].state_dict(), again["nets"][name].state_dict())
    for name in ("g", "d"):
        assert same(state["opts"][name].state_dict(), again["opts"][name].state_dict())
    assert same(state["ema"].state_dict(), again["ema"].state_dict())
    assert sorted(load_file(shard(store, "1-1", "nets.gen"))) == ["bias", "weight"]


def test_metrics_reported_later_and_tags_choose_what_is_restored(agent: Agent, store: pathlib.Path) -> None:
    state = {"model": nn.Linear(2, 2)}
    run = f"{store}/run"
    with Checkpointer(store, "run") as ckpt:
        for step in (1, 2, 3):
            ckpt.save(step, state, metrics={"loss": float(step)})
        ckpt.report(2, {"val_loss": 0.25})
        ckpt.wait()
    shown = agent.keepstone("show", f"{run}@1-2")
    assert shown["metrics"] == {"loss": 2.0, "val_loss": 0.25}
    assert agent.keepstone("tag", f"{run}@1-2", "paper")["tags"] == ["paper"]
    with Checkpointer(store, "run") as ckpt:
        at = ckpt.restore(state, which="paper")
        assert at is not None and at.id == "1-2"
    assert agent.keepstone("show", f"{run}@1-2")["durable_ms"] is not None
