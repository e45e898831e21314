"""From the tensors of a state to what is copied: those this rank writes, and of distributed ones the views of their boxes.

Views are kept from save to save; that they still show the trainer's memory is checked in bulk, because a look at one tensor alone costs as much as copying it.
"""

from __future__ import annotations

import operator
from typing import Any, Callable, Optional

from . import _jax
from ._flat import FlatPart, Slot
from ._nodes import Changed
from ._owners import Entry
from ._shards import Piece, Spread, is_dtensor, spread


class Cuts:
    """The sources of one plan's pieces: `chosen` are entry and box of each, in the order of entries."""

    def __init__(self, entries: list[Entry], parts: dict[int, FlatPart], chosen: list[tuple[int, int]]) -> None:
        self._indexes = [index for index, _ in chosen]
        self._all = self._indexes == list(range(len(entries)))
        self._torch: list[_Cut] = []
        self._jax: list[_Cut] = []
        cuts: dict[int, _Cut] = {}
        for position, (index, number) in enumerate(chosen):
            of = entries[index].spread
            if of is None:
                continue
            cut = cuts.get(index)
            if cut is None:
                cut = cuts[index] = _Cut(index, of, parts.get(index))
                (self._jax if of.kind == "jax" else self._torch).append(cut)
            cut.taken.append((position, number))
        self._seen: Optional[_Seen] = None

    def of(self, tensors: list[Any]) -> list[Any]:
        """What to copy from, one for each piece. Raises `Changed` where a distributed tensor lies differently now."""
        if self._all and not self._torch and not self._jax:
            return tensors
        found = [tensors[index] for index in self._indexes]
        if self._torch:
            values = [tensors[cut.index] for cut in self._torch]
            seen = _Seen(values)
            if self._seen is None or not seen.same(self._seen):
                for cut, value in zip(self._torch, values):
                    cut.look(value)
                self._seen = seen
            for cut in self._torch:
                for position, view in cut.views:
                    found[position] = view
        for cut in self._jax:
            cut.look(tensors[cut.index])
            for position, view in cut.views:
                found[position] = _jax.on_host(view)
        return found


class _Cut:
    """The boxes of one tensor that are taken, and where their views go."""

    __slots__ = ("_geometry", "_part", "index", "taken", "views")

    def __init__(self, index: int, of: Spread, part: Optional[FlatPart]) -> None:
        self.index, self._part = index, part
        self._geometry = [box[:2] for box in of.boxes]
        self.taken: list[tuple[int, int]] = []
        self.views: list[tuple[int, Any]] = []

    def look(self, value: Any) -> None:
        now = spread(value if self._part is None else Slot(value, self._part))
        if now is None or [box[:2] for box in now.boxes] != self._geometry:
            raise Changed(f"a distributed tensor of {list(value.shape)}")
        self.views = [(position, now.boxes[number].local) for position, number in self.taken]


class _Seen:
    """What tells whether views made before still hold: the local memory, and how it is a part of the whole."""

    def __init__(self, values: list[Any]) -> None:
        self._locals = [_READS.get(type(value), _local)(value) for value in values]
        self._pointers = [
            local.data_ptr() if hasattr(local, "data_ptr") else local.ctypes.data for local in self._locals
        ]
        self._layouts = [getattr(value, "_spec", None) for value in values]

    def same(self, other: _Seen) -> bool:
        return (
            all(map(operator.is_, self._locals, other._locals))
            and self._pointers == other._pointers
            and all(map(operator.is_, self._layouts, other._layouts))
        )


def _local(value: Any) -> Any:
    if is_dtensor(value):
        _READS[type(value)] = operator.attrgetter("_local_tensor")
        return value._local_tensor
    return value.local_shards()[0].tensor if hasattr(value, "local_shards") and value.local_shards() else value


def _flat(part: FlatPart) -> Any:
    shard = getattr(part.flat, "_local_shard", None)
    return part.flat if shard is None else shard


_READS: dict[type, Callable[[Any], Any]] = {FlatPart: _flat, Piece: operator.attrgetter("local")}
