"""One connection to the agent: frames, requests, answers in order (docs/spec/wire.md)."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
from typing import Any, Optional

from ._errors import AgentUnavailable, IntegrityError, from_wire

FRAME_LIMIT = 256 << 20
# How long an answer may take that no timeout of the request bounds: registering reserves memory, a start drains what dead trainers left.
ANSWER_SECONDS = 1800.0


class ConnectionLost(Exception):
    """The agent's end of the connection is gone. Internal: who catches it greets again or reports AgentUnavailable."""


class Connection:
    """Not thread-safe by itself; the checkpointer holds its lock around every use."""

    def __init__(self, path: str, timeout: float = 10.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._owed = 0  # answers to posted messages that have not been read yet
        self._arrived: list[dict[str, Any]] = []
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(path)
        except OSError as lost:
            self._socket.close()
            raise ConnectionLost(f"{path}: {lost}") from lost

    def request(self, do: str, seconds: Optional[float] = None, **fields: Any) -> dict[str, Any]:
        """Sends and waits for the answer. Answers to what was posted before arrive first and are kept for `owed`."""
        self._send(do, fields)
        self._collect(wait=True, seconds=seconds)
        answer = self._receive(seconds)
        if answer.get("ok") is not True:
            raise from_wire(answer.get("error") or {})
        return answer

    def post(self, do: str, **fields: Any) -> None:
        """Sends and leaves the answer unread: a save never waits for the agent."""
        self._send(do, fields)
        self._owed += 1

    def owed(self, wait: bool = False) -> list[dict[str, Any]]:
        """The answers to what was posted; without `wait`, those that are here already."""
        self._collect(wait)
        arrived, self._arrived = self._arrived, []
        return arrived

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def _collect(self, wait: bool, seconds: Optional[float] = None) -> None:
        while self._owed and (wait or select.select([self._socket], [], [], 0)[0]):
            self._arrived.append(self._receive(seconds))
            self._owed -= 1

    def _send(self, do: str, fields: dict[str, Any]) -> None:
        body = json.dumps({"do": do, **fields}, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        try:
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.sendall(struct.pack("<I", len(body)) + body)
        except OSError as lost:
            self.close()
            raise ConnectionLost(str(lost)) from lost

    def _receive(self, seconds: Optional[float]) -> dict[str, Any]:
        try:
            self._socket.settimeout(ANSWER_SECONDS if seconds is None else seconds)
            (length,) = struct.unpack("<I", self._exactly(4))
            if length > FRAME_LIMIT:
                raise IntegrityError(
                    f"the agent announced a frame of {length} bytes; at most {FRAME_LIMIT} are allowed"
                )
            body = self._exactly(length)
        except OSError as lost:  # a timeout too: a late answer would be taken for that of the next request
            self.close()
            raise ConnectionLost(str(lost)) from lost
        answer = json.loads(body)
        if not isinstance(answer, dict):
            raise IntegrityError("the agent's answer is no JSON object")
        return answer

    def _exactly(self, count: int) -> bytes:
        received = bytearray()
        while len(received) < count:
            part = self._socket.recv(min(count - len(received), 1 << 20))
            if not part:
                raise ConnectionResetError("the agent closed the connection")
            received += part
        return bytes(received)


def own_directory(directory: str) -> None:
    """Refuses a directory that another user could have laid out for us: who owns it reads every weight."""
    try:
        owner = os.stat(directory).st_uid
    except OSError as missing:
        raise ConnectionLost(f"{directory}: {missing}") from missing
    if owner != os.geteuid():
        raise AgentUnavailable(
            f"the agent's directory belongs to user {owner}, not to you",
            directory,
            "set KEEPSTONE_AGENT_DIR to a directory of your own",
        )
