"""Where stored bytes go: the pieces of a checkpoint on one side, boxes of tensors, arrays and buffers of the trainer on the other."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable
from typing import Any, NamedTuple, Optional, Union

from . import _dtypes
from ._boxes import Place, Range, common, in_bytes, is_run, linear, within
from ._errors import IntegrityError
from ._segment import array, view
from ._shards import boxes_of_flat

Key = tuple[str, str]


class Target(NamedTuple):
    """A part of a tensor and the trainer's memory for it."""

    offset: Place
    extent: Place
    local: Any


class StoredPiece(NamedTuple):
    """A contiguous box of a tensor; `at` is where its bytes begin, in the stream, file or memory (number `source`) that holds them."""

    offset: Place
    extent: Place
    at: int
    bytes: int
    source: Optional[int] = None


class Stored:
    """One tensor of a checkpoint; `index` is its place in the agent's list."""

    __slots__ = ("dtype", "index", "pieces", "shape")

    def __init__(self, dtype: str, shape: Place, on: str, index: int = 0) -> None:
        if dtype not in _dtypes.TYPES:
            raise IntegrityError(f"this client does not know the dtype {dtype}", on, "read it with a newer keepstone")
        if any(extent < 0 for extent in shape):
            raise IntegrityError(f"a tensor has the shape {list(shape)}", on)
        self.dtype, self.shape, self.index = dtype, shape, index
        self.pieces: list[StoredPiece] = []

    def is_whole(self) -> bool:
        return len(self.pieces) == 1 and self.pieces[0].extent == self.shape

    def add(self, offset: Place, extent: Place, at: int, size: int, source: Optional[int], on: str) -> None:
        """Notes where a piece lies. Its size is checked against type and extent."""
        fits = len(offset) == len(extent) == len(self.shape) and all(
            o >= 0 and e >= 0 and o + e <= s for o, e, s in zip(offset, extent, self.shape)
        )
        if not fits or size != _dtypes.size_of(self.dtype, extent):
            raise IntegrityError("a piece does not fit its tensor's type and shape", on)
        self.pieces.append(StoredPiece(offset, extent, at, size, source))


Wanted = dict[Key, list[Target]]


def whole(stored: Stored, local: Any) -> Target:
    """All of a stored tensor."""
    return Target((0,) * len(stored.shape), stored.shape, local)


def stored_tensors(pieces: Iterable[dict[str, Any]]) -> dict[Key, Stored]:
    """The tensors of a checkpoint's parts, by component and name."""
    found: dict[Key, Stored] = {}
    for piece in pieces:
        key = (piece["component"], piece["name"])
        on, shape = ".".join(key), tuple(piece["shape"])
        tensor = found.get(key)
        if tensor is None:
            tensor = found[key] = Stored(piece["dtype"], shape, on)
        if piece["dtype"] != tensor.dtype or shape != tensor.shape:
            raise IntegrityError("two pieces of one tensor disagree on its type or shape", on)
        tensor.add(tuple(piece["offset"]), tuple(piece["extent"]), piece["at"], piece["bytes"], None, on)
    return found


def new_tensor(stored: Stored, like: Optional[str], device: Any = None) -> Any:
    """Fresh memory for a stored tensor: an array, bytes in the making, or a torch tensor (an array where torch is not loaded)."""
    if like in ("bytes", "bytearray"):
        return bytearray(_dtypes.size_of(stored.dtype, stored.shape))
    torch, numpy = _dtypes.torch(), _dtypes.numpy()
    if like != "numpy" and torch is not None:
        dtype = _dtypes.to_torch(stored.dtype)
        if dtype is None:
            raise IntegrityError(f"this torch has no dtype for {stored.dtype}")
        return torch.empty(_dtypes.torch_shape(stored.dtype, stored.shape), dtype=dtype, device=device)
    name = _dtypes.TYPES[stored.dtype][2]
    if numpy is None or name is None:
        raise IntegrityError(
            f"a tensor of {stored.dtype} needs {'torch' if name is None else 'torch or NumPy'} to be imported first"
        )
    return numpy.empty(stored.shape, dtype=name)


