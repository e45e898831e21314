"""Saves on several ranks: real torch.distributed, real agents; what lies in the store is what torch gathers, bit for bit."""

from __future__ import annotations

import collections
import json
import pathlib
import re
import socket
import subprocess
import sys
from typing import Any

import keepstone
import pytest
import ranks
import torch
from real_agent import Agent


def same(found: torch.Tensor, expected: torch.Tensor, name: str) -> None:
    assert found.dtype == expected.dtype and found.shape == expected.shape, name
    assert (
        found.reshape(-1).view(torch.uint8).tolist()
        == expected.reshape(-1).view(torch.uint8).tolist()
    ), name


def written(store: pathlib.Path, id: str) -> dict[int, int]:
    """Tensor bytes that each rank stored."""
    bytes_of: dict[int, int] = collections.defaultdict(int)
    for file in sorted((store / "run" / "checkpoints" / id).glob("part-*.json")):
        part = json.loads(file.read_text())
        bytes_of[part["rank"]] += sum(
            piece["bytes"] for shard in part["shards"] for piece in shard["pieces"]
        )
    return dict(bytes_of)


LAYOUTS: list[tuple[str, int, dict[str, Any]]] = [
    ("fsdp2", 3, {}),
    ("fsdp2", 4, {"width": 3, "inner": 2}),
    ("hsdp", 4, {}),
    ("tp", 2, {"inner": 8}),
    ("fsdp2+tp", 4, {"inner": 10}),
    ("ddp", 3, {}),
    ("fsdp1", 3, {}),
    ("fsdp1", 2, {"sgd": True}),
    ("fsdp1 flat", 3, {}),
    ("fsdp1 whole", 2, {}),
    ("fsdp1 hybrid", 4, {}),
]


@pytest.mark.parametrize(
    "layout, world, arguments",
    LAYOUTS,
    ids=[f"{one[0]} on {one[1]}" for one in LAYOUTS],
)
def test_what_is_stored_is_what_torch_gathers(
    agent: Agent,
    tmp_path: pathlib.Path,
    layout: str,
    world: int,
    arguments: dict[str, Any],
) -> None:
    told = ranks.returned("save", world, tmp_path, layout=layout, **arguments)
    for of_rank in told:
        assert [one[0] for one in of_rank] == ["1-1", "1-2"]
        assert [one[2] for one in of_rank] == [True, False], (
            "the second save needs no new layout"
        )
    store = tmp_path / "ckpts"
    expected = torch.load(tmp_path / "whole.pt")
    tree, about = keepstone.load(f"{store}/run@latest")
    assert about.step == 2 and tree["steps"] == 2
    assert set(tree["model"]) == set(expected["model"])
    for name, tensor in expected["model"].items():
        same(tree["model"][name], tensor, name)
    slots = tree["optimizer"]["state"]
    assert set(slots) == set(expected["optimizer"])
    for name, of_name in expected["optimizer"].items():
        assert set(slots[name]) == set(of_name), name
        for slot, tensor in of_name.items():
            same(slots[name][slot], torch.as_tensor(tensor), f"{name}.{slot}")
    sizes = written(store, "1-2")
    tensors = [
        *expected["model"].values(),
        *(t for slots in expected["optimizer"].values() for t in slots.values()),
    ]
    assert sum(sizes.values()) == sum(tensor.nbytes for tensor in tensors), (
        "every byte once"
    )
    if layout in ("ddp", "hsdp", "fsdp1 hybrid"):
        assert max(sizes.values()) < 1.5 * min(sizes.values()), (
            "replicas are spread over those who hold them"
        )
    assert agent.keepstone("verify", f"{store}/run@latest", "--deep")["ok"]


def test_distributed_tensors_of_all_kinds(agent: Agent, tmp_path: pathlib.Path) -> None:
    ranks.returned("odd_tensors", 4, tmp_path)
    tree, _ = keepstone.load(f"{tmp_path}/ckpts/run")
    for name, tensor in torch.load(tmp_path / "whole.pt").items():
        same(tree["tensors"][name], tensor, name)


