"""Which rank this process is, and how ranks of one launch agree: through the framework's key-value store, never by a collective.

Agreement happens at the start of a run and where the layout of a state changes; no save of a known layout waits for another rank.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, Optional, Protocol

from . import _dtypes
from ._errors import Busy, Refused

# Ranks may reach the Checkpointer at quite different times: one downloads what the others have.
MEETING_SECONDS = 600.0
# A rank hears what rank 0 decided, also where that is that somebody did not come.
_GRACE_SECONDS = 5.0
_LONGEST_PAUSE = 0.1

_counted: dict[str, int] = {}


class KeyValues(Protocol):
    """The framework's key-value store."""

    def put(self, key: str, value: str) -> None: ...

    def get(self, key: str, deadline: float) -> Optional[str]:
        """The value, as soon as there is one; None after the deadline (of the monotonic clock)."""
        ...


class _TorchStore:
    """The process group's store. Polled: a blocking wait would keep its lock, which other threads of torch need."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def put(self, key: str, value: str) -> None:
        self._store.set(key, value)

    def get(self, key: str, deadline: float) -> Optional[str]:
        pause = 0.001
        while not self._store.check([key]):
            if time.monotonic() > deadline:
                return None
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        found: bytes = self._store.get(key)
        return found.decode()


class _JaxStore:
    """The key-value store of JAX's distributed runtime."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def put(self, key: str, value: str) -> None:
        self._client.key_value_set(key, value)

    def get(self, key: str, deadline: float) -> Optional[str]:
        left = max(int((deadline - time.monotonic()) * 1000), 1)
        try:
            return str(self._client.blocking_key_value_get(key, left))
        except Exception:
            if time.monotonic() < deadline - 0.05:
                raise
            return None


