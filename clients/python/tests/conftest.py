from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from fake_agent import FakeAgent


def serving(monkeypatch: pytest.MonkeyPatch, from_store: bool) -> Iterator[FakeAgent]:
    made = FakeAgent(from_store)
    monkeypatch.setenv("KEEPSTONE_AGENT_DIR", made.directory)
    monkeypatch.setenv("KEEPSTONE_HOME", "/nonexistent")
    yield made
    made.close()


# Not called `agent`: beside the interop suite, that name is the real one's.
@pytest.fixture(params=["memory", "store"])
def fake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAgent]:
    """An agent of a few lines that hands checkpoints back from memory, and one that streams them."""
    yield from serving(monkeypatch, request.param == "store")


@pytest.fixture
def one_fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAgent]:
    yield from serving(monkeypatch, False)
