"""What a trainer may rely on while it saves: capture, layout changes, back-pressure, loss of the agent, forks."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

import numpy as np
import pytest
import torch
from fake_agent import FakeAgent
from torch import nn

import keepstone
from keepstone import AgentUnavailable, Busy, Checkpointer, Refused
from keepstone._options import policy


def stored(fake: FakeAgent, id: str) -> dict[str, Any]:
    (run,) = fake.runs.values()
    (found,) = run["ids"][id]
    values = {}
    for piece, data in zip(found["pieces"], found["data"]):
        values[f"{piece['component']}.{piece['name']}"] = np.frombuffer(
            data, {"F32": "f4", "I64": "i8", "U8": "u1"}[piece["dtype"]]
        )
    return values


def test_everything_overwritten_right_after_save_does_not_change_what_was_saved(one_fake: FakeAgent) -> None:
    tensor, array, history, long = torch.arange(1000.0), np.arange(5), [1, {"a": 2}], bytearray(b"x" * 20_000)
    state = {"t": tensor, "a": array, "h": history, "b": long}
    one_fake.drain.clear()
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        saved = ckpt.save(1, state)
        assert saved.sealed and not saved.durable
        tensor.zero_()
        array[:] = -1
        history[1]["a"] = 3  # type: ignore[index]
        long[:] = b"y" * 20_000
        one_fake.drain.set()
        assert saved.wait().durable and saved.durable_ms == 1.0
    found = stored(one_fake, "1-1")
    assert found["t.t"].tolist() == list(range(1000)) and found["a.a"].tolist() == [0, 1, 2, 3, 4]
    assert bytes(found["b.b"]) == b"x" * 20_000
    (run,) = one_fake.runs.values()
    assert run["ids"]["1-1"][0]["state"]["state"]["h"] == [1, {"a": 2}]


def test_a_changed_layout_registers_again_and_an_equal_one_does_not(one_fake: FakeAgent) -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    state: dict[str, Any] = {"model": model, "optimizer": optimizer, "n": 0, "more": None}

    def registered() -> int:
        return sum(request["do"] == "register" for request in one_fake.requests)

    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        assert ckpt.save(1, state).replanned
        assert not ckpt.save(2, {**state, "n": 1, "more": "plain values may change their kind"}).replanned
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        assert ckpt.save(3, state).replanned  # Adam's moments appeared
        assert registered() == 2
        model.weight.data = model.weight.data.clone()
        assert not ckpt.save(4, state).replanned
        twin = nn.Linear(3, 2)
        assert (
            not ckpt.save(5, {"model": twin, "optimizer": optimizer, "n": 0, "more": None}).replanned
            or registered() == 3
        )
        state["more"] = torch.ones(2)
        assert ckpt.save(6, state).replanned
        state["more"] = torch.ones(2, dtype=torch.float64)
        assert ckpt.save(7, state).replanned
        state["n"] = "x" * 300_000  # the state area has to grow
        assert ckpt.save(8, state).replanned
        model.register_buffer("late", torch.ones(1))
        assert ckpt.save(9, state).replanned
        model.bias = None
        optimizer.param_groups[0]["params"].pop()
        del optimizer.state[list(optimizer.state)[1]]
        assert ckpt.save(10, state).replanned


def test_an_untied_parameter_is_a_new_layout(one_fake: FakeAgent) -> None:
    model = nn.Module()
    model.a, model.b = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    model.b.weight = model.a.weight
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        ckpt.save(1, {"m": model})
        model.b.weight = nn.Parameter(model.a.weight.detach().clone() + 1)
        assert ckpt.save(2, {"m": model}).replanned
    assert stored(one_fake, "1-2")["m.b.weight"].tolist() == (stored(one_fake, "1-2")["m.a.weight"] + 1).tolist()


def test_step_saves_when_due_and_skips_when_busy(one_fake: FakeAgent, caplog: pytest.LogCaptureFixture) -> None:
    state = {"t": torch.ones(3)}
    with Checkpointer("/tmp/ks-fake", "run", every="2 steps") as ckpt:
        assert ckpt.step(0, state) is None and ckpt.step(1, state) is None
        one_fake.drain.clear()
        first, second = ckpt.step(2, state), ckpt.step(4, state)
        assert first is not None and second is not None
        with caplog.at_level(logging.WARNING, "keepstone"):
            assert ckpt.step(6, state) is None
        assert "step 6 is not saved" in caplog.text
        one_fake.drain.set()
        assert ckpt.save(6, state, wait=True).durable


def test_saving_faster_than_the_drain_waits_and_then_is_busy(one_fake: FakeAgent) -> None:
    state = {"t": torch.ones(3)}
    with Checkpointer("/tmp/ks-fake", "run", staging_timeout=0.2) as ckpt:
        one_fake.drain.clear()
        ckpt.save(1, state)
        ckpt.save(2, state)
        with pytest.raises(Busy):
            ckpt.save(3, state)
        threading.Timer(0.05, one_fake.drain.set).start()
        assert ckpt.save(3, state).sealed
    assert set(next(iter(one_fake.runs.values()))["ids"]) == {"1-1", "1-2", "1-3"}


def test_a_step_is_saved_once(one_fake: FakeAgent) -> None:
    state = {"t": torch.ones(3)}
    with Checkpointer("/tmp/ks-fake", "run", every=2) as ckpt:
        first = ckpt.step(2, state)
        assert ckpt.save(2, state) is first


def test_what_cannot_be_kept_is_refused_by_path_before_anything_is_written(one_fake: FakeAgent) -> None:
    import socket

    inner: dict[str, Any] = {}
    inner["me"] = [inner]
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        for wrong, path in (
            ({"extra": {"socket": socket.socket()}}, 'state["extra"]["socket"]'),
            ({"a": inner}, 'state["a"]["me"][0]'),
            ({"a": [torch.ones(2).to_sparse()]}, 'state["a"][0]'),
            ({"m": nn.LazyLinear(3)}, 'state["m"]["weight"]'),
            ({"m": nn.Linear(2, 2, device="meta")}, 'state["m"]["weight"]'),
            ({"a": np.array(["x"])}, 'state["a"]'),
            ({"f": lambda: 1, "t": torch.ones(1)}, 'state["f"]'),
        ):
            with pytest.raises(Refused) as refused:
                ckpt.save(1, wrong)
            assert refused.value.on == path
    assert not any(request["do"] == "register" for request in one_fake.requests)


def test_a_save_without_restore_on_a_run_with_checkpoints_is_refused(one_fake: FakeAgent) -> None:
    state = {"t": torch.ones(3)}
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        ckpt.save(1, state)
    with Checkpointer("/tmp/ks-fake", "run") as ckpt, pytest.raises(Refused, match="restored none"):
        ckpt.save(2, state)
    with Checkpointer("/tmp/ks-fake", "run", resume="never") as ckpt:
        assert ckpt.save(2, state).id == "3-2"
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        at = ckpt.restore(state, which="1-1")
        assert at is not None and at.id == "1-1"
    with Checkpointer("/tmp/ks-fake", "other", resume="must") as ckpt, pytest.raises(keepstone.NotFound):
        ckpt.restore(state)


def test_metrics_are_numbers_of_any_library(one_fake: FakeAgent) -> None:
    state = {"t": torch.ones(1)}
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        ckpt.save(1, state, metrics={"a": torch.tensor(0.5), "b": np.float32(2), "c": 3, "d": float("nan")})
        with pytest.raises(Refused, match="number"):
            ckpt.save(2, state, metrics={"a": "high"})
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        at = ckpt.restore(state)
    assert at is not None
    assert {**at.metrics, "d": None} == {"a": 0.5, "b": 2.0, "c": 3, "d": None} and at.metrics["d"] != at.metrics["d"]


def test_metrics_may_come_after_the_save(one_fake: FakeAgent) -> None:
    state = {"t": torch.ones(1)}
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        ckpt.save(1, state)
        ckpt.report(1, {"val_loss": torch.tensor(0.5), "d": float("nan")})
        ckpt.report("1-1", {"n": np.int64(3)})
        ckpt.report(1, {})
        with pytest.raises(Refused, match="number"):
            ckpt.report(1, {"a": "high"})
    reports = [request for request in one_fake.requests if request["do"] == "report"]
    assert reports == [
        {"do": "report", "which": "1", "metrics": {"val_loss": 0.5, "d": {"~": "float", "v": "nan"}}},
        {"do": "report", "which": "1-1", "metrics": {"n": 3}},
    ]


def test_a_lost_agent_is_greeted_again_with_the_last_seal(one_fake: FakeAgent) -> None:
    state = {"t": torch.ones(3)}
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        ckpt.save(1, state, wait=True)
        one_fake.die()
        one_fake.live_again()
        ckpt.save(2, state)
        hellos = [request for request in one_fake.requests if request["do"] == "hello"]
        assert [hello["sealed"] for hello in hellos] in ([0, 1], [0, 2])
        assert len({hello["client"] for hello in hellos}) == 1
        assert ckpt.save(3, state).sealed


def test_without_an_agent_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KEEPSTONE_AGENT_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("KEEPSTONE_HOME", str(tmp_path))
    with pytest.raises(AgentUnavailable, match="KEEPSTONE_HOME"):
        Checkpointer(tmp_path, "run")
    state = {"t": torch.ones(3)}
    with (
        caplog.at_level(logging.WARNING, "keepstone"),
        Checkpointer(tmp_path, "run", on_no_agent="warn", every=1) as ckpt,
    ):
        assert ckpt.restore(state) is None
        for step in (1, 2):
            saved = ckpt.step(step, state)
            assert saved is not None and not saved.sealed and not saved.durable
    assert caplog.text.count("nothing is saved") >= 3


def test_a_start_command_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    tool = tmp_path / "keepstone"
    tool.write_text("#!/bin/sh\necho no JDK 25 here >&2\nexit 12\n")
    tool.chmod(0o755)
    monkeypatch.setenv("KEEPSTONE_AGENT_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("KEEPSTONE_HOME", str(tmp_path))
    with pytest.raises(AgentUnavailable, match="status 12\nno JDK 25 here"):
        Checkpointer(tmp_path, "run")


def test_a_forked_child_neither_speaks_nor_ends_the_parents_lock(one_fake: FakeAgent) -> None:
    state = {"t": torch.ones(3)}
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        ckpt.save(1, state)
        child = os.fork()
        if child == 0:
            try:
                ckpt.save(2, state)
            except Refused:
                ckpt.close()
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        lock = next(name for name in os.listdir(one_fake.directory) if name.endswith(".lock"))
        probe = f"import fcntl; fcntl.lockf(open({os.path.join(one_fake.directory, lock)!r}, 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        assert os.system(f'{__import__("sys").executable} -c "{probe}" 2>/dev/null') != 0
        assert ckpt.save(3, state).wait().durable


def test_foreign_spellings_are_answered_with_ours(one_fake: FakeAgent) -> None:
    with pytest.raises(TypeError, match="save_total_limit is keep_last here"):
        Checkpointer("/tmp/ks-fake", "run", save_total_limit=3)  # type: ignore[arg-type]
    for foreign, ours in (
        ("save_top_k", "keep_best"),
        ("metric_for_best_model", "monitor"),
        ("keep_period", "keep_every"),
        ("best_mode", "mode"),
    ):
        with pytest.raises(TypeError, match=f"{foreign} is {ours} here"):
            Checkpointer("/tmp/ks-fake", "run", **{foreign: 3})  # type: ignore[arg-type]
    for options in (
        {"every": "10min"},
        {"every": 0},
        {"resume": "maybe"},
        {"on_busy": "drop"},
        {"keep_last": 0},
        {"keep_every": "often"},
        {"keep_best": 1},
        {"keep_best": 1, "monitor": "loss"},
        {"mode": "min"},
    ):
        with pytest.raises(Refused):
            Checkpointer("/tmp/ks-fake", "run", **options)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="file system"):
        Checkpointer("s3://bucket/x", "run")
    with pytest.raises(Refused, match="whole number"), Checkpointer("/tmp/ks-fake", "run") as ckpt:
        ckpt.save(1.5, {})  # type: ignore[arg-type]


def test_the_rules_are_sent_as_the_store_has_them() -> None:
    assert policy("all", None, 0, None, None) == {"keep_last": "all"}
    assert policy(2, "1000steps", 0, None, None) == {"keep_last": 2, "keep_every": ["1000steps"]}
    assert policy(1, ["10 steps", "6h"], 2, "val_loss", "min") == {
        "keep_last": 1,
        "keep_every": ["10 steps", "6h"],
        "keep_best": 2,
        "monitor": "val_loss",
        "mode": "min",
    }


def test_a_compiled_model_has_the_names_of_the_model(one_fake: FakeAgent) -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    wrapped = torch.compile(model)
    ddp = nn.DataParallel(model)
    for run, one in (("c", wrapped), ("d", ddp)):
        with Checkpointer("/tmp/ks-fake", run) as ckpt:
            ckpt.save(1, {"m": one, "o": torch.optim.SGD(model.parameters(), momentum=0.9)})
        other = nn.Sequential(nn.Linear(2, 2))
        with Checkpointer("/tmp/ks-fake", run) as ckpt:
            ckpt.restore({"m": other, "o": torch.optim.SGD(other.parameters(), momentum=0.9)})
        assert torch.equal(other[0].weight, model[0].weight)
    registered = [request for request in one_fake.requests if request["do"] == "register"]
    assert all([piece["name"] for piece in request["pieces"]] == ["0.weight", "0.bias"] for request in registered)


def test_an_agent_that_dies_during_a_restore_is_followed_by_another(fake: FakeAgent) -> None:
    state = {"t": torch.arange(100_000.0)}
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        ckpt.save(1, state, wait=True)
    again = {"t": torch.zeros(100_000)}
    begin, died = fake.do_open, []

    def dies_once(client: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        if not died:
            died.append(True)
            fake.be_followed()
        return begin(client, request)

    fake.do_open = dies_once  # type: ignore[method-assign]
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        assert ckpt.restore(again) is not None
    assert died and torch.equal(again["t"], state["t"])
