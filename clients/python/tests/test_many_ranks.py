"""Saves of a launch with several ranks, against a fake agent: what each registers, and that no rank waits for one that does not come. Threads stand for ranks."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from fake_agent import FakeAgent
from test_shards import together
from torch import nn

from keepstone import Busy, Checkpointer, KeepstoneError, NoSpace, Piece, Refused, _ranks
from keepstone import checkpointer as front


class Launch:
    """The Checkpointers of one launch, each used by a thread of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, world: int, **options: Any) -> None:
        self.ranks = together(world, monkeypatch)
        self.checkpointers = []
        for one in self.ranks:
            monkeypatch.setattr(front, "Ranks", lambda *_, one=one: one)
            self.checkpointers.append(Checkpointer("/tmp/ks-fake", "run", rng=False, **options))

    def each(self, act: Callable[[int, Checkpointer], Any]) -> list[Any]:
        results: list[Any] = [None] * len(self.ranks)

        def run(rank: int) -> None:
            try:
                results[rank] = act(rank, self.checkpointers[rank])
            except KeepstoneError as error:
                results[rank] = error

        threads = [threading.Thread(target=run, args=(rank,)) for rank in range(len(self.ranks))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


def registered(fake: FakeAgent) -> list[set[str]]:
    """What was registered, by the order of requests."""
    return [
        {f"{piece['component']}.{piece['name']}" for piece in request["pieces"]}
        for request in fake.requests
        if request["do"] == "register"
    ]


def of(fake: FakeAgent, verb: str) -> list[dict]:
    return [request for request in fake.requests if request["do"] == verb]


def test_every_replica_is_written_once_and_the_sizes_are_even(
    one_fake: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = Launch(monkeypatch, 3, commit_timeout=60)
    models = [nn.ModuleDict({"a": nn.Linear(50, 50), "b": nn.Linear(50, 49), "c": nn.BatchNorm1d(9)}) for _ in range(3)]

    def save(rank: int, ckpt: Checkpointer) -> int:
        optimizer = torch.optim.AdamW(models[rank].parameters())
        models[rank].a(torch.ones(50)).sum().backward()
        optimizer.step()
        return ckpt.save(1, {"model": models[rank], "optimizer": optimizer, "note": torch.ones(3)}).bytes

    sizes = launch.each(save)
    found = registered(one_fake)
    assert sum(map(len, found)) == len(set().union(*found)), "once each"
    assert set().union(*found) >= {"model.a.weight", "optimizer.a.weight.exp_avg", "model.c.running_mean", "note.note"}
    assert max(sizes) - min(sizes) <= 10_000, "by no more than one tensor"
    start = {request["rank"]: request for request in of(one_fake, "start")}
    assert sorted(start) == [0, 1, 2]
    assert start[1]["world"] == 3 and start[1]["local"] == 3 and start[1]["commit_timeout_ms"] == 60_000
    lowest = next(request for request in of(one_fake, "register") if "note" in str(request["pieces"]))
    assert {"running_mean", "note"} <= {name.rpartition(".")[2] for name in (p["name"] for p in lowest["pieces"])}


def test_pieces_have_their_place_and_a_rank_s_own_bytes_its_name(
    one_fake: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = Launch(monkeypatch, 2)
    whole = torch.arange(12.0).view(3, 4)

    def save(rank: int, ckpt: Checkpointer) -> Any:
        local = whole[:, 2 * rank : 2 * rank + 2]
        state = {"x": Piece(local, offset=(0, 2 * rank), shape=(3, 4)), "seen": bytes([rank]) * 20_000}
        return ckpt.save(1, state)

    launch.each(save)
    pieces = {tuple(p.get("offset", ())): p for r in of(one_fake, "register") for p in r["pieces"] if p["name"] == "x"}
    assert sorted(pieces) == [(0, 0), (0, 2)]
    assert pieces[0, 2]["shape"] == [3, 4] and pieces[0, 2]["extent"] == [3, 2]
    assert {"seen.seen.rank0", "seen.seen.rank1"} <= set().union(*registered(one_fake))


def test_a_rank_that_skips_ends_the_step_for_all(one_fake: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = Launch(monkeypatch, 2, every=1)
    states = [{"x": torch.zeros(4), "y": torch.zeros(3)} for _ in range(2)]
    one_fake.drain.clear()
    for step in (1, 2):
        assert all(
            saved is not None for saved in launch.each(lambda rank, ckpt, step=step: ckpt.step(step, states[rank]))
        )
    assert launch.each(lambda rank, ckpt: ckpt.step(3, states[rank])) == [None, None]
    refused = of(one_fake, "refuse")
    assert [(one["step"], one["why"]) for one in refused] == [(3, "skipped")] * 2
    one_fake.drain.set()
    again = launch.each(lambda rank, ckpt: ckpt.save(3, states[rank]))
    assert all(isinstance(one, Refused) for one in again)
    assert all(saved is not None for saved in launch.each(lambda rank, ckpt: ckpt.save(4, states[rank])))


def test_nobody_waits_for_a_rank_whose_state_is_refused(one_fake: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = Launch(monkeypatch, 3, staging_timeout=100)
    states: list[dict[str, Any]] = [{"x": torch.zeros(4)} for _ in range(3)]
    states[1]["bad"] = torch.empty(2, device="meta")
    results = launch.each(lambda rank, ckpt: ckpt.save(1, states[rank]))
    assert isinstance(results[1], Refused) and "bad" in results[1].on
    for one in (results[0], results[2]):
        assert isinstance(one, Busy) and "rank 1 of 3 does not agree on the state of save 1-1" in one.what
    assert {one["step"] for one in of(one_fake, "refuse")} == {1}


def test_a_store_that_is_not_shared_is_refused_by_the_node_s_name(
    one_fake: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = Launch(monkeypatch, 2)
    launch.ranks[1].node = "node7"
    start = one_fake.do_start
    monkeypatch.setattr(
        one_fake, "do_start", lambda client, request: {**start(client, request), "by": str(request["rank"])}
    )
    for one in launch.each(lambda rank, ckpt: ckpt.save(1, {"x": torch.zeros(4)})):
        assert isinstance(one, Refused) and "rank 1 on node7 does not see" in one.what


def test_what_is_excluded_is_neither_stored_nor_named(one_fake: FakeAgent) -> None:
    state = {"model": nn.Linear(2, 2), "ema": nn.Linear(2, 2), "epoch": 3}
    with Checkpointer("/tmp/ks-fake", "run", exclude=["ema", "model.bias"]) as ckpt:
        ckpt.save(1, state, wait=True)
    assert registered(one_fake) == [{"model.weight"}]
    tree = of(one_fake, "register")[0]["state"]["state"]
    assert set(tree) == {"model", "epoch"} and set(tree["model"]) == {"weight"}


@pytest.mark.parametrize("policy, raises", [("warn", None), ("fail", 1), ("fail_after_n:2", 2)])
def test_saves_that_fail_are_raised_as_told(
    one_fake: FakeAgent, monkeypatch: pytest.MonkeyPatch, policy: str, raises: int | None
) -> None:
    from fake_agent import Wrong

    def full(client: dict, request: dict) -> dict:
        raise Wrong("NoSpace", "the disk is full")

    with Checkpointer("/tmp/ks-fake", "run", every=1, on_save_error=policy) as ckpt:
        monkeypatch.setattr(one_fake, "do_register", full)
        for step in range(1, 4):
            if raises is not None and step % raises == 0:
                with pytest.raises(NoSpace):
                    ckpt.step(step, {"x": torch.zeros(1)})
            else:
                assert ckpt.step(step, {"x": torch.zeros(1)}) is None
    with pytest.raises(Refused, match="on_save_error is one of"):
        Checkpointer("/tmp/ks-fake", "run", on_save_error="never")


def test_arguments_of_the_launch_are_checked(one_fake: FakeAgent) -> None:
    with pytest.raises(Refused, match="belong together"):
        Checkpointer("/tmp/ks-fake", "run", rank=1)
    with pytest.raises(Refused, match="counts from 0"):
        Checkpointer("/tmp/ks-fake", "run", rank=2, world_size=2, token="t")
    with pytest.raises(Refused, match="start token"):
        Checkpointer("/tmp/ks-fake", "run", rank=1, world_size=2)
    ckpt = Checkpointer("/tmp/ks-fake", "run", rank=1, world_size=2, token="t")
    ckpt.save(1, {"x": torch.zeros(4)})
    assert of(one_fake, "start")[-1]["rank"] == 1 and registered(one_fake) == [set()]
    assert _ranks.MEETING_SECONDS > 0


class Asked:
    """What the agents agreed upon: the step in the record of every rank's segment, and the answers to `preempt`."""

    def __init__(self, fake: FakeAgent, monkeypatch: pytest.MonkeyPatch, answers: list[int]) -> None:
        self.record, self.answers = 0, answers
        self.requests: list[dict] = []
        monkeypatch.setattr("keepstone._segment.Segment.due", lambda segment: self.record)
        monkeypatch.setattr(fake, "do_preempt", self.answer)

    def answer(self, client: dict, request: dict) -> dict:
        self.requests.append(request)
        if "grace_ms" in request or "missed" in request:
            self.record = self.answers.pop(0)
        return {"due": self.record, "needs_ms": None}


def test_a_signal_to_one_rank_makes_all_save_one_step(one_fake: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(one_fake, monkeypatch, [4])
    earlier: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: earlier.append(number))
    try:
        launch = Launch(monkeypatch, 2, every=1000, on_signal="SIGUSR1", signal_grace=20)
        state = {"x": torch.zeros(4), "y": torch.zeros(4)}
        launch.each(lambda rank, ckpt: ckpt.save(1, state))
        assert launch.each(lambda rank, ckpt: ckpt.step(2, state)) == [None, None]
        first = launch.checkpointers[0]
        os.kill(os.getpid(), signal.SIGUSR1)
        assert first.signalled and earlier == [signal.SIGUSR1], "who had the signal before hears of it too"
        launch.checkpointers[1]._due.signalled = False  # threads stand for processes: the signal came to one
        assert first.step(3, state) is None
        assert [(one["step"], one["grace_ms"]) for one in asked.requests if "grace_ms" in one] == [(3, 20_000)]
        saved = launch.each(lambda rank, ckpt: ckpt.step(4, state))
        assert [one.step for one in saved] == [4, 4]
        assert launch.each(lambda rank, ckpt: ckpt.step(5, state)) == [None, None], "once"
        launch.each(lambda rank, ckpt: ckpt.close())
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_rank_that_is_past_the_step_gets_another(one_fake: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(one_fake, monkeypatch, [12])
    state = {"x": torch.zeros(4)}
    with Checkpointer("/tmp/ks-fake", "run", every=1000, rng=False) as ckpt:
        ckpt.save(1, state)
        asked.record = 8
        assert ckpt.step(10, state) is None
        assert [one.get("missed") for one in asked.requests] == [8]
        assert ckpt.step(11, state) is None and len(asked.requests) == 1
        saved = ckpt.step(12, state)
        assert saved is not None and saved.step == 12
