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


class Holders(NamedTuple):
    """What ranks told each other: who has those tensors that not every rank has; and over which groups of ranks one is spread that several groups have."""

    partial: dict[Key, list[int]]
    groups: dict[Key, list[list[int]]]

    def of_box(self, entry: Entry, holders: tuple[int, ...]) -> tuple[int, ...]:
        """The holders of a box, those in other groups too: there it lies in the same place of the mesh."""
        several = self.groups.get(entry.key)
        if several is None or entry.spread is None:
            return holders
        places = [entry.spread.group.index(rank) for rank in holders]
        return tuple(sorted({group[place] for group in several for place in places}))


_ALONE = Holders({}, {})


class Owners:
    """The ranks of a launch as a plan of a state sees them; remembers what they agreed upon."""

    def __init__(self, ranks: Optional[Ranks] = None) -> None:
        self.rank = 0 if ranks is None else ranks.rank
        self.world = 1 if ranks is None else ranks.world
        self._ranks = ranks
        self._digest = ""
        self._holders = _ALONE

    def compare(self, entries: list[Entry], occasion: str, seconds: float) -> Holders:
        """Who holds what no metadata tells, also of tensors that this rank has not. `Busy` where a rank does not come in time."""
        if self._ranks is None or not self._ranks.can_agree:
            return _ALONE
        known = []
        for entry in entries:
            group = [] if entry.spread is None else list(entry.spread.group)
            if (entry.spread is None and entry.rule != OWN) or entry.flat or 0 < len(group) < self.world:
                known.append([entry.component, entry.name, [entry.dtype, list(entry.shape), entry.rule], group])
        text = json.dumps(sorted(known), separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        if digest != self._digest:
            kinds = json.loads(self._ranks.agree(_STATE.format(occasion), digest, _kinds, seconds))
            self._holders = _ALONE if len(kinds) == 1 else self._differing(text, kinds, occasion, seconds)
            self._digest = digest
        return self._holders

    def _differing(self, text: str, kinds: list[list[int]], occasion: str, seconds: float) -> Holders:
        """Of ranks that have the same, one sends its list."""
        assert self._ranks is not None
        speakers = [ranks[0] for ranks in kinds]
        word = base64.b64encode(zlib.compress(text.encode(), 1)).decode()
        told = self._ranks.agree(
            f"the tensors of {occasion}", word, lambda words: _merged(words, kinds, self.world), seconds, speakers
        )
        merged = json.loads(_text(told))
        if merged["wrong"]:
            raise Refused(
                merged["wrong"],
                f"rank {self.rank}",
                "say which part of the whole each rank holds with keepstone.Piece, or use DTensor",
            )
        return Holders(
            {(component, name): ranks for component, name, ranks in merged["partial"]},
            {(component, name): groups for component, name, groups in merged["groups"]},
        )

    def give_up(self, occasion: str, why: str) -> None:
        """Lets nobody wait for this rank, which does not take part in that save."""
        if self._ranks is not None:
            self._ranks.give_up(_STATE.format(occasion), why)

    def choose(self, entries: list[Entry], holding: Holders) -> list[tuple[int, int]]:
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
                    holders = holding.partial.get(entry.key, everyone)
                else:
                    holders = holding.of_box(entry, box.holders or (self.rank,))
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


def _kinds(digests: list[str]) -> str:
    """The ranks that have the same, together; first those of rank 0."""
    kinds: dict[str, list[int]] = {}
    for rank, digest in enumerate(digests):
        kinds.setdefault(digest, []).append(rank)
    return json.dumps(list(kinds.values()))


def _merged(words: list[str], kinds: list[list[int]], world: int) -> str:
    """Rank 0's view of all lists: which tensors not every rank has, which several groups have, and one that two ranks understand differently."""
    holders: dict[Key, list[int]] = {}
    forms: dict[Key, tuple[int, Any]] = {}
    groups: dict[Key, list[list[int]]] = {}
    wrong = ""
    for ranks, word in zip(kinds, words):
        for component, name, form, group in json.loads(_text(word)):
            key = (component, name)
            holders.setdefault(key, []).extend(ranks)
            first, expected = forms.setdefault(key, (ranks[0], form))
            if form != expected and not wrong:
                wrong = (
                    f"{component}.{name} is {expected[0]} {expected[1]} on rank {first} and {form[0]} {form[1]} on rank {ranks[0]}:"
                    " these are no replicas of one tensor"
                )
            if group and group not in groups.setdefault(key, []):
                groups[key].append(group)
    partial = [[*key, sorted(ranks)] for key, ranks in holders.items() if len(ranks) < world]
    several = [[*key, sorted(found)] for key, found in groups.items() if len(found) > 1]
    text = json.dumps({"wrong": wrong, "partial": partial, "groups": several}, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 1)).decode()
