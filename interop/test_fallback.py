"""A checkpoint that lies damaged on the disk: restore takes the one before and says so; who asked for that very one is told."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import keepstone
import pytest
import torch
from keepstone import Checkpointer, IntegrityError
from real_agent import Agent


def shard(store: pathlib.Path, id: str) -> pathlib.Path:
    (found,) = (store / "run" / "checkpoints" / id).glob("t-00000.*.safetensors")
    return found


def flip(store: pathlib.Path, id: str) -> None:
    data = bytearray(shard(store, id).read_bytes())
    data[-5] ^= 4
    shard(store, id).write_bytes(data)


def save(store: pathlib.Path, steps: int) -> None:
    with Checkpointer(store, "run", keep_last=10) as ckpt:
        for step in range(1, steps + 1):
            ckpt.save(step, {"t": torch.full((400_000,), float(step)), "n": step}, wait=True)


def state() -> dict[str, object]:
    return {"t": torch.zeros(400_000), "n": 0}


def quarantined(agent: Agent, store: pathlib.Path) -> dict[str, bool]:
    return {one["id"]: one["quarantined"] for one in agent.keepstone("verify", store)["checkpoints"]}


def test_restore_falls_back_to_the_checkpoint_before_and_says_so(agent: Agent, store: pathlib.Path) -> None:
    save(store, 3)
    flip(store, "1-3")
    flip(store, "1-2")
    filled = state()
    with Checkpointer(store, "run", keep_last=10) as ckpt:
        at = ckpt.restore(filled)
        assert at is not None and at.id == "1-1" and at.source == "store" and filled["n"] == 1
        assert torch.equal(filled["t"], torch.full((400_000,), 1.0))  # type: ignore[arg-type]
        assert [one[:20] for one in at.warnings[:2]] == ["checkpoint 1-3 is da", "checkpoint 1-2 is da"]
        assert str(shard(store, "1-3").name) in at.warnings[0]
        assert quarantined(agent, store) == {"1-3": True, "1-2": True, "1-1": False}
        ckpt.save(2, {"t": torch.full((400_000,), 9.0), "n": 9}, wait=True)
    # The next start knows, and passes both over without reading them; what was saved since is the latest.
    with Checkpointer(store, "run", keep_last=10) as ckpt:
        at = ckpt.restore(filled)
        assert at is not None and at.step == 2 and filled["n"] == 9
    chain = agent.keepstone("lineage", f"{store}/run")["chain"]
    assert [link["id"] for link in chain] == [at.id, "1-1"]


def test_who_asks_for_the_damaged_one_is_told_and_all_damaged_is_an_error(agent: Agent, store: pathlib.Path) -> None:
    save(store, 2)
    flip(store, "1-2")
    with pytest.raises(IntegrityError, match="tensor t"), Checkpointer(store, "run") as ckpt:
        ckpt.restore(state(), which="1-2")
    with pytest.raises(IntegrityError), Checkpointer(store, "run") as ckpt:
        ckpt.restore(state(), which=2)
    flip(store, "1-1")
    with pytest.raises(IntegrityError, match=r"none of \d"), Checkpointer(store, "run") as ckpt:
        ckpt.restore(state())
    with Checkpointer(store, "run", resume="never") as ckpt:
        assert ckpt.restore(state()) is None


def test_load_without_an_agent_falls_back_too(agent: Agent, store: pathlib.Path) -> None:
    save(store, 3)
    flip(store, "1-3")
    shard(store, "1-2").unlink()
    tree, at = keepstone.load(f"{store}/run")
    assert at.id == "1-1" and tree["n"] == 1 and bool((tree["t"] == 1).all())
    assert "1-3" in at.warnings[0] and "1-2" in at.warnings[1] and "missing" in at.warnings[1]
    with pytest.raises(IntegrityError, match="tensor t"):
        keepstone.load(f"{store}/run@1-3")
    flip(store, "1-1")
    with pytest.raises(IntegrityError, match="tensor t"):
        keepstone.load(f"{store}/run@latest")


def test_a_start_notes_what_it_was(agent: Agent, store: pathlib.Path) -> None:
    save(store, 1)
    provenance = agent.keepstone("show", f"{store}/run")["provenance"]
    assert "pytest" in provenance["command"] and provenance["packages"]["torch"]
    assert len(provenance["git"]["commit"]) == 40 and isinstance(provenance["git"]["dirty"], bool)


def test_load_knows_verdicts_tags_and_the_best(agent: Agent, store: pathlib.Path) -> None:
    with Checkpointer(store, "run", keep_last=10, keep_best=1, monitor="loss", mode="min") as ckpt:
        for step, loss in enumerate((3.0, 1.0, float("nan"), 2.0), start=1):
            ckpt.save(step, {"t": torch.full((400_000,), float(step)), "n": step}, metrics={"loss": loss}, wait=True)
    assert keepstone.load(f"{store}/run@best")[1].id == "1-2"
    agent.keepstone("tag", f"{store}/run@1-3", "paper")
    assert keepstone.load(f"{store}/run@paper")[0]["n"] == 3
    data = shard(store, "1-4").read_bytes()
    flip(store, "1-4")
    flip(store, "1-2")
    agent.keepstone("verify", f"{store}/run", "--deep", status=6)
    tree, at = keepstone.load(f"{store}/run")
    assert at.id == "1-3" and not at.warnings  # known, so not even tried
    assert keepstone.load(f"{store}/run@best")[1].id == "1-1"
    assert keepstone.load(f"{store}/run@last-good")[1].id == "1-3"
    shard(store, "1-4").write_bytes(data)
    agent.keepstone("verify", f"{store}/run@1-4", "--deep")
    assert keepstone.load(f"{store}/run")[1].id == "1-4"


def test_a_plain_copy_is_trained_on(agent: Agent, store: pathlib.Path, tmp_path: pathlib.Path) -> None:
    save(store, 3)
    agent.keepstone("tag", f"{store}/run@1-2", "paper")
    copy = tmp_path / "elsewhere" / "moved"
    copy.parent.mkdir()
    for command in (["cp", "-r", str(store), str(copy)], ["rsync", "-a", f"{store}/", f"{copy}-2/"]):
        if shutil.which(command[0]) is None:
            continue
        subprocess.run(command, check=True)
        place = pathlib.Path(command[-1].rstrip("/"))
        (place / "run").rename(place / "renamed")
        agent.keepstone("verify", place, "--deep")
        assert keepstone.load(f"{place}/renamed")[1].id == "1-3"
        assert keepstone.load(f"{place}/renamed@paper")[1].id == "1-2"
        filled = state()
        with Checkpointer(place, "renamed", keep_last=10) as ckpt:
            at = ckpt.restore(filled)
            assert at is not None and at.id == "1-3" and filled["n"] == 3
            ckpt.save(4, {"t": torch.zeros(400_000), "n": 4}, wait=True)
        chain = agent.keepstone("lineage", f"{place}/renamed")["chain"]
        assert [link["id"] for link in chain] == ["2-4", "1-3"]
