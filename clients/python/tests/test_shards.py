"""What lies where: boxes of distributed tensors against torch's own way of cutting."""

from __future__ import annotations

import math
import random
import threading
import time

import pytest
import torch
from torch.distributed.tensor.placement_types import Shard, _StridedShard

from keepstone import Busy, Piece, Refused, _ranks
from keepstone._ranks import Ranks
from keepstone._shards import _boxes, _chunked, boxes_of_flat, spread


@pytest.mark.parametrize("seed", range(20))
def test_a_part_of_a_dimension_is_what_torch_gives(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    size = chance.randrange(0, 30)
    splits, outer, inner = chance.randrange(1, 4), chance.randrange(1, 5), chance.randrange(1, 4)
    whole = torch.arange(size)
    first = _StridedShard(0, split_factor=splits)._split_tensor(whole, outer, with_padding=False)[0]
    for i, part in enumerate(first):
        ranges = _chunked([(0, size)], splits, outer, i)
        assert [n for begin, end in ranges for n in range(begin, end)] == part.tolist()
        second = Shard(0)._split_tensor(part, inner, with_padding=False)[0]
        for j, small in enumerate(second):
            below = _chunked(ranges, 1, inner, j)
            assert [n for begin, end in below for n in range(begin, end)] == small.tolist()


def test_boxes_are_views_of_the_local_memory_in_its_order() -> None:
    whole = torch.arange(60).view(10, 6)
    rows, columns = [(0, 2), (5, 8)], [(1, 2), (4, 6)]
    local = whole[[0, 1, 5, 6, 7]][:, [1, 4, 5]]
    found = list(_boxes([rows, columns], local))
    assert len(found) == 4
    for offset, extent, part in found:
        box = tuple(slice(o, o + e) for o, e in zip(offset, extent))
        assert torch.equal(part, whole[box])
        assert part.untyped_storage().data_ptr() == local.untyped_storage().data_ptr()


@pytest.mark.parametrize("seed", range(40))
def test_a_flat_range_is_cut_into_few_boxes_that_cover_it(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    shape = tuple(chance.randrange(1, 5) for _ in range(chance.randrange(0, 5)))
    count = math.prod(shape)
    begin = chance.randrange(0, count)
    end = chance.randrange(begin, count + 1)
    whole = torch.arange(count).view(shape)
    covered: list[int] = []
    boxes = list(boxes_of_flat(shape, begin, end))
    for offset, extent, first in boxes:
        part = whole[tuple(slice(o, o + e) for o, e in zip(offset, extent))]
        assert part.shape == extent
        assert part.flatten().tolist() == list(range(first, first + math.prod(extent)))
        covered += part.flatten().tolist()
    assert covered == list(range(begin, end))
    assert len(boxes) <= 2 * max(len(shape), 1) - 1


def test_an_explicit_piece_says_what_it_is() -> None:
    local = torch.ones(2, 3)
    found = spread(Piece(local, offset=(4, 0), shape=(6, 3), replicas=[1, 0]))
    assert found is not None and found.shape == (6, 3) and found.dtype == "F32"
    (box,) = found.boxes
    assert (box.offset, box.extent, box.holders) == ((4, 0), (2, 3), (0, 1))
    assert box.local.data_ptr() == local.data_ptr()
    with pytest.raises(Refused, match="does not lie in a tensor"):
        Piece(local, offset=(5, 0), shape=(6, 3))
    assert spread(local) is None


class Shared:
    """A key-value store among threads."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def put(self, key: str, value: str) -> None:
        self.values[key] = value

    def get(self, key: str, deadline: float) -> str | None:
        while key not in self.values:
            if time.monotonic() > deadline:
                return None
            threading.Event().wait(0.001)
        return self.values[key]


def together(world: int, monkeypatch: pytest.MonkeyPatch, token: str | None = None) -> list[Ranks]:
    shared = Shared()
    current = threading.local()
    monkeypatch.setattr(_ranks, "_from_torch", lambda: (current.rank, world, shared))
    monkeypatch.setattr(_ranks, "_counted", _PerThread())
    made: list[Ranks | None] = [None] * world

    def make(rank: int) -> None:
        current.rank = rank
        made[rank] = Ranks("store/run", token=token)

    threads = [threading.Thread(target=make, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [one for one in made if one is not None]


class _PerThread(dict):  # type: ignore[type-arg]
    """Threads stand for processes: each counts for itself, and here each makes one."""

    def get(self, key: str, default: int = 0) -> int:  # type: ignore[override]
        return 0


def test_ranks_share_a_token_and_know_how_many_are_on_their_node(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = together(3, monkeypatch)
    assert [one.rank for one in ranks] == [0, 1, 2]
    assert len({one.token for one in ranks}) == 1 and len(ranks[0].token) == 32
    assert [one.local for one in ranks] == [3, 3, 3]
    assert {one.token for one in together(2, monkeypatch, "given")} == {"given"}


def test_a_rank_that_does_not_come_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = together(3, monkeypatch)
    failures: dict[int, Busy] = {}

    def agree(one: Ranks) -> None:
        try:
            one.agree("once", "word", lambda words: words[0], 0.1)
        except Busy as busy:
            failures[one.rank] = busy

    threads = [threading.Thread(target=agree, args=(one,)) for one in ranks[:2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(failures) == [0, 1]
    assert all("rank 2 of 3 did not come" in busy.what for busy in failures.values())


def test_a_launcher_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(Refused, match="start token"):
        Ranks("store/run")
    ranks = Ranks("store/run", token="mine")
    assert (ranks.rank, ranks.world, ranks.token) == (1, 2, "mine")
    assert Ranks("store/run", rank=0, world_size=1).world == 1
