"""Files of the torch that is installed are read as torch reads them, bit for bit."""

from __future__ import annotations

import collections
import json
import pathlib
import random

import numpy as np
import pytest
import torch
from real_agent import Agent
from safetensors.torch import load_file

DTYPES = [
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32",
    "uint64", "bool", "complex64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
    "float8_e8m0fnu",
]  # fmt: skip
SHAPES = [(), (1,), (7,), (0,), (3, 0, 2), (5, 1), (3, 4, 5), (1, 1, 1, 2), (65, 33)]


def raw(tensor: torch.Tensor) -> bytes:
    whole = tensor.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    return whole.reshape(-1).view(torch.uint8).numpy().tobytes()


def filled(dtype: torch.dtype, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    bound = 2 if dtype is torch.bool else 256
    size = int(np.prod(shape)) * torch.empty(0, dtype=dtype).element_size()
    return torch.randint(0, bound, (size,), dtype=torch.uint8, generator=generator).view(dtype).reshape(shape)


def views(tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    made = {"": tensor}
    if tensor.dim() > 1:
        made |= {".transposed": tensor.transpose(0, -1), ".tail": tensor[1:], ".column": tensor.select(-1, 0)[:]}
        made |= {".steps": tensor[::2], ".flipped_dims": tensor.permute(*reversed(range(tensor.dim())))}
    if tensor.dim() > 0 and tensor.size(0) == 1:
        made[".expanded"] = tensor.expand(3, *tensor.shape[1:])
    if tensor.is_complex():
        made[".conjugate"] = tensor.conj()
    return made


def check(agent: Agent, source: pathlib.Path, expected: dict[str, torch.Tensor], folder: pathlib.Path) -> None:
    run = folder / "store" / source.stem
    agent.keepstone("import", source, run)
    assert agent.keepstone("diff", source, f"{run}@latest")["equal"]
    target = folder / (source.stem + ".safetensors")
    agent.keepstone("export", f"{run}@latest", target)
    found = load_file(target)
    for name, tensor in expected.items():
        if name in found:  # one of several names of the same elements
            assert found[name].shape == tensor.shape and found[name].dtype == tensor.dtype, name
            assert raw(found[name]) == raw(tensor), name
    shown = agent.keepstone("inspect", source)
    tied = {name for name in shown["metadata"] if name in expected}
    assert set(found) | tied == set(expected)


@pytest.mark.parametrize("how", [{}, {"pickle_protocol": 4}, {"_use_new_zipfile_serialization": False}])
def test_every_dtype_shape_and_view(agent: Agent, tmp_path: pathlib.Path, how: dict[str, object]) -> None:
    generator = torch.Generator().manual_seed(11)
    tensors: dict[str, torch.Tensor] = {}
    for name in DTYPES:
        for shape in SHAPES:
            base = filled(getattr(torch, name), shape, generator)
            label = f"{name}_{'x'.join(map(str, shape))}"
            tensors |= {label + view: tensor for view, tensor in views(base).items()}
    file = tmp_path / "tensors.pt"
    torch.save(tensors, file, **how)
    check(agent, file, tensors, tmp_path)


def test_a_transposed_matrix_of_several_chunks(agent: Agent, tmp_path: pathlib.Path) -> None:
    generator = torch.Generator().manual_seed(12)
    matrix = torch.randn(3001, 2053, generator=generator)
    tensors = {"columns": matrix.t(), "cube": matrix[:3000].view(30, 100, 2053).permute(2, 0, 1)[1:]}
    file = tmp_path / "large.pt"
    torch.save(tensors, file)
    check(agent, file, tensors, tmp_path)


def test_a_training_state_is_imported_whole(agent: Agent, tmp_path: pathlib.Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 8))
    optimizer = torch.optim.AdamW(net.parameters())
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    net(torch.ones(2, 8)).sum().backward()
    optimizer.step()
    scheduler.step()
    state = {
        "state_dict": net.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [scheduler.state_dict()],
        "scaler": torch.amp.GradScaler("cpu").state_dict(),
        "rng": {"cpu": torch.get_rng_state(), "numpy": np.random.get_state(), "python": random.getstate()},
        "global_step": 17,
        "counts": collections.Counter("abca"),
        "path": pathlib.Path("/a/b"),
    }
    file = tmp_path / "last.ckpt"
    torch.save(state, file)
    run = tmp_path / "store" / "run"
    made = agent.keepstone("import", file, run)
    assert made["id"].endswith("-17")
    assert agent.keepstone("diff", file, f"{run}@latest")["equal"]
    assert agent.keepstone("verify", file, "--deep")["deep"]
    tree = agent.keepstone("inspect", file)["state"]["state"]
    assert tree["rng"]["python"]["v"][1]["v"] == list(random.getstate()[1])
    group = tree["optimizer_states"][0]["param_groups"][0]
    assert group["lr"] == optimizer.param_groups[0]["lr"] and group["params"] == [0, 1, 2, 3, 4, 5]
    assert json.dumps(tree["state_dict"]).count('"~": "tensor"') == len(net.state_dict())


def test_a_distributed_tensor_shows_its_local_part(agent: Agent, tmp_path: pathlib.Path) -> None:
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        spread = distribute_tensor(torch.arange(6.0).reshape(3, 2), init_device_mesh("cpu", (1,)), [Shard(0)])
        torch.save({"weight": spread, "step": 1}, tmp_path / "rank0.pt")
    finally:
        dist.destroy_process_group()
    shown = agent.keepstone("inspect", tmp_path / "rank0.pt")
    assert any(t["dtype"] == "F32" and t["shape"] == [3, 2] for t in shown["tensors"]), shown
    assert "torch.distributed.tensor.DTensor" in json.dumps(shown["state"])
