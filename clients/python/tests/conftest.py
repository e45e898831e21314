from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from fake_agent import FakeAgent


@pytest.fixture(params=["memory", "store"])
def agent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAgent]:
    """A fake agent that hands checkpoints back from memory, and one that streams them."""
    fake = FakeAgent(from_store=request.param == "store")
    monkeypatch.setenv("KEEPSTONE_AGENT_DIR", fake.directory)
    monkeypatch.setenv("KEEPSTONE_HOME", "/nonexistent")
    yield fake
    fake.close()


@pytest.fixture
def one_agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAgent]:
    fake = FakeAgent()
    monkeypatch.setenv("KEEPSTONE_AGENT_DIR", fake.directory)
    monkeypatch.setenv("KEEPSTONE_HOME", "/nonexistent")
    yield fake
    fake.close()