def test_pieces_are_what_the_trainer_says(agent: Agent, tmp_path: pathlib.Path) -> None:
    ranks.returned("pieces", 3, tmp_path)
    tree, _ = keepstone.load(f"{tmp_path}/ckpts/run")
    same(tree["columns"], torch.arange(40.0).view(4, 10), "columns")
    same(tree["table"], torch.arange(6.0), "table")
    same(tree["shared"], torch.full((3,), 7.0), "shared")
    assert tree["mine"] == {"bytes": bytes(20_000), "rank": 0}
    names = set()
    for file in (tmp_path / "ckpts" / "run" / "checkpoints" / "1-1").glob(
        "part-*.json"
    ):
        names |= {
            piece["name"]
            for shard in json.loads(file.read_text())["shards"]
            for piece in shard["pieces"]
        }
    assert {f"bytes.rank{rank}" for rank in range(3)} <= names, (
        "what is a rank's own is stored for each"
    )


def test_stages_of_a_pipeline_are_no_replicas(
    agent: Agent, tmp_path: pathlib.Path
) -> None:
    weights = ranks.returned("stages", 3, tmp_path)
    found: dict[str, int] = {}
    for file in (tmp_path / "ckpts" / "run" / "checkpoints" / "1-1").glob(
        "part-*.json"
    ):
        part = json.loads(file.read_text())
        for shard in part["shards"]:
            for piece in shard["pieces"]:
                assert (
                    found.setdefault(
                        f"{shard['component']}.{piece['name']}", part["rank"]
                    )
                    == part["rank"]
                )
    assert {name: found[name] for name in found if name.startswith("stage")} == {
        f"stage{rank}.{name}": rank for rank in range(3) for name in ("weight", "bias")
    }
    assert {"shared.weight", "shared.bias"} <= set(found)
    tree, _ = keepstone.load(f"{tmp_path}/ckpts/run")
    assert (
        tree["stage0"]["weight"].tolist() == weights[0][0]
        and tree["shared"]["weight"].tolist() == weights[0][1]
    )


@pytest.mark.parametrize(
    "scene, words",
    [
        ("unlike", r"x\.x is F32 \[2\] on rank 0 and F32 \[3\] on rank 1"),
        (
            "partial",
            r'holds sums that are not done yet\n  on    state\["inner"\]\["sums"\]',
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(
    agent: Agent, tmp_path: pathlib.Path, scene: str, words: str
) -> None:
    for one in ranks.run(scene, 2, tmp_path):
        assert re.search(words, one["error"]), one
        assert one["error"].startswith("Refused")


@pytest.mark.parametrize("processes", [1, 2])
def test_jax_arrays_of_any_sharding(
    agent: Agent, tmp_path: pathlib.Path, processes: int
) -> None:
    pytest.importorskip("jax")
    store = tmp_path / "ckpts"
    script = pathlib.Path(__file__).parent / "jax_scenes.py"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    several = [
        [str(processes), str(process), str(port)] if processes > 1 else []
        for process in range(processes)
    ]
    running = [
        subprocess.Popen(
            [sys.executable, script, store, str(8 // processes), *words],
            stdout=subprocess.PIPE,
            text=True,
        )
        for words in several
    ]
    told = [process.communicate(timeout=180)[0].split() for process in running]
    assert [process.returncode for process in running] == [0] * processes
    tree, about = keepstone.load(f"{store}/run@latest")
    assert about.step == 2 and tree["step"] == 2
    found = tree["params"]
    same(found["rows"], 2 * torch.arange(48.0).view(8, 6), "rows")
    same(
        found["columns"], 2 * torch.arange(48, dtype=torch.int32).view(6, 8), "columns"
    )
    same(found["grid"], 2 * torch.arange(64.0).view(8, 8), "grid")
    same(found["turned"], 2 * torch.arange(64, dtype=torch.uint8).view(8, 8), "turned")
    same(found["together"], 2 * torch.arange(16.0), "together")
    same(found["everywhere"], 2 * torch.arange(5.0), "everywhere")
    same(found["scalar"], torch.tensor(5.0), "scalar")
    same(found["flags"], torch.arange(8) % 3 == 0, "flags")
    same(found["brain"], 2 * torch.arange(16).bfloat16(), "brain")
    same(found["none"], torch.zeros(0, 4), "none")
    assert sum(int(size) for _, size in told) == sum(written(store, "1-2").values()), (
        "every byte once"
    )
    if processes > 1:
        assert min(written(store, "1-2").values()) > 200
