"""Restores on several ranks: from any layout into any other, on any number of ranks, equal bit for bit to what torch gathered."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import ranks
from real_agent import Agent
from restores import Saved

# What was saved on how many ranks; and into which layouts it comes back on how many.
ROADS: list[tuple[Saved, int, dict[int, list[str]]]] = [
    (Saved("fsdp2", inner=8), 3, {3: ["fsdp2", "fsdp1", "fsdp1 flat"], 2: ["fsdp2", "ddp", "fsdp1 flat"], 4: ["fsdp2+tp", "hsdp", "fsdp1 hybrid"]}),
    (Saved("fsdp1"), 3, {3: ["fsdp1", "fsdp1 flat"], 2: ["fsdp2", "fsdp1", "fsdp1 whole"]}),
    (Saved("fsdp2+tp", inner=10, abrupt=True), 4, {4: ["fsdp2+tp", "hsdp"], 1: ["fsdp2", "ddp"]}),
    (Saved("ddp", dtype="bfloat16"), 2, {2: ["ddp", "fsdp2"], 3: ["fsdp2", "fsdp1"]}),
]
# With `--long`.
LONG: list[tuple[Saved, int, dict[int, list[str]]]] = [
    (Saved("tp", inner=8), 2, {2: ["tp", "fsdp2"], 4: ["tp", "fsdp2+tp"]}),
    (Saved("hsdp"), 4, {4: ["hsdp", "fsdp2"], 2: ["fsdp1"]}),
    (Saved("fsdp2", width=3, inner=2), 4, {4: ["fsdp2"], 3: ["fsdp2", "fsdp1 flat"], 1: ["fsdp2"]}),
    (Saved("fsdp1 flat"), 3, {3: ["fsdp1 flat", "fsdp2"], 4: ["fsdp1", "hsdp"]}),
    (Saved("fsdp1 hybrid"), 4, {4: ["fsdp1 hybrid", "hsdp"], 3: ["fsdp2"]}),
    (Saved("fsdp2", dtype="bfloat16", abrupt=True), 3, {3: ["fsdp2"], 2: ["fsdp1", "ddp"]}),
]


def returned(scene: str, world: int, place: pathlib.Path, **arguments: Any) -> list[Any]:
    # A file store keeps its keys: each launch needs one of its own.
    (place / "rendezvous").unlink(missing_ok=True)
    return ranks.returned(scene, world, place, **arguments)


def name(road: tuple[Saved, int, Any]) -> str:
    return f"{road[0].layout} {road[0].dtype} on {road[1]}"


def go(agent: Agent, place: pathlib.Path, road: tuple[Saved, int, dict[int, list[str]]]) -> None:
    saved, world, targets = road
    returned("keep", world, place, saved=saved)
    for there, layouts in targets.items():
        told = returned("give_back", there, place, saved=saved, layouts=layouts)
        assert all(sources == ["memory" if saved.abrupt else "store"] * len(layouts) for sources in told), told
    assert agent.keepstone("verify", f"{place}/ckpts/run", "--deep")["ok"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "road" in metafunc.fixturenames:
        roads = ROADS + LONG if metafunc.config.getoption("--long") else ROADS
        metafunc.parametrize("road", roads, ids=map(name, roads))


def test_any_layout_comes_back_in_any_other(agent: Agent, tmp_path: pathlib.Path, road: Any) -> None:
    go(agent, tmp_path, road)


def test_tensors_of_all_types_and_shapes_are_cut_anew(agent: Agent, tmp_path: pathlib.Path) -> None:
    saved = Saved("")
    returned("keep_odd", 3, tmp_path, saved=saved)
    for world in (1, 2, 3, 4):
        returned("give_back_odd", world, tmp_path, saved=saved, cuts=[0, 1, 2])
