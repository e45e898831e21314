"""Every test has an agent of its own: the real one, started by the client through `./keepstone`, in a directory that goes with the test."""

from __future__ import annotations

import pathlib
import shutil
import sys
import tempfile
from collections.abc import Iterator

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "clients" / "python" / "tests")]

from real_agent import ROOT, Agent  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the long forms: more kills, more moments")
    parser.addoption("--seed", type=int, default=20261124, help="the seed of the random moments")


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    directory = pathlib.Path(tempfile.mkdtemp(prefix="ks-interop-", dir="/dev/shm"))
    directory.chmod(0o700)
    monkeypatch.setenv("KEEPSTONE_AGENT_DIR", str(directory))
    monkeypatch.setenv("KEEPSTONE_HOME", str(ROOT))
    found = Agent(directory)
    yield found
    found.stop()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def store(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "ckpts"


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--long"))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    found = int(request.config.getoption("--seed"))
    print(f"seed {found}")
    return found
