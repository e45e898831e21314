"""Who writes what: of every box that several ranks hold, one of them, chosen the same way by all.

What an ordinary tensor's holders are, no metadata tells: replicas under data parallelism look like the stages of a pipeline. So where the ordinary tensors
of a rank have changed, the ranks compare them by a digest each, and by their lists only where the digests differ.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import json
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from . import _dtypes
from ._errors import Refused
from ._ranks import Ranks
from ._shards import Spread

SPREAD = "spread"  # by size over those who hold it: parameters and optimizer state, of which all replicas are equal
LOWEST = "lowest"  # by the lowest rank: buffers and the rest, whose replicas may differ and had better be of one rank
OWN = "own"  # by every rank: random state, loaders; the name tells the rank

Key = tuple[str, str]

_STATE = "the state of {}"


class Entry(NamedTuple):
    """One tensor of a state: how it is stored, and what of it lies here (`spread`; None where the whole does)."""

    component: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    kind: str  # torch, numpy, jax or bytes
    frozen: bool
    rule: str
    spread: Optional[Spread] = None
    # FSDP1: other ranks may hold what this one has nothing of, and then its optimizer does not even know it.
    flat: bool = False

    @property
    def key(self) -> Key:
        return self.component, self.name


class Owners:
    """The ranks of a launch as a plan of a state sees them; remembers what they agreed upon."""

    def __init__(self, ranks: Optional[Ranks] = None) -> None:
        self.rank = 0 if ranks is None else ranks.rank
        self.world = 1 if ranks is None else ranks.world
        self._ranks = ranks
        self._digest = ""
        self._partial: dict[Key, list[int]] = {}

    def compare(self, entries: list[Entry], occasion: str, seconds: float) -> dict[Key, list[int]]:
        """The holders of those tensors that not every rank has, also of such as this rank has not. `Busy` where a rank does not come in time."""
        if self._ranks is None or not self._ranks.can_agree:
            return {}
        known = [
            [entry.component, entry.name, entry.dtype, list(entry.shape), entry.rule]
            for entry in entries
            if (entry.spread is None and entry.rule != OWN) or entry.flat
        ]
        text = json.dumps(sorted(known), separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        if digest != self._digest:
            same = self._ranks.agree(_STATE.format(occasion), digest, lambda all: str(len(set(all)) == 1), seconds)
            self._partial = {} if same == "True" else self._differing(text, occasion, seconds)
            self._digest = digest
        return self._partial

    def _differing(self, text: str, occasion: str, seconds: float) -> dict[Key, list[int]]:
        assert self._ranks is not None
        word = base64.b64encode(zlib.compress(text.encode(), 1)).decode()
        merged = json.loads(_text(self._ranks.agree(f"the tensors of {occasion}", word, _merged, seconds)))
        if merged["wrong"]:
            raise Refused(
                merged["wrong"],
                f"rank {self.rank}",
                "say which part of the whole each rank holds with keepstone.Piece, or use DTensor",
            )
        return {(component, name): ranks for component, name, ranks in merged["partial"]}

    def give_up(self, occasion: str, why: str) -> None:
        """Lets nobody wait for this rank, which does not take part in that save."""
        if self._ranks is not None:
            self._ranks.give_up(_STATE.format(occasion), why)

    def choose(self, entries: list[Entry], partial: dict[Key, list[int]]) -> list[tuple[int, int]]:
        """What this rank writes: numbers of entries and, of spread ones, of boxes (else -1), in the order of entries."""
        everyone: Sequence[int] = range(self.world)
        chosen: list[tuple[int, int]] = []
        shared: dict[tuple[int, ...], list[tuple[int, Key, Any, tuple[int, int]]]] = {}
        for index, entry in enumerate(entries):
            boxes = [(-1, None)] if entry.spread is None else list(enumerate(entry.spread.boxes))
            for number, box in boxes:
                holders: Sequence[int]
                if self.world == 1 or entry.rule == OWN:
                    holders = (self.rank,)
                elif box is None:
                    holders = partial.get(entry.key, everyone)
                else:
                    holders = box.holders or (self.rank,)
                if len(holders) == 1 or entry.rule != SPREAD:
                    if holders[0] == self.rank:
                        chosen.append((index, number))
                    continue
                extent = entry.shape if box is None else box.extent
                size = _dtypes.size_of(entry.dtype, extent)
                place = () if box is None else box.offset
                shared.setdefault(tuple(holders), []).append((-size, entry.key, place, (index, number)))
        for ranks, several in shared.items():
            loads = [(0, rank) for rank in ranks]
            for size, _, _, where in sorted(several, key=lambda one: one[:3]):
                load, rank = heapq.heappop(loads)
                heapq.heappush(loads, (load - size, rank))
                if rank == self.rank:
                    chosen.append(where)
        return sorted(chosen)


def _text(word: str) -> str:
    return zlib.decompress(base64.b64decode(word)).decode()


def _merged(words: list[str]) -> str:
    """Rank 0's view of all lists: which tensors not every rank has, and one that two ranks understand differently."""
    holders: dict[Key, list[int]] = {}
    forms: dict[Key, tuple[int, Any]] = {}
    wrong = ""
    for rank, word in enumerate(words):
        for component, name, *form in json.loads(_text(word)):
            holders.setdefault((component, name), []).append(rank)
            first, expected = forms.setdefault((component, name), (rank, form))
            if form != expected and not wrong:
                wrong = (
                    f"{component}.{name} is {expected[0]} {expected[1]} on rank {first} and {form[0]} {form[1]} on rank {rank}:"
                    " these are no replicas of one tensor"
                )
    partial = [[*key, ranks] for key, ranks in holders.items() if len(ranks) < len(words)]
    text = json.dumps({"wrong": wrong, "partial": partial}, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 1)).decode()
