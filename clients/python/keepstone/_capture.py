"""The save path's copy: from the trainer's tensors into a lent slot."""

from __future__ import annotations

import json
from typing import Any, Optional

from . import _dtypes
from ._frozen import Marks
from ._layout import Piece
from ._segment import Segment, array, view


class Capture:
    """The destinations of one registered layout, built once; per save one copy call for all torch tensors that are not frozen."""

    def __init__(self, segment: Segment, pieces: list[Piece], at: list[int]) -> None:
        self._segment = segment
        self._pieces, self._at = pieces, at
        self._torch = [index for index, piece in enumerate(pieces) if piece.kind == "torch" and not piece.frozen]
        self._others = [index for index, piece in enumerate(pieces) if piece.kind != "torch"]
        self._all = len(self._torch) == len(pieces)
        self._marks: Optional[Marks] = None
        self._views: list[Optional[list[Any]]] = [None] * segment.slots
        for slot in range(segment.slots):
            self._destinations(slot)

    def _destinations(self, slot: int) -> list[Any]:
        views = self._views[slot]
        if views is None:
            base = self._segment.slot_at(slot)
            views = []
            for piece, at in zip(self._pieces, self._at):
                size = piece.bytes
                if piece.frozen:
                    views.append(None)
                elif piece.kind == "torch":
                    views.append(view(self._segment.map, base + at, piece.dtype, piece.extent, size))
                elif piece.kind == "jax":
                    width = min(_dtypes.TYPES[piece.dtype][0], 8)
                    views.append(array(self._segment.map, base + at, f"U{8 * width}", (size // width,), size))
                elif piece.kind == "numpy":
                    views.append(array(self._segment.map, base + at, piece.dtype, piece.extent, size))
                else:
                    views.append((base + at, base + at + size))
            self._views[slot] = views
        return views

    def copy(self, slot: int, tensors: list[Any]) -> None:
        """Copies every tensor's values into the slot, frozen ones apart; returns when they are there."""
        destinations = self._destinations(slot)
        if self._torch:
            if self._all:
                _copy(destinations, tensors)
            else:
                _copy([destinations[index] for index in self._torch], [tensors[index] for index in self._torch])
        for index in self._others:
            if self._pieces[index].kind != "bytes":
                _dtypes.numpy().copyto(destinations[index], tensors[index], casting="equiv")
            else:
                begin, end = destinations[index]
                self._segment.map[begin:end] = tensors[index]

    def fill_constants(self, begin: int, tensors: list[Any]) -> None:
        """Copies the frozen tensors into the constant area at `begin` of the file: once, before the first seal."""
        into, sources, names = [], [], {}
        for index, (piece, at) in enumerate(zip(self._pieces, self._at)):
            if piece.frozen:
                size = piece.bytes
                into.append(view(self._segment.map, begin + at, piece.dtype, piece.extent, size))
                sources.append(tensors[index])
                names[index] = f"{piece.component}.{piece.name}"
        if names:
            self._marks = Marks(names, tensors)
            _copy(into, sources)

    def moved(self, tensors: list[Any]) -> bool:
        """Whether a frozen tensor lies elsewhere than when it was captured. Refuses one that was written to."""
        return self._marks is not None and self._marks.moved(tensors)

    def release(self) -> None:
        """Drops the views, so that the mapping can go."""
        self._views = [None] * len(self._views)


def _copy(into: list[Any], sources: list[Any]) -> None:
    torch = _dtypes.torch()
    with torch.no_grad():
        if hasattr(torch, "_foreach_copy_"):
            torch._foreach_copy_(into, sources)
        else:
            for destination, source in zip(into, sources):
                destination.copy_(source)


def state_area(metrics: dict[str, Any], values: list[Any]) -> bytes:
    """The state area's JSON."""
    text = json.dumps(
        {"metrics": metrics, "values": values}, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    return text.encode()
