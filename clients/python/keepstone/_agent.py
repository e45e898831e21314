"""Finding the node's agent, starting one where none runs, and greeting it."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from typing import Any, Optional
from urllib.parse import unquote, urlparse

from ._errors import AgentUnavailable
from ._version import __version__
from ._wire import Connection, ConnectionLost, own_directory

# The first start from a checkout builds Keepstone.
START_SECONDS = 600.0
VERSION = f"keepstone {__version__}"


def directory() -> str:
    """Where the agent's socket, its lock and the segments lie."""
    given = os.environ.get("KEEPSTONE_AGENT_DIR")
    if given:
        return given
    root = "/dev/shm" if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK) else "/tmp"
    return f"{root}/keepstone-{os.geteuid()}"


def command() -> str:
    """The `keepstone` command: KEEPSTONE_HOME, the PATH, the package keepstone-agent, the checkout that this package was installed from."""
    home = os.environ.get("KEEPSTONE_HOME")
    if home:
        found = os.path.join(home, "keepstone")
        if not os.access(found, os.X_OK):
            raise AgentUnavailable(
                "KEEPSTONE_HOME holds no keepstone command", found, "point it at a checkout or an unpacked archive"
            )
        return found
    on_path = shutil.which("keepstone")
    if on_path:
        return on_path
    packaged = importlib.util.find_spec("keepstone_agent")
    for place in (packaged.submodule_search_locations or ()) if packaged is not None else ():
        found = os.path.join(place, "home", "keepstone")
        if os.access(found, os.X_OK):
            return found
    for start in _origins():
        place = start
        while place != os.path.dirname(place):
            found = os.path.join(place, "keepstone")
            if (
                os.path.isfile(found)
                and os.access(found, os.X_OK)
                and os.path.isdir(os.path.join(place, "clients", "python"))
            ):
                return found
            place = os.path.dirname(place)
    raise AgentUnavailable(
        "no agent runs on this node, and the keepstone command that starts one was not found",
        "KEEPSTONE_HOME is not set, no keepstone is on the PATH, the package keepstone-agent is not installed",
        "pip install 'keepstone[agent]', or set KEEPSTONE_HOME to an unpacked archive or a checkout, or put keepstone on the PATH",
    )


def _origins() -> list[str]:
    origins = [os.path.dirname(os.path.abspath(__file__))]
    try:
        from importlib.metadata import distribution

        text = distribution("keepstone").read_text("direct_url.json")
        url = urlparse(json.loads(text)["url"]) if text else None
        if url is not None and url.scheme == "file":
            origins.append(unquote(url.path))
    except Exception:  # the package's own records are a convenience; without them the other ways remain
        return origins
    return origins


def connect(start: bool = True) -> Connection:
    """A connection to the agent of this node, started where none answers."""
    place = directory()
    socket = os.path.join(place, "agent.sock")
    try:
        own_directory(place)
        return Connection(socket)
    except ConnectionLost as absent:
        if not start:
            raise AgentUnavailable("no agent runs on this node", place, "start one: keepstone agent start") from absent
    return _started(socket)


def _started(socket: str) -> Connection:
    tool = command()
    with tempfile.TemporaryFile() as said:
        # A session of its own: the agent must outlive the trainer, its terminal, and its launcher's process group.
        process = subprocess.Popen(
            [tool, "agent", "start"],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
            close_fds=True,
        )
        deadline = time.monotonic() + START_SECONDS
        grace: Optional[float] = None
        while True:
            try:
                own_directory(os.path.dirname(socket))
                return Connection(socket)
            except ConnectionLost:
                pass
            if grace is None and process.poll() is not None:
                # Another rank may have started it in the same moment; its agent answers soon.
                grace = time.monotonic() + (10.0 if process.returncode == 0 else 2.0)
            now = time.monotonic()
            if now > deadline or (grace is not None and now > grace):
                said.seek(0)
                words = said.read()[-2000:].decode("utf-8", "replace").strip()
                ended = (
                    "did not come up in time" if process.poll() is None else f"ended with status {process.returncode}"
                )
                raise AgentUnavailable(
                    f"the agent could not be started: it {ended}" + (f"\n{words}" if words else ""),
                    tool,
                    f"try: {tool} agent start",
                )
            time.sleep(0.02)


class Client:
    """This process towards the agent: a name, and a lock that tells the agent when the process is gone."""

    def __init__(self) -> None:
        self.name = secrets.token_hex(8)
        self._lock: Optional[int] = None

    def greet(self, connection: Connection, sealed: int) -> dict[str, Any]:
        """Says hello; `sealed` is the last generation sealed in the newest segment."""
        path = os.path.join(directory(), f"{self.name}.lock")
        if self._lock is not None and not os.path.exists(path):
            # The directory was cleared under us: no agent could tell that we live, so we come as somebody new.
            self.close()
            self.name = secrets.token_hex(8)
            path = os.path.join(directory(), f"{self.name}.lock")
        if self._lock is None:
            # Never opened a second time: closing any descriptor of the file would release the lock.
            self._lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return connection.request("hello", 60.0, v=1, client=self.name, pid=os.getpid(), version=VERSION, sealed=sealed)

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
