"""Ranks as processes of their own: real torch.distributed over gloo, one agent. Imported by the fork server, so that torch is loaded once."""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import time
import traceback
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    FullyShardedDataParallel,
    ShardingStrategy,
    fully_shard,
)
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.distributed.tensor import (
    DTensor,
    Partial,
    Replicate,
    Shard,
    distribute_tensor,
)
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)


class Block(nn.Module):
    """Extents that no number of ranks divides, so that shards are uneven and some empty."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.scale * self.down(torch.tanh(self.up(x)))  # type: ignore[no-any-return]


class Model(nn.Module):
    def __init__(self, width: int = 6, inner: int = 7) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.blocks = nn.ModuleList([Block(width, inner), Block(width, inner)])
        self.head = nn.Linear(width, 2, bias=False)
        self.register_buffer("seen", torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        for block in self.blocks:
            x = block(x)
        return self.head(x)  # type: ignore[no-any-return]


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    width: int,
    steps: int = 2,
    seed: int = 9,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(4, width, generator=generator)).square().mean().backward()
        optimizer.step()


def _fsdp2(mesh: Any, model: Model) -> nn.Module:
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    return fully_shard(model, mesh=mesh)  # type: ignore[no-any-return]


def _tensor_parallel(model: Model, mesh: Any) -> Model:
    for block in model.blocks:
        parallelize_module(
            block, mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()}
        )
    return model


def build(layout: str, width: int = 6, inner: int = 7) -> nn.Module:
    """The model of one layout. Every rank makes the same one."""
    world = dist.get_world_size()
    model = Model(width, inner)
    if layout == "fsdp2":
        return _fsdp2(init_device_mesh("cpu", (world,)), model)
    if layout == "hsdp":
        return _fsdp2(
            init_device_mesh(
                "cpu", (2, world // 2), mesh_dim_names=("replicas", "shards")
            ),
            model,
        )
    if layout == "tp":
        return _tensor_parallel(model, init_device_mesh("cpu", (world,)))
    if layout == "fsdp2+tp":
        mesh = init_device_mesh(
            "cpu", (world // 2, 2), mesh_dim_names=("data", "tensor")
        )
        return _fsdp2(mesh["data"], _tensor_parallel(model, mesh["tensor"]))
    if layout == "ddp":
        return nn.parallel.DistributedDataParallel(model)
    policy = ModuleWrapPolicy({Block})
    originals = layout != "fsdp1 flat"
    if layout == "fsdp1 hybrid":
        mesh = init_device_mesh(
            "cpu", (2, world // 2), mesh_dim_names=("replicas", "shards")
        )
        return FullyShardedDataParallel(
            model,
            device_mesh=mesh,
            sharding_strategy=ShardingStrategy.HYBRID_SHARD,
            auto_wrap_policy=policy,
            use_orig_params=True,
            device_id=torch.device("cpu"),
        )
    strategy = (
        ShardingStrategy.NO_SHARD
        if layout == "fsdp1 whole"
        else ShardingStrategy.FULL_SHARD
    )
    return FullyShardedDataParallel(
        model,
        auto_wrap_policy=policy,
        use_orig_params=originals,
        sharding_strategy=strategy,
        device_id=torch.device("cpu"),
    )


FULL = StateDictOptions(full_state_dict=True, cpu_offload=True)


def whole(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The full state as torch gathers it, on every rank that gets it (collective calls, which Keepstone never makes)."""
    tensors = get_model_state_dict(model, options=FULL)
    moments = get_optimizer_state_dict(model, optimizer, options=FULL)
    return {"model": dict(tensors), "optimizer": moments["state"] if moments else {}}


def slots_of_fsdp1(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """The optimizer's state as the ranks' flat parts make it up, one after another. (torch's own gathering mixes up slots that some ranks do not have.)"""
    here = {
        name.replace("_fsdp_wrapped_module.", ""): {
            slot: tensor.clone()
            for slot, tensor in optimizer.state.get(parameter, {}).items()
        }
        for name, parameter in model.named_parameters()
    }
    everywhere: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everywhere, here)
    shapes = {
        name: tensor.shape
        for name, tensor in get_model_state_dict(model, options=FULL).items()
    }
    shards = (
        getattr(model, "process_group").size()
        if hasattr(model, "process_group")
        else len(everywhere)
    )
    found: dict[str, Any] = {}
    for name in here if shapes else ():  # torch gathers for rank 0 alone
        parts = [one[name] for one in everywhere[:shards] if one[name]]
        found[name] = {
            slot: parts[0][slot]
            if slot == "step"
            else torch.cat([part[slot] for part in parts]).view(shapes[name])
            for slot in parts[0]
        }
    return found