class Ranks:
    """This process among the ranks of its launch: `rank` of `world`, `local` of them on this `node`, and their common `token`."""

    def __init__(
        self,
        name: str,
        rank: Optional[int] = None,
        world_size: Optional[int] = None,
        token: Optional[str] = None,
    ) -> None:
        self.node = socket.gethostname()
        self.local = 1
        self._store: Optional[KeyValues] = None
        found = _from_torch() or _from_jax()
        if (rank is None) != (world_size is None):
            raise Refused("rank and world_size belong together", f"rank={rank!r}, world_size={world_size!r}")
        if rank is not None and world_size is not None:
            if world_size < 1 or not 0 <= rank < world_size:
                raise Refused("a rank counts from 0 to world_size - 1", f"rank={rank}, world_size={world_size}")
            self.rank, self.world = rank, world_size
            if found is not None and found[:2] == (rank, world_size):
                self._store = found[2]
        elif found is not None:
            self.rank, self.world, self._store = found
        else:
            self.rank, self.world, self.local = _from_environment()
        if self.world == 1:
            self.token = token or secrets.token_hex(16)
            return
        if self._store is None:
            if token is None:
                raise Refused(
                    f"{self.world} ranks need a start token that is the same for all of them and new for every launch",
                    f"rank {self.rank}",
                    "make the Checkpointer after torch.distributed or JAX is initialised, which share one, or give token=",
                )
            self.token = token
            return
        # Several Checkpointers of one launch must not read each other's words; all ranks make them in the same order.
        _counted[name] = number = _counted.get(name, 0) + 1
        self._prefix = f"keepstone/{name}/{number}"
        self._meet(token)

    @property
    def can_agree(self) -> bool:
        """Whether ranks can hear of each other at all."""
        return self._store is not None and self.world > 1

    def _meet(self, token: Optional[str]) -> None:
        def merge(words: list[str]) -> str:
            nodes = [json.loads(word)[0] for word in words]
            counts = {node: nodes.count(node) for node in dict.fromkeys(nodes)}
            return json.dumps([json.loads(words[0])[1] or secrets.token_hex(16), counts])

        met = self.agree("meet", json.dumps([self.node, token]), merge, MEETING_SECONDS)
        self.token, counts = json.loads(met)
        self.local = counts[self.node]

    def agree(
        self, name: str, word: str, merge: Callable[[list[str]], str], seconds: float, among: Optional[list[int]] = None
    ) -> str:
        """Every rank (or those `among`) says a word under a name that is used once; all get what rank 0 makes of them. `Busy` where one does not come in time.

        The messages are linear in the number of ranks: only rank 0 reads all words, in the order of ranks.
        """
        assert self._store is not None
        deadline = time.monotonic() + seconds
        place = f"{self._prefix}/{name}"
        speakers = list(range(self.world)) if among is None else among
        if self.rank > 0:
            if self.rank in speakers:
                self._store.put(f"{place}/{self.rank}", word)
            found = self._store.get(f"{place}/all", deadline + _GRACE_SECONDS)
            if found is None:
                raise Busy(self._missing(name, "rank 0", seconds), f"rank {self.rank} on {self.node}", _NEXT)
        else:
            found = self._heard(name, word, speakers, merge, deadline, seconds)
            self._store.put(f"{place}/all", found)
        if found.startswith("!"):
            raise Busy(found[1:], f"rank {self.rank} on {self.node}", _NEXT)
        return found[1:]

    def give_up(self, name: str, why: str) -> None:
        """Says that this rank will not come to agree on `name`, so that no other waits for it."""
        if self.can_agree:
            assert self._store is not None
            who = "all" if self.rank == 0 else str(self.rank)
            with contextlib.suppress(Exception):  # the process group may be gone, and with it everyone who could wait
                self._store.put(
                    f"{self._prefix}/{name}/{who}", f"!rank {self.rank} of {self.world} does not agree on {name}: {why}"
                )

    def _heard(
        self,
        name: str,
        word: str,
        speakers: list[int],
        merge: Callable[[list[str]], str],
        deadline: float,
        seconds: float,
    ) -> str:
        assert self._store is not None
        words, absent = [], []
        for rank in speakers:
            one = word if rank == 0 else self._store.get(f"{self._prefix}/{name}/{rank}", deadline)
            if one is None:
                absent.append(rank)
            elif one.startswith("!"):
                return one
            else:
                words.append(one)
        if absent:
            shown = ", ".join(map(str, absent[:8])) + (", …" if len(absent) > 8 else "")
            return "!" + self._missing(name, f"{'rank' if len(absent) == 1 else 'ranks'} {shown}", seconds)
        return "=" + merge(words)

    def _missing(self, name: str, who: str, seconds: float) -> str:
        return f"{who} of {self.world} did not come within {seconds:g} s to agree on {name}"


_NEXT = "all ranks make their Checkpointer and save in the same order; look at the log of the one that is missing"


def _from_torch() -> Optional[tuple[int, int, KeyValues]]:
    torch = _dtypes.torch()
    distributed = getattr(torch, "distributed", None)
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    from torch.distributed import distributed_c10d

    return distributed.get_rank(), distributed.get_world_size(), _TorchStore(distributed_c10d._get_default_store())


def _from_jax() -> Optional[tuple[int, int, KeyValues]]:
    if "jax" not in sys.modules:
        return None
    with contextlib.suppress(ImportError, AttributeError):
        distributed = importlib.import_module("jax._src.distributed").global_state
        if distributed.client is not None:
            return int(distributed.process_id), int(distributed.num_processes), _JaxStore(distributed.client)
    return None


# Rank, world and ranks of the node as launchers tell them. Slurm sets the number of tasks of an allocation in its batch script too, which is one process:
# only the variables of a step tell that this is one of several.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE"),
)


def _from_environment() -> tuple[int, int, int]:
    for names in _LAUNCHERS:
        rank, world, local = (os.environ.get(name, "") for name in names)
        if rank.isdecimal() and world.isdecimal() and int(rank) < int(world):
            return int(rank), int(world), int(local) if local.isdecimal() else 1
    return 0, 1, 1
