"""Where a restore's bytes come from through the agent: a sealed generation in memory, or windows of the store's stream."""

from __future__ import annotations

import mmap
import os
import warnings
from collections.abc import Callable
from typing import Any

from . import _dtypes
from ._errors import IntegrityError
from ._segment import view
from ._targets import Key, Stored, Stream, copy_from

_PAGES_NOW = getattr(mmap, "MAP_POPULATE", 0x8000)


def from_memory(segment: str, slot_at: int, tensors: dict[Key, Stored], wanted: dict[Key, list[Any]]) -> None:
    """Copies out of a sealed slot. The mapping is read-only: nothing that is restored can ever write to the generation.

    Only what the pieces span is mapped: mapping costs as much per byte as half the copy, and the other slots are not wanted.
    """
    end = 0
    for key, stored in tensors.items():
        for piece in stored.pieces:
            if piece.at < 0 or piece.bytes < 0:
                raise IntegrityError(f"tensor {'.'.join(key)} reaches beyond the segment", segment)
            end = max(end, piece.at + piece.bytes)
    descriptor = os.open(segment, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if slot_at < 0 or slot_at % mmap.ALLOCATIONGRANULARITY != 0 or slot_at + end > size:
            raise IntegrityError(
                f"a slot at {slot_at} with tensors up to byte {end} does not lie in a file of {size} bytes", segment
            )
        if end == 0:
            return
        memory = mmap.mmap(descriptor, end, flags=mmap.MAP_SHARED | _PAGES_NOW, prot=mmap.PROT_READ, offset=slot_at)
    finally:
        os.close(descriptor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's about the read-only buffer, which is the point
        _copy(memory, tensors, wanted)
    try:
        memory.close()
    except BufferError:
        raise IntegrityError("a restored tensor still refers to the segment", segment) from None


def _copy(memory: Any, tensors: dict[Key, Stored], wanted: dict[Key, list[Any]]) -> None:
    torch = _dtypes.torch()
    into: list[Any] = []
    sources: list[Any] = []
    for key, targets in wanted.items():
        stored = tensors[key]
        for target in targets:
            if torch is not None and isinstance(target, torch.Tensor) and stored.is_whole():
                piece = stored.pieces[0]
                into.append(target.detach())
                sources.append(view(memory, piece.at, stored.dtype, stored.shape, piece.bytes))
            else:
                copy_from(memory, stored, target)
    if into:
        with torch.no_grad():
            if hasattr(torch, "_foreach_copy_"):
                torch._foreach_copy_(into, sources)
            else:
                for target, source in zip(into, sources):
                    target.copy_(source)


def from_windows(
    more: Callable[[], dict[str, Any]], answer: dict[str, Any], tensors: dict[Key, Stored], wanted: dict[Key, list[Any]]
) -> None:
    """Takes the store's stream, window by window (`more` asks for the next); the agent has checked every granule's checksum."""
    stream = Stream(tensors, wanted)
    window = answer.get("window")
    if window is not None and answer["total"] > 0:
        descriptor = os.open(window["file"], os.O_RDONLY | os.O_CLOEXEC)
        try:
            with (
                mmap.mmap(descriptor, window["bytes"], flags=mmap.MAP_SHARED, prot=mmap.PROT_READ) as memory,
                memoryview(memory) as seen,
            ):
                end = False
                while not end:
                    window_now = more()
                    for chunk in window_now["chunks"]:
                        begin = chunk["in"]
                        with seen[begin : begin + chunk["bytes"]] as data:
                            if len(data) != chunk["bytes"]:
                                raise IntegrityError("the agent announced a chunk beyond its window", window["file"])
                            stream.feed(chunk["at"], data)
                    end = bool(window_now["end"])
        finally:
            os.close(descriptor)
    stream.finish()