def _run(
    scene: str,
    rank: int,
    world: int,
    place: str,
    arguments: dict[str, Any],
    environment: dict[str, str],
) -> None:
    torch.set_num_threads(1)
    os.environ.update(environment)  # the fork server's is that of the first test
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), GLOO_SOCKET_IFNAME="lo")
    result: dict[str, Any]
    try:
        dist.init_process_group(
            "gloo",
            init_method=f"file://{place}/rendezvous",
            rank=rank,
            world_size=world,
        )
        result = {"result": SCENES[scene](rank, pathlib.Path(place), **arguments)}
        dist.barrier()
        dist.destroy_process_group()
    except BaseException as error:
        result = {
            "error": f"{type(error).__name__}: {error}",
            "trace": traceback.format_exc(),
        }
    (pathlib.Path(place) / f"result-{rank}.json").write_text(json.dumps(result))
    os._exit(0)


SCENES: dict[str, Callable[..., Any]] = {}


def scene(function: Callable[..., Any]) -> Callable[..., Any]:
    SCENES[function.__name__] = function
    return function


# Seconds that ranks are given to end by themselves after one of them failed.
PATIENCE = 20


def _failed(result: pathlib.Path) -> bool:
    try:
        return "error" in json.loads(result.read_text())
    except (FileNotFoundError, ValueError):
        return False


def run(
    scene: str, world: int, place: pathlib.Path, seconds: float = 120, **arguments: Any
) -> list[dict[str, Any]]:
    """Runs a scene on `world` processes; what each returned, or its error."""
    place.mkdir(parents=True, exist_ok=True)
    for old in place.glob("result-*.json"):
        old.unlink()
    ranks = multiprocessing.get_context("forkserver")
    ranks.set_forkserver_preload(["ranks"])
    environment = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("KEEPSTONE_")
    }
    processes = [
        ranks.Process(
            target=_run, args=(scene, rank, world, str(place), arguments, environment)
        )
        for rank in range(world)
    ]
    for process in processes:
        process.start()
    deadline = time.monotonic() + seconds
    while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
        multiprocessing.connection.wait([process.sentinel for process in processes if process.is_alive()], 1)
        if any(_failed(place / f"result-{rank}.json") for rank in range(world)):
            deadline = min(deadline, time.monotonic() + PATIENCE)  # the others may wait for it for long
    failed = [rank for rank in range(world) if _failed(place / f"result-{rank}.json")]
    late = [rank for rank, process in enumerate(processes) if process.is_alive()]
    for process in processes:
        process.kill()
    for rank in late if failed else ():
        (place / f"result-{rank}.json").write_text(json.dumps({"error": "ended", "trace": "ended, because another rank failed"}))
    assert not late or failed, f"ranks {late} of {scene} did not end within {seconds} s"
    return [
        json.loads((place / f"result-{rank}.json").read_text()) for rank in range(world)
    ]


def returned(
    scene: str, world: int, place: pathlib.Path, **arguments: Any
) -> list[Any]:
    """As `run`, where no rank may fail."""
    found = run(scene, world, place, **arguments)
    failed = [
        f"rank {rank}: {one['trace']}"
        for rank, one in enumerate(found)
        if "error" in one
    ]
    assert not failed, "\n".join(failed)
    return [one["result"] for one in found]


@scene
def save(
    rank: int,
    place: pathlib.Path,
    layout: str,
    width: int = 6,
    inner: int = 7,
    sgd: bool = False,
) -> Any:
    """Trains, saves twice (the second time without a new layout), and leaves what torch gathered beside it."""
    from keepstone import Checkpointer

    model = build(layout, width, inner)
    parameters = model.parameters()
    optimizer: torch.optim.Optimizer = (
        torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
        if sgd
        else torch.optim.AdamW(parameters, lr=0.01)
    )
    state = {"model": model, "optimizer": optimizer, "steps": 0}
    told = []
    with Checkpointer(place / "ckpts", "run") as ckpt:
        for step in (1, 2):
            train(model, optimizer, width, seed=step)
            state["steps"] = step
            saved = ckpt.save(step, state, wait=True)
            told.append([saved.id, saved.bytes, saved.replanned])
    gathered = whole(model, optimizer)
    if layout in ("fsdp1", "fsdp1 hybrid"):
        gathered["optimizer"] = slots_of_fsdp1(model, optimizer)
    if rank == 0:
        torch.save(gathered, place / "whole.pt")
    return told


