"""The client's side of open, want and next: what it asks for, and what it does not believe."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fake_agent import FakeAgent

import keepstone
from keepstone import Busy, Checkpointer, IntegrityError


def saved(state: dict[str, Any]) -> None:
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        ckpt.save(1, state, wait=True)


def restored(state: dict[str, Any], **options: Any) -> keepstone.Restored:
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        at = ckpt.restore(state, **options)
    assert at is not None
    return at


def test_only_what_the_state_holds_is_asked_for(fake: FakeAgent) -> None:
    saved({"a": torch.arange(500.0), "b": torch.ones(300), "none": torch.empty(0, 3)})
    state = {"b": torch.zeros(300)}
    assert restored(state, strict=False).source == ("store" if fake.from_store else "memory")
    assert torch.equal(state["b"], torch.ones(300))
    (want,) = [request for request in fake.requests if request["do"] == "want"]
    assert want["tensors"] == [{"tensor": 1}]


def test_who_is_cut_off_opens_again(fake: FakeAgent) -> None:
    state = {"t": torch.arange(40_000.0)}
    saved(state)
    for times in (1, 2, 3):
        again = {"t": torch.zeros(40_000)}
        before = len(fake.requests)
        fake.cut_off = cut_off = times if fake.from_store else 0
        if cut_off == 3:
            with pytest.raises(Busy):
                restored(again)
            return
        restored(again)
        assert torch.equal(again["t"], state["t"])
        assert [r["do"] for r in fake.requests[before:]].count("open") == 1 + cut_off


LIES: dict[str, Any] = {
    "a tensor that was not wanted": lambda a: a["pieces"][0].update(tensor=7),
    "a size that is not the tensor's": lambda a: a["pieces"][0].update(bytes=12),
    "a box beyond the tensor": lambda a: a["pieces"][0].update(offset=[1]),
    "a negative place": lambda a: a["pieces"][0].update(at=-4096),
    "a place beyond the file": lambda a: a["pieces"][0].update(at=1 << 40),
    "another total": lambda a: a.update(total=a["total"] + 1),
    "a piece missing": lambda a: a.update(pieces=[], total=0),
    "a piece twice": lambda a: a["pieces"].append(dict(a["pieces"][0])),
    "a source that is none": lambda a: a["pieces"][0].update(source=3),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_an_answer_that_cannot_be_true_is_not_believed(
    fake: FakeAgent, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved({"t": torch.arange(1000.0)})
    truth = fake.do_want

    def do_want(client: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        answer = truth(client, request)
        LIES[lie](answer)
        return answer

    monkeypatch.setattr(fake, "do_want", do_want)
    with pytest.raises(IntegrityError):
        restored({"t": torch.zeros(1000)})


@pytest.mark.parametrize("chunk", [{"in": -1}, {"in": 1 << 16}, {"bytes": 1 << 17}, {"at": 1}])
def test_a_chunk_that_cannot_be_true_is_not_believed(
    fake: FakeAgent, chunk: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fake.from_store:
        return
    saved({"t": torch.arange(1000.0)})
    truth = fake.do_next

    def do_next(client: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        answer = truth(client, request)
        answer["chunks"][0].update(chunk)
        return answer

    monkeypatch.setattr(fake, "do_next", do_next)
    with pytest.raises(IntegrityError):
        restored({"t": torch.zeros(1000)})