class Copy(NamedTuple):
    """What a piece and a wanted box have in common, and so what is copied from one to the other."""

    stored: Stored
    piece: StoredPiece
    into: Target
    part: Range  # in the tensor's coordinates

    @property
    def takes_all(self) -> bool:
        """Whether the box wants the whole piece."""
        return self.part.extent == self.piece.extent

    def narrowed(self) -> Copy:
        """The same with the piece cut down to the rows that are wanted, so that no more of it is touched."""
        piece, part = self.piece, self.part
        if not part.extent or part.extent[0] == piece.extent[0]:
            return self
        offset, extent = (part.offset[0], *piece.offset[1:]), (part.extent[0], *piece.extent[1:])
        outer = in_bytes(self.stored.dtype, piece.offset, piece.extent)
        inner = in_bytes(self.stored.dtype, offset, extent)
        begin = linear(within(inner.offset, outer.offset), outer.extent)
        return self._replace(
            piece=StoredPiece(offset, extent, piece.at + begin, math.prod(inner.extent), piece.source)
        )

    def target(self) -> Any:
        """The trainer's memory that is written, as a part of what it belongs to."""
        local = self.into.local
        if type(local) is bytearray:
            begin = self.part.offset[0] - self.into.offset[0]
            return memoryview(local)[begin : begin + self.part.extent[0]]
        if not is_array(local):
            local = local.detach()
        return local if self.part.extent == self.into.extent else local[self._slices(self.into.offset)]

    def source(self, memory: Any, at: int) -> Any:
        """The same values in `memory`, where the piece begins at `at`: as a torch tensor for torch, else as an array."""
        build = array if is_array(self.into.local) else view
        found = build(memory, at, self.stored.dtype, self.piece.extent, self.piece.bytes)
        return found if self.takes_all else found[self._slices(self.piece.offset)]

    def _slices(self, offset: Place) -> tuple[slice, ...]:
        found = [slice(o, o + e) for o, e in zip(within(self.part.offset, offset), self.part.extent)]
        if self.stored.dtype == "F4" and found:  # torch counts two elements as one
            in_bytes("F4", (found[-1].start,), self.part.extent[-1:])
            found[-1] = slice(found[-1].start // 2, found[-1].stop // 2)
        return tuple(found)


def copies(tensors: dict[Key, Stored], wanted: Wanted) -> list[Copy]:
    """All copying that fills the wanted boxes. Refuses pieces that leave a part of one unfilled, or fill it twice."""
    found: list[Copy] = []
    for key, targets in wanted.items():
        stored = tensors[key]
        for target in targets:
            if stored.is_whole() and target.extent == stored.shape:  # what most are
                if stored.pieces[0].bytes:
                    found.append(Copy(stored, stored.pieces[0], target, Range(target.offset, target.extent)))
                continue
            filled = 0
            for piece in stored.pieces:
                part = common(piece.offset, piece.extent, target.offset, target.extent)
                if part is not None:
                    found.append(Copy(stored, piece, target, part))
                    filled += math.prod(part.extent)
            if filled != math.prod(target.extent):
                raise IntegrityError(
                    f"the pieces fill {filled} of {math.prod(target.extent)} elements that are wanted", ".".join(key)
                )
    return found


def is_array(target: Any) -> bool:
    """Whether this is a NumPy array."""
    numpy = _dtypes.numpy()
    return numpy is not None and isinstance(target, numpy.ndarray)


def copy_into(one: Copy, memory: Any, at: int) -> None:
    """Copies out of memory in which the piece begins at `at`, whatever the target's strides and device."""
    target = one.target()
    if type(one.into.local) is bytearray:
        begin = at + within(one.part.offset, one.piece.offset)[0]
        target[:] = memory[begin : begin + len(target)]
    elif is_array(target):
        raw = _bytes_of(target)
        if raw is None:
            _dtypes.numpy().copyto(target, one.source(memory, at), casting="equiv")
            return
        piece = in_bytes(one.stored.dtype, one.piece.offset, one.piece.extent)
        part = in_bytes(one.stored.dtype, *one.part)
        source = _dtypes.numpy().frombuffer(memory, "u1", one.piece.bytes, at).reshape(piece.extent)
        raw.reshape(part.extent)[...] = source[_slices(within(part.offset, piece.offset), part.extent)]
    else:
        target.copy_(one.source(memory, at))


def _slices(offset: Place, extent: Place) -> tuple[slice, ...]:
    return tuple(slice(o, o + e) for o, e in zip(offset, extent))


def _bytes_of(target: Any) -> Any:
    """A target's memory as an array of bytes in its shape, the last dimension longer; None where its bytes do not lie as they are stored."""
    if is_array(target):
        if not target.dtype.isnative or not target.flags.writeable:
            return None
        flat = target if target.ndim else target.reshape(1)
        if flat.size == 0 or flat.strides[-1] != flat.itemsize:
            return None
        try:
            return flat.view("u1")
        except ValueError:  # NumPy before 1.23 views only what is contiguous
            return None
    if target.device.type != "cpu" or target.is_conj() or target.is_neg() or target.numel() == 0:
        return None
    flat = target if target.dim() else target.reshape(1)
    if flat.stride(-1) != 1:
        return None
    try:
        raw = flat.view(_dtypes.torch().uint8)
        return raw if _dtypes.numpy() is None else raw.numpy()
    except (RuntimeError, TypeError):
        return None


def _seen(data: memoryview, extent: Place) -> Any:
    numpy, torch = _dtypes.numpy(), _dtypes.torch()
    if numpy is not None:
        return numpy.frombuffer(data, "u1").reshape(extent)
    return torch.frombuffer(data, dtype=torch.uint8).view(extent)


class _Run:
    """A wanted run of a piece's bytes, and the memory that it goes to."""

    __slots__ = ("begin", "end", "memory")

    def __init__(self, begin: int, memory: memoryview) -> None:
        self.begin, self.end, self.memory = begin, begin + len(memory), memory

    def take(self, at: int, data: memoryview) -> int:
        """Takes what it wants of bytes `[at, at + len(data))` of the piece; returns how many that were."""
        start, stop = max(at, self.begin), min(at + len(data), self.end)
        if start >= stop:
            return 0
        self.memory[start - self.begin : stop - self.begin] = data[start - at : stop - at]
        return stop - start


class _Rows:
    """A wanted box within a piece that lies in many runs; all of it is counted in bytes."""

    __slots__ = ("into", "outer", "part")

    def __init__(self, outer: Place, part: Range, into: Any) -> None:
        self.outer, self.part, self.into = outer, part, into

    def take(self, at: int, data: memoryview) -> int:
        taken = 0
        low, extent = self.part
        for offset, block, first in boxes_of_flat(self.outer, at, at + len(data)):
            inner = common(offset, block, low, extent)
            if inner is None:
                continue
            source = _seen(data[first - at : first - at + math.prod(block)], block)
            into = self.into[_slices(within(inner.offset, low), inner.extent)]
            into[...] = source[_slices(within(inner.offset, offset), inner.extent)]
            taken += math.prod(inner.extent)
        return taken


class Stream:
    """Distributes a stream of bytes, in which pieces stand one after another, to the boxes that want them. Gaps where nothing is wanted may be left out."""

    def __init__(self, planned: Iterable[Copy]) -> None:
        self._staged: list[tuple[Copy, bytearray]] = []
        self._missing = 0
        self._arrived: list[list[int]] = []  # ranges, in order and apart from each other
        takers: dict[int, tuple[int, list[Union[_Run, _Rows]]]] = {}
        for one in planned:
            takers.setdefault(one.piece.at, (one.piece.at + one.piece.bytes, []))[1].append(self._taker(one))
        self._starts = sorted(takers)
        self._ends = [takers[start][0] for start in self._starts]
        self._takers = [takers[start][1] for start in self._starts]

    def _taker(self, one: Copy) -> Union[_Run, _Rows]:
        dtype = one.stored.dtype
        piece, part = in_bytes(dtype, one.piece.offset, one.piece.extent), in_bytes(dtype, *one.part)
        size = math.prod(part.extent)
        self._missing += size
        target = one.target()
        raw = target if type(target) is memoryview else _bytes_of(target)
        if raw is None:
            staging = bytearray(size)
            self._staged.append((one, staging))
            raw = memoryview(staging)
        low = within(part.offset, piece.offset)
        run = _one_run(raw) if is_run(part.extent, piece.extent) else None
        if run is not None:
            return _Run(linear(low, piece.extent), run)
        return _Rows(piece.extent, Range(low, part.extent), _seen(raw, part.extent) if type(raw) is memoryview else raw)

    def feed(self, at: int, data: memoryview) -> None:
        """Takes stream bytes `[at, at + len(data))`."""
        end = at + len(data)
        self._arrive(at, end)
        index = bisect.bisect_right(self._ends, at)
        while index < len(self._starts) and self._starts[index] < end:
            begin, stop = max(at, self._starts[index]), min(end, self._ends[index])
            part = data[begin - at : stop - at]
            for taker in self._takers[index]:
                self._missing -= taker.take(begin - self._starts[index], part)
            index += 1

    def _arrive(self, at: int, end: int) -> None:
        # What came twice would be counted twice, and hide what never came.
        index = bisect.bisect_right(self._arrived, [at, at])
        before = self._arrived[index - 1] if index else None
        after = self._arrived[index] if index < len(self._arrived) else None
        if (before is not None and before[1] > at) or (after is not None and after[0] < end):
            raise IntegrityError(f"bytes {at}..{end - 1} of the stream came twice")
        if before is not None and before[1] == at:
            before[1] = end
        else:
            before = [at, end]
            self._arrived.insert(index, before)
            index += 1
        if after is not None and after[0] == end:
            before[1] = after[1]
            del self._arrived[index]

    def finish(self) -> None:
        """Everything has arrived: fills the targets that could not take bytes directly."""
        if self._missing:
            raise IntegrityError(f"the stream of the checkpoint ended {self._missing} bytes early")
        for one, staging in self._staged:
            _unstage(one, staging)


def _one_run(raw: Any) -> Optional[memoryview]:
    """A target's bytes as plain memory, where they lie in one run and NumPy can show it."""
    if type(raw) is memoryview:
        return raw
    return memoryview(raw.reshape(-1)) if is_array(raw) and raw.flags.c_contiguous else None


def _unstage(one: Copy, staging: bytearray) -> None:
    """Copies what was collected for a target in plain memory into it."""
    part = StoredPiece(one.part.offset, one.part.extent, 0, len(staging))
    copy_into(one._replace(piece=part), staging, 0)