@scene
def pieces(rank: int, place: pathlib.Path) -> Any:
    """Plain tensors of which each rank holds columns, and a table that only two hold."""
    import keepstone

    world = dist.get_world_size()
    whole = torch.arange(40.0).view(4, 10)
    begin, end = 10 * rank // world, 10 * (rank + 1) // world
    state: dict[str, Any] = {
        "columns": keepstone.Piece(
            whole[:, begin:end], offset=(0, begin), shape=(4, 10)
        ),
        "shared": torch.full((3,), 7.0),
        "mine": {"bytes": bytes([rank]) * 20_000, "rank": rank},
    }
    half = torch.arange(6.0)
    pair = [0, 1] if rank < 2 else [2]
    state["table"] = keepstone.Piece(
        half[: 3 if rank < 2 else 6][0 if rank < 2 else 3 :],
        offset=(0 if rank < 2 else 3,),
        shape=(6,),
        replicas=pair,
    )
    with keepstone.Checkpointer(place / "ckpts", "run") as ckpt:
        saved = ckpt.save(1, state, wait=True)
    return saved.bytes


@scene
def stages(rank: int, place: pathlib.Path) -> Any:
    """A pipeline: every rank has a plain module of its own, and one that all have."""
    from keepstone import Checkpointer

    torch.manual_seed(rank)
    stage = nn.Linear(3, 3)
    torch.manual_seed(99)
    state = {f"stage{rank}": stage, "shared": nn.Linear(4, 4)}
    with Checkpointer(place / "ckpts", "run") as ckpt:
        ckpt.save(1, state, wait=True)
    return [stage.weight.tolist(), state["shared"].weight.tolist()]


@scene
def unlike(rank: int, place: pathlib.Path) -> Any:
    """One name, and on every rank another shape: nothing says how these belong together."""
    from keepstone import Checkpointer

    with Checkpointer(place / "ckpts", "run", staging_timeout=20) as ckpt:
        ckpt.save(1, {"x": torch.zeros(2 + rank)})


@scene
def partial(rank: int, place: pathlib.Path) -> Any:
    from keepstone import Checkpointer

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    sums = DTensor.from_local(torch.ones(4), mesh, [Partial()])
    with Checkpointer(place / "ckpts", "run", staging_timeout=20) as ckpt:
        ckpt.save(1, {"inner": {"sums": sums}})


@scene
def odd_tensors(rank: int, place: pathlib.Path) -> Any:
    """DTensors cut along several dimensions, with empty parts, no elements, no dimensions, and other types."""
    from keepstone import Checkpointer

    world = dist.get_world_size()
    line = init_device_mesh("cpu", (world,))
    grid = init_device_mesh("cpu", (2, world // 2))
    torch.manual_seed(1)
    wholes = {
        "rows": (torch.randn(5, 3), line, [Shard(0)]),
        "columns": (torch.randn(3, 5).bfloat16(), line, [Shard(1)]),
        "few": (torch.arange(2), line, [Shard(0)]),
        "grid": (torch.randn(5, 7, dtype=torch.float64), grid, [Shard(0), Shard(1)]),
        "twice": (torch.arange(11, dtype=torch.int16), grid, [Shard(0), Shard(0)]),
        "mixed": (torch.randn(4, 6) > 0, grid, [Replicate(), Shard(1)]),
        "scalar": (torch.tensor(2.5), line, [Replicate()]),
        "none": (torch.empty(0, 4), line, [Shard(0)]),
    }
    state = {
        name: distribute_tensor(tensor, mesh, placements, src_data_rank=None)
        for name, (tensor, mesh, placements) in wholes.items()
    }
    with Checkpointer(place / "ckpts", "run") as ckpt:
        ckpt.save(1, {"tensors": state}, wait=True)
    if rank == 0:
        torch.save(
            {name: tensor for name, (tensor, _, _) in wholes.items()},
            place / "whole.pt",
        )
    return None
