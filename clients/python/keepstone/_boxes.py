"""Boxes of row-major arrays: what two have in common, and which lie in one run.

A box is an offset and an extent per dimension. `in_bytes` turns one of elements into one of bytes, so that a range that ends anywhere, even within
an element, is still made of boxes.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from . import _dtypes
from ._errors import IntegrityError

Place = tuple[int, ...]


class Range(NamedTuple):
    """A box without memory: where it begins and how far it reaches."""

    offset: Place
    extent: Place


def common(a_offset: Place, a_extent: Place, b_offset: Place, b_extent: Place) -> Optional[Range]:
    """What two boxes share; None where that is nothing."""
    low = tuple(map(max, a_offset, b_offset))
    extent = tuple(min(a + c, b + d) - o for a, c, b, d, o in zip(a_offset, a_extent, b_offset, b_extent, low))
    return None if any(length <= 0 for length in extent) else Range(low, extent)


def within(low: Place, offset: Place) -> Place:
    """Where a point lies, counted from the corner of a box."""
    return tuple(a - b for a, b in zip(low, offset))


def in_bytes(dtype: str, offset: Place, extent: Place) -> Range:
    """The same box with its last dimension counted in bytes."""
    width = _dtypes.TYPES[dtype][0]
    if not extent:
        return Range((0,), (width,))
    first, count = offset[-1], extent[-1]
    if dtype == "F4":
        if first % 2 or count % 2:
            raise IntegrityError("a box of F4 begins or ends within a byte", str(list(offset)))
        return Range((*offset[:-1], first // 2), (*extent[:-1], count // 2))
    return Range((*offset[:-1], first * width), (*extent[:-1], count * width))


def is_run(extent: Place, outer: Place) -> bool:
    """Whether a box of this extent lies in one run within a row-major array."""
    first = next((dim for dim, length in enumerate(extent) if length != 1), len(extent))
    return extent[first + 1 :] == outer[first + 1 :]


def linear(place: Place, outer: Place) -> int:
    """The number of elements before this place in a row-major array."""
    found = 0
    for index, length in zip(place, outer):
        found = found * length + index
    return found
