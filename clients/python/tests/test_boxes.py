"""Any pieces into any boxes, from memory and from a stream, against NumPy's indexing."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch
from states import bits, random_tensor

from keepstone import IntegrityError, _dtypes
from keepstone._sources import _stretches
from keepstone._targets import Copy, Stored, Stream, Target, copies, copy_into, new_tensor

SHAPES = [(), (1,), (7,), (13, 4), (1, 9), (5, 1, 6), (4, 3, 5), (2, 3, 1, 8)]


def cut(rng: random.Random, shape: tuple[int, ...], step: int = 1) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """A grid of boxes over a shape; some may be as small as one element. `step` is what the last dimension is cut by."""
    sides = []
    for dim, length in enumerate(shape):
        unit = step if dim == len(shape) - 1 else 1
        most = max(length // unit, 1)
        marks = sorted({0, length, *(unit * rng.randrange(most) for _ in range(rng.randrange(3)))})
        sides.append([(begin, end - begin) for begin, end in itertools.pairwise(marks)] or [(0, 0)])
    return [(tuple(o for o, _ in box), tuple(e for _, e in box)) for box in itertools.product(*sides)]


def cropped(tensor: torch.Tensor, dtype: str, offset: tuple[int, ...], extent: tuple[int, ...]) -> torch.Tensor:
    slices = [slice(o, o + e) for o, e in zip(offset, extent)]
    if dtype == "F4":
        slices[-1] = slice(slices[-1].start // 2, slices[-1].stop // 2)
    return tensor[tuple(slices)]


def raw(tensor: torch.Tensor) -> bytes:
    return bits(tensor)[2]  # type: ignore[no-any-return]


def laid_out(
    rng: random.Random, stored: Stored, tensor: torch.Tensor, grid: list[Any]
) -> bytes:
    """Puts the pieces one after another in some order, and returns their bytes."""
    memory = b""
    for offset, extent in rng.sample(grid, len(grid)):
        data = raw(cropped(tensor, stored.dtype, offset, extent))
        stored.add(offset, extent, len(memory), len(data), None, "t")
        memory += data
    return memory


def places_for(
    rng: random.Random, dtype: str, grid: list[Any]
) -> list[Target]:
    """A box for each member of a grid, in memory of several kinds."""
    found = []
    for offset, extent in grid:
        single = Stored(dtype, extent, "t")
        kind = rng.choice(["torch", "strided", "narrow"] + (["numpy"] if _dtypes.TYPES[dtype][2] else []))
        local: Any = new_tensor(single, "numpy" if kind == "numpy" else None)
        if kind == "strided" and local.dim() > 1:
            local = local.t() if local.dim() == 2 else local
            local = torch.empty(tuple(reversed(local.shape)), dtype=local.dtype).permute(*reversed(range(local.dim())))
            local = local if tuple(local.shape) == _dtypes.torch_shape(dtype, extent) else new_tensor(single, None)
        if kind == "narrow" and local.dim() > 0:
            local = torch.empty((*local.shape[:-1], local.shape[-1] + 3), dtype=local.dtype)[..., 1:-2]
        found.append(Target(offset, extent, local))
    return found


def chunks(rng: random.Random, planned: list[Copy], length: int, aligned: bool) -> list[tuple[int, int]]:
    """Ranges of the stream, in some order, that hold everything wanted; cut within elements where not `aligned`."""
    marks = {0, length, *(rng.randrange(length + 1) for _ in range(6))}
    if aligned:
        marks = {mark // 16 * 16 for mark in marks} | {length}
    found = [pair for pair in itertools.pairwise(sorted(marks)) if pair[0] < pair[1]]
    touched = [(one.narrowed().piece.at, one.narrowed().piece.at + one.narrowed().piece.bytes) for one in planned]
    found = [(begin, end) for begin, end in found if any(begin < stop and start < end for start, stop in touched)]
    return rng.sample(found, len(found))


@pytest.mark.parametrize("seed", range(60))
def test_any_pieces_fill_any_boxes(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    for shape in SHAPES:
        dtype = rng.choice(["F32", "BF16", "U8", "I64", "C64", "BOOL", "F8_E4M3"] + (["F4"] if shape else []))
        if dtype == "F4":
            shape = (*shape[:-1], shape[-1] * 2)
        step = 2 if dtype == "F4" else 1
        tensor = random_tensor(dtype, _dtypes.torch_shape(dtype, shape), seed)
        stored = Stored(dtype, shape, "t")
        memory = laid_out(rng, stored, tensor, cut(rng, shape, step))
        grid = cut(rng, shape, step)
        for way in ("stream", "memory"):
            targets = places_for(rng, dtype, [rng.choice(grid), *rng.sample(grid, len(grid))])
            planned = copies({("m", "t"): stored}, {("m", "t"): targets})
            if way == "stream":
                stream = Stream(planned)
                for begin, end in chunks(rng, planned, len(memory), rng.random() < 0.5):
                    stream.feed(begin, memoryview(memory)[begin:end])
                stream.finish()
            else:
                for begin, end, here in _stretches(planned):
                    assert begin <= min(one.piece.at for one in here) and end <= len(memory)
                    for one in here:
                        copy_into(one, bytearray(memory), one.piece.at)
            for target in targets:
                expected = cropped(tensor, dtype, target.offset, target.extent)
                got = target.local if isinstance(target.local, torch.Tensor) else torch.from_numpy(target.local)
                assert raw(got) == raw(expected), (shape, dtype, target.offset, target.extent, way)


def stream_of(pieces: list[tuple[int, int]], wanted: tuple[int, int]) -> tuple[Stream, torch.Tensor]:
    stored, at = Stored("U8", (100,), "t"), 0
    for offset, extent in pieces:
        stored.add((offset,), (extent,), at, extent, None, "t")
        at += extent
    local = torch.zeros(wanted[1], dtype=torch.uint8)
    return Stream(copies({("m", "t"): stored}, {("m", "t"): [Target((wanted[0],), (wanted[1],), local)]})), local


def test_what_cannot_be_true_is_refused() -> None:
    with pytest.raises(IntegrityError, match="90 of 100"):
        stream_of([(0, 50), (60, 40)], (0, 100))
    with pytest.raises(IntegrityError, match="110 of 100"):
        stream_of([(0, 60), (50, 50)], (0, 100))
    with pytest.raises(IntegrityError, match="does not fit"):
        stream_of([(60, 50)], (60, 40))
    stream, local = stream_of([(0, 100)], (20, 30))
    stream.feed(20, memoryview(bytes(range(10))))
    with pytest.raises(IntegrityError, match="20 bytes early"):
        stream.finish()
    with pytest.raises(IntegrityError, match="came twice"):
        stream.feed(25, memoryview(bytes(40)))
    stream.feed(30, memoryview(bytes(range(10, 30))))
    stream.finish()
    assert local.tolist() == list(range(30))
