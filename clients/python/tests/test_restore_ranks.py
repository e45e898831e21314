"""Restoring in a world of several ranks: what is a rank's own, and what becomes of it on another number of ranks."""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np
import pytest
import torch
from fake_agent import FakeAgent
from torch.utils.data import DataLoader, Dataset, DistributedSampler

import keepstone
from keepstone import Checkpointer, Loader, Refused


def ranks(world: int, token: str, act: Any) -> list[Any]:
    """Runs `act(checkpointer, rank)` for each rank of a launch, one after another where they do not wait for each other."""
    found = []
    opened = [Checkpointer("/tmp/ks-fake", "run", rank=rank, world_size=world, token=token) for rank in range(world)]
    for rank, ckpt in enumerate(opened):
        found.append(act(ckpt, rank))
    threads = [threading.Thread(target=ckpt.close) for ckpt in opened]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def seeded(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def draw() -> list[Any]:
    return [torch.rand(2).tolist(), np.random.normal(size=2).tolist(), random.random()]


def test_random_state_is_a_rank_s_own_and_seeded_anew_on_another_number(fake: FakeAgent) -> None:
    expected = []

    def save(ckpt: Checkpointer, rank: int) -> None:
        seeded(rank)
        ckpt.save(4, {"n": 1, "long": bytes([rank]) * 20_000})
        expected.append(draw())

    ranks(2, "first", save)

    def restore(ckpt: Checkpointer, rank: int) -> Any:
        seeded(99)
        state = {"n": 0, "long": b""}
        at = ckpt.restore(state)
        assert at is not None and at.step == 4 and state["n"] == 1
        return draw(), at.warnings, state["long"][:1]

    again = ranks(2, "second", restore)
    assert [one for one, _, _ in again] == expected and not any(told for _, told, _ in again)
    assert [own for _, _, own in again] == [b"\x00", b"\x01"]
    for world in (1, 3):
        there, twice = ranks(world, f"to {world}", restore), ranks(world, f"to {world} again", restore)
        drawn = [one for one, _, _ in there]
        assert drawn == [one for one, _, _ in twice], "another attempt draws the same"
        assert all(one not in expected for one in drawn) and all(drawn.count(one) == 1 for one in drawn)
        assert all(f"saved by 2 ranks, running with {world}" in told[0] for _, told, _ in there)


class Numbers(Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 96

    def __getitem__(self, index: int) -> int:
        return index


def loader_of(rank: int, world: int, batch: int, distributed: bool = True) -> Loader:
    sampler = DistributedSampler(Numbers(), world, rank, seed=5) if distributed else None
    return Loader(DataLoader(Numbers(), batch_size=batch, sampler=sampler))


def saved_at(batches: int, distributed: bool = True) -> list[int]:
    """Saves two ranks in the middle of an epoch; what they were given until then."""
    given: list[int] = []

    def save(ckpt: Checkpointer, rank: int) -> None:
        loader = loader_of(rank, 2, 4, distributed)
        epoch = iter(loader)
        for _ in range(batches):
            given.extend(next(epoch).tolist())
        ckpt.save(batches, {"loader": loader})

    ranks(2, "saved", save)
    return given


@pytest.mark.parametrize(("world", "batch"), [(1, 4), (3, 4), (4, 2), (4, 3)])
def test_a_loader_goes_on_behind_the_samples_that_all_ranks_consumed(one_fake: FakeAgent, world: int, batch: int) -> None:
    given = saved_at(6)

    def restore(ckpt: Checkpointer, rank: int) -> Any:
        loader = loader_of(rank, world, batch)
        at = ckpt.restore({"loader": loader})
        assert at is not None
        return [number for got in loader for number in got.tolist()], at.warnings

    found = ranks(world, "restored", restore)
    rest = [number for got, _ in found for number in got]
    assert sorted(given + rest) == list(range(96))
    assert all(f"it goes on at batch {48 // (world * batch)}" in told[1] for _, told in found)


def test_a_position_that_does_not_carry_over_is_refused(one_fake: FakeAgent) -> None:
    saved_at(5)

    def refused(ckpt: Checkpointer, rank: int) -> None:
        with pytest.raises(Refused, match="40 samples of the epoch are consumed") as told:
            ckpt.restore({"loader": loader_of(rank, 3, 4)})
        assert 'exclude="loader"' in str(told.value)
        state: dict[str, Any] = {"loader": loader_of(rank, 3, 4)}
        at = ckpt.restore(state, exclude="loader")
        assert at is not None and len(list(state["loader"])) == 8

    ranks(3, "restored", refused)


def test_a_loader_without_a_common_order_is_refused(one_fake: FakeAgent) -> None:
    saved_at(2, distributed=False)

    def refused(ckpt: Checkpointer, rank: int) -> None:
        with pytest.raises(Refused, match="common order"):
            ckpt.restore({"loader": loader_of(rank, 1, 4)})

    ranks(1, "restored", refused)


def test_pieces_of_several_ranks_come_together_in_any_boxes(fake: FakeAgent) -> None:
    whole = torch.arange(7 * 6, dtype=torch.float32).view(7, 6)
    cuts = {3: [(0, 2), (2, 3), (3, 7)], 2: [(0, 5), (5, 7)], 1: [(0, 7)], 4: [(0, 1), (1, 1), (1, 4), (4, 7)]}

    def rows(rank: int, world: int) -> Any:
        begin, end = cuts[world][rank]
        return keepstone.Piece(torch.zeros(end - begin, 6), offset=(begin, 0), shape=(7, 6))

    def save(ckpt: Checkpointer, rank: int) -> None:
        piece = rows(rank, 3)
        begin, end = cuts[3][rank]
        piece.local.copy_(whole[begin:end])
        ckpt.save(1, {"t": piece, "n": 3})

    ranks(3, "saved", save)

    def restore(ckpt: Checkpointer, rank: int) -> None:
        world = ckpt._ranks.world
        piece, columns = rows(rank, world), torch.zeros(7, 2)
        state = {"t": piece, "n": 0}
        assert ckpt.restore(state) is not None
        begin, end = cuts[world][rank]
        assert torch.equal(piece.local, whole[begin:end])
        state["t"] = keepstone.Piece(columns, offset=(0, rank), shape=(7, 6))
        ckpt.restore(state)
        assert torch.equal(columns, whole[:, rank : rank + 2])
        plain = {"t": torch.zeros(7, 6), "n": 0}
        ckpt.restore(plain)
        assert torch.equal(plain["t"], whole)

    for world in (1, 2, 3, 4):
        ranks(world, f"to {world}", restore)
