"""The real agent of one test, and the command beside it."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Agent:
    """The agent's directory of one test, and what tests do with the agent and the command."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory

    @property
    def pid(self) -> int:
        return int(json.loads((self.directory / "agent.json").read_text())["pid"])

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.01)

    def keepstone(self, *words: Any, status: int = 0) -> dict[str, Any]:
        """Runs `keepstone … --json` and returns the document."""
        command = [str(ROOT / "keepstone"), *map(str, words), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == status, f"{words}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return dict(json.loads(done.stdout))

    def rate(self, store: pathlib.Path, run: str, limit: int | None) -> None:
        """Throttles the drain of a run."""
        from keepstone._wire import Connection

        connection = Connection(str(self.directory / "agent.sock"))
        connection.request("rate", store=str(store), run=run, limit_rate=limit)
        connection.close()

    def stop(self) -> None:
        try:
            pid = self.pid
        except (OSError, ValueError, KeyError):
            return
        for way, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
            if not alive(pid):
                return
            os.kill(pid, way)
            deadline = time.monotonic() + patience
            while alive(pid) and time.monotonic() < deadline:
                time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
