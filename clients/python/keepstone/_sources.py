"""Where a restore's bytes come from through the agent: sealed generations in memory, and windows of the store's stream."""

from __future__ import annotations

import mmap
import os
import warnings
from collections.abc import Callable
from typing import Any

from . import _dtypes
from ._errors import IntegrityError
from ._targets import Copy, Key, Stored, Stream, Wanted, copies, copy_into, is_array

_PAGES_NOW = getattr(mmap, "MAP_POPULATE", 0x8000)
# Bytes that nobody wants are mapped along where they are no more than this: each mapping has a cost of its own.
_GAP = 2 << 20


def listed(tensors: list[dict[str, Any]]) -> dict[Key, Stored]:
    """The tensors of an `open` answer, by component and name."""
    found = {}
    for index, one in enumerate(tensors):
        key = (one["component"], one["name"])
        found[key] = Stored(one["dtype"], tuple(one["shape"]), ".".join(key), index)
    if len(found) != len(tensors):
        raise IntegrityError("the agent named a tensor twice")
    return found


def request(tensors: dict[Key, Stored], wanted: Wanted) -> list[dict[str, Any]]:
    """The tensors of a `want`: which boxes of which tensors are to be filled."""
    asked: list[dict[str, Any]] = []
    for key, targets in wanted.items():
        stored = tensors[key]
        one: dict[str, Any] = {"tensor": stored.index}
        if not any(target.extent == stored.shape for target in targets):
            slices = dict.fromkeys((target.offset, target.extent) for target in targets if 0 not in target.extent)
            one["slices"] = [{"offset": list(offset), "extent": list(extent)} for offset, extent in slices]
        if one.get("slices", True):
            asked.append(one)
    return asked


def fill(answer: dict[str, Any], more: Callable[[], dict[str, Any]], tensors: dict[Key, Stored], wanted: Wanted) -> bool:
    """Fills what is wanted as the agent answered a `want`; `more` asks for the next window. Whether all of it came from memory."""
    sources = answer.get("sources") or []
    _place(answer, tensors, wanted)
    planned = copies(tensors, wanted)
    in_memory: list[list[Copy]] = [[] for _ in sources]
    streamed = []
    for one in planned:
        if one.piece.source is None:
            streamed.append(one)
        else:
            in_memory[one.piece.source].append(one)
    for source, found in zip(sources, in_memory):
        _from_memory(source["segment"], source["slot_at"], found)
    _from_windows(more, answer, streamed)
    return bool(sources) and answer["total"] == 0


def _place(answer: dict[str, Any], tensors: dict[Key, Stored], wanted: Wanted) -> None:
    """Notes where the wanted pieces lie, as the agent says; whatever cannot be true is refused."""
    by_index = {tensors[key].index: (".".join(key), tensors[key]) for key in wanted}
    sources = len(answer.get("sources") or ())
    for _, stored in by_index.values():
        stored.pieces = []
    position = 0
    for piece in answer["pieces"]:
        source, at, size = piece.get("source"), piece["at"], piece["bytes"]
        if piece["tensor"] not in by_index:
            raise IntegrityError(f"the agent answered with a piece of tensor {piece['tensor']}, which was not wanted")
        name, stored = by_index[piece["tensor"]]
        if at < 0 or (source is not None and not 0 <= source < sources) or (source is None and at != position):
            raise IntegrityError(f"a piece lies at {at} of {'the stream' if source is None else 'a segment'}", name)
        position += size if source is None else 0
        stored.add(tuple(piece["offset"]), tuple(piece["extent"]), at, size, source, name)
    if position != answer["total"]:
        raise IntegrityError(f"the agent announced a stream of {answer['total']} bytes and pieces of {position}")


def _from_memory(segment: str, slot_at: int, planned: list[Copy]) -> None:
    """Copies out of a sealed slot. The mapping is read-only: nothing that is restored can ever write to the generation.

    Only what is wanted is mapped: mapping costs as much per byte as half the copy.
    """
    descriptor = os.open(segment, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if slot_at < 0:
            raise IntegrityError(f"a slot at {slot_at} does not lie in a file", segment)
        for begin, end, copies_here in _stretches(planned):
            first = (slot_at + begin) // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
            if slot_at + end > size:
                raise IntegrityError(
                    f"tensors up to byte {slot_at + end} do not lie in a file of {size} bytes", segment
                )
            length = slot_at + end - first
            flags = mmap.MAP_SHARED | _PAGES_NOW
            memory = mmap.mmap(descriptor, length, flags=flags, prot=mmap.PROT_READ, offset=first)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's about the read-only buffer, which is the point
                _copy(memory, slot_at - first, copies_here)
            try:
                memory.close()
            except BufferError:
                raise IntegrityError("a restored tensor still refers to the segment", segment) from None
    finally:
        os.close(descriptor)


def _stretches(planned: list[Copy]) -> list[tuple[int, int, list[Copy]]]:
    """The copies in the order in which their bytes lie, together where little lies between them."""
    found: list[tuple[int, int, list[Copy]]] = []
    for one in sorted((one.narrowed() for one in planned), key=lambda one: one.piece.at):
        begin, end = one.piece.at, one.piece.at + one.piece.bytes
        if found and begin - found[-1][1] <= _GAP:
            found[-1] = (found[-1][0], max(found[-1][1], end), found[-1][2])
            found[-1][2].append(one)
        else:
            found.append((begin, end, [one]))
    return found


def _copy(memory: Any, base: int, planned: list[Copy]) -> None:
    torch = _dtypes.torch()
    into: list[Any] = []
    sources: list[Any] = []
    for one in planned:
        if type(one.into.local) is bytearray or is_array(one.into.local):
            copy_into(one, memory, base + one.piece.at)
        else:
            into.append(one.target())
            sources.append(one.source(memory, base + one.piece.at))
    if into:
        with torch.no_grad():
            if hasattr(torch, "_foreach_copy_"):
                torch._foreach_copy_(into, sources)
            else:
                for target, source in zip(into, sources):
                    target.copy_(source)


def _from_windows(more: Callable[[], dict[str, Any]], answer: dict[str, Any], planned: list[Copy]) -> None:
    """Takes the store's stream, window by window; the agent has checked every granule's checksum."""
    stream = Stream(planned)
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
                            if begin < 0 or len(data) != chunk["bytes"]:
                                raise IntegrityError("the agent announced a chunk beyond its window", window["file"])
                            stream.feed(chunk["at"], data)
                    end = bool(window_now["end"])
        finally:
            os.close(descriptor)
    stream.finish()
