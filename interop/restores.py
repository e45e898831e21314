"""What ranks do in tests of restores: save in one layout, come back in another. Scenes for `ranks.run`."""

from __future__ import annotations

import copy
import pathlib
from typing import Any, NamedTuple

import ranks
import torch
import torch.distributed as dist
from keepstone import Checkpointer
from keepstone._shards import spread
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor


class Saved(NamedTuple):
    """A training that is saved. `abrupt`: the processes end right after the save, so that the generation stays in memory."""

    layout: str
    width: int = 6
    inner: int = 7
    dtype: str = "float32"
    abrupt: bool = False


def training(saved: Saved, layout: str) -> tuple[nn.Module, Any]:
    torch.set_default_dtype(getattr(torch, saved.dtype))
    try:
        model = ranks.build(layout, saved.width, saved.inner)
    finally:
        torch.set_default_dtype(torch.float32)
    return model, torch.optim.AdamW(model.parameters(), lr=0.01)


def train(saved: Saved, model: nn.Module, optimizer: Any, seed: int) -> None:
    torch.set_default_dtype(getattr(torch, saved.dtype))
    ranks.train(model, optimizer, saved.width, seed=seed)
    torch.set_default_dtype(torch.float32)


def whole(layout: str, model: nn.Module, optimizer: Any) -> dict[str, Any]:
    found = ranks.whole(model, optimizer)
    if layout in ("fsdp1", "fsdp1 hybrid"):
        found["optimizer"] = ranks.slots_of_fsdp1(model, optimizer)
    return copy.deepcopy(found)  # what is whole already is not gathered, and trained on


@ranks.scene
def keep(rank: int, place: pathlib.Path, saved: Saved) -> Any:
    """Trains, saves, and leaves what torch gathers then, and after another training, beside the store."""
    model, optimizer = training(saved, saved.layout)
    train(saved, model, optimizer, seed=1)
    state = {"model": model, "optimizer": optimizer, "steps": 1, "mine": bytes([rank]) * 20_000}
    ckpt = Checkpointer(place / "ckpts", "run")
    ckpt.save(1, state, wait=True)
    if not saved.abrupt:
        ckpt.close()
    then = whole(saved.layout, model, optimizer)
    train(saved, model, optimizer, seed=2)
    later = whole(saved.layout, model, optimizer)
    if rank == 0:
        torch.save({"then": then, "later": later}, place / "whole.pt")


@ranks.scene
def give_back(rank: int, place: pathlib.Path, saved: Saved, layouts: list[str]) -> Any:
    """Restores into each layout, model and optimizer both new, and compares what torch gathers with what it gathered before."""
    told = []
    expected = torch.load(place / "whole.pt")
    for layout in layouts:
        model, optimizer = training(saved, layout)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(77)
        state: dict[str, Any] = {"model": model, "optimizer": optimizer, "steps": 0, "mine": b""}
        with Checkpointer(place / "ckpts", "run") as ckpt:
            at = ckpt.restore(state)
        assert at is not None and at.step == 1 and state["steps"] == 1, layout
        assert not at.missing and not at.unexpected and not at.mismatched, layout
        same_world = len(list((place / "ckpts" / "run" / "checkpoints" / "1-1").glob("part-*.json"))) == dist.get_world_size()
        assert state["mine"] == bytes([rank if same_world else 0]) * 20_000, layout
        assert bool(at.warnings) == (not same_world), at.warnings
        if layout.startswith("fsdp2") or layout in ("hsdp",):
            moments = [slot for slots in optimizer.state.values() for key, slot in slots.items() if key != "step"]
            assert all(isinstance(slot, DTensor) for slot in moments), layout
        compare(whole(layout, model, optimizer), expected["then"], layout)
        if layout == saved.layout and same_world:
            train(saved, model, optimizer, seed=2)
            compare(whole(layout, model, optimizer), expected["later"], f"{layout}, trained on")
        else:
            train(saved, model, optimizer, seed=2)  # whatever the layout, it can go on
        told.append(at.source)
    return told


def compare(found: dict[str, Any], expected: dict[str, Any], on: str) -> None:
    if not found["model"]:
        return  # FSDP1 gathers for rank 0 alone
    assert found["model"].keys() == expected["model"].keys(), on
    for name, tensor in expected["model"].items():
        same(found["model"][name], tensor, f"{on}: {name}")
    assert found["optimizer"].keys() == expected["optimizer"].keys(), on
    for name, slots in expected["optimizer"].items():
        assert found["optimizer"][name].keys() == slots.keys(), f"{on}: {name}"
        for slot, tensor in slots.items():
            same(torch.as_tensor(found["optimizer"][name][slot]), torch.as_tensor(tensor), f"{on}: {name}.{slot}")


def same(found: torch.Tensor, expected: torch.Tensor, on: str) -> None:
    assert found.dtype == expected.dtype and found.shape == expected.shape, (on, found.dtype, found.shape, expected.shape)
    assert torch.equal(found.contiguous().reshape(-1).view(torch.uint8), expected.contiguous().reshape(-1).view(torch.uint8)), on


def wholes(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {
        "rows": torch.randn(5, 3), "columns": torch.randn(3, 5).bfloat16(), "few": torch.arange(2) + seed,
        "grid": torch.randn(5, 7, dtype=torch.float64), "bytes": torch.arange(11, dtype=torch.int16) * seed,
        "flags": torch.randn(4, 6) > 0, "eighths": torch.randn(6, 4).to(torch.float8_e4m3fn),
        "scalar": torch.tensor(2.5) * seed, "none": torch.empty(0, 4), "one": torch.randn(1, 1),
    }  # fmt: skip


def distributed(seed: int, cut: int) -> dict[str, Any]:
    """Tensors of all kinds, each cut along one dimension or another, or over two, or not."""
    world = dist.get_world_size()
    line = init_device_mesh("cpu", (world,))
    grid = init_device_mesh("cpu", (2, world // 2)) if world % 2 == 0 else line
    found = {}
    for number, (name, tensor) in enumerate(wholes(seed).items()):
        options: list[Any] = [[Replicate()], *([Shard(dim)] for dim in range(tensor.dim()))]
        placements = options[(number + cut) % len(options)]
        mesh = line
        if grid is not line and (number + cut) % 3 == 0:
            mesh, placements = grid, [placements[0], options[-1][0]]
        found[name] = distribute_tensor(tensor, mesh, placements, src_data_rank=None)
    return found


def holds(found: dict[str, Any], expected: dict[str, torch.Tensor], on: str) -> None:
    """Compares what lies here of each tensor."""
    for name, tensor in expected.items():
        of = spread(found[name])
        assert of is not None and of.shape == tensor.shape
        for box in of.boxes:
            same(box.local, tensor[tuple(slice(o, o + e) for o, e in zip(box.offset, box.extent))], f"{name}, {on}")


@ranks.scene
def keep_odd(rank: int, place: pathlib.Path, saved: Saved) -> Any:
    with Checkpointer(place / "ckpts", "run") as ckpt:
        ckpt.save(1, {"t": distributed(3, 0)}, wait=True)


@ranks.scene
def give_back_odd(rank: int, place: pathlib.Path, saved: Saved, cuts: list[int]) -> Any:
    for cut in cuts:
        state = {"t": distributed(4, cut)}
        with Checkpointer(place / "ckpts", "run") as ckpt:
            assert ckpt.restore(state) is not None
        holds(state["t"], wholes(3), f"cut {cut}")
