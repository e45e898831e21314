"""Where stored bytes go: the pieces of a checkpoint on one side, tensors, arrays and buffers of the trainer on the other."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from typing import Any, NamedTuple, Optional

from . import _dtypes
from ._errors import IntegrityError
from ._segment import array, view

Key = tuple[str, str]


class StoredPiece(NamedTuple):
    """A contiguous box of a tensor; `at` is where its bytes begin, in the stream, slot or file that holds them."""

    offset: tuple[int, ...]
    extent: tuple[int, ...]
    at: int
    bytes: int


class Stored:
    """One tensor of a checkpoint."""

    __slots__ = ("dtype", "pieces", "shape")

    def __init__(self, dtype: str, shape: tuple[int, ...]) -> None:
        self.dtype, self.shape = dtype, shape
        self.pieces: list[StoredPiece] = []

    def is_whole(self) -> bool:
        return len(self.pieces) == 1 and self.pieces[0].extent == self.shape


def stored_tensors(pieces: Iterable[dict[str, Any]]) -> dict[Key, Stored]:
    """The tensors of an `open` answer or of parts, by component and name. Every size is checked against type and extent."""
    found: dict[Key, Stored] = {}
    for piece in pieces:
        key = (piece["component"], piece["name"])
        shape = tuple(piece["shape"])
        tensor = found.setdefault(key, Stored(piece["dtype"], shape))
        offset = tuple(piece.get("offset") or (0,) * len(shape))
        extent = tuple(piece.get("extent") or shape)
        if tensor.dtype not in _dtypes.TYPES:
            raise IntegrityError(
                f"this client does not know the dtype {tensor.dtype}", ".".join(key), "read it with a newer keepstone"
            )
        size = _dtypes.size_of(tensor.dtype, extent)
        fits = len(offset) == len(extent) == len(shape) and all(
            o >= 0 and e >= 0 and o + e <= s for o, e, s in zip(offset, extent, shape)
        )
        if piece["dtype"] != tensor.dtype or shape != tensor.shape or not fits or size != piece["bytes"]:
            raise IntegrityError("a piece does not fit its tensor's type and shape", ".".join(key))
        tensor.pieces.append(StoredPiece(offset, extent, piece["at"], piece["bytes"]))
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


def _is_array(target: Any) -> bool:
    numpy = _dtypes.numpy()
    return numpy is not None and isinstance(target, numpy.ndarray)


def copy_from(memory: Any, stored: Stored, target: Any) -> None:
    """Copies a stored tensor whose pieces lie at their `at` in `memory` into the target, whatever its strides and device."""
    for piece in stored.pieces:
        begin = piece.at
        if type(target) is bytearray:
            start = piece.offset[0] if piece.offset else 0
            target[start : start + piece.bytes] = memory[begin : begin + piece.bytes]
            continue
        part = _part(target, stored, piece)
        if _is_array(target):
            _dtypes.numpy().copyto(part, array(memory, begin, stored.dtype, piece.extent, piece.bytes), casting="equiv")
        else:
            part.copy_(view(memory, begin, stored.dtype, piece.extent, piece.bytes))


def _part(target: Any, stored: Stored, piece: StoredPiece) -> Any:
    if piece.extent == stored.shape:
        return target.detach() if not _is_array(target) else target
    box = [slice(offset, offset + extent) for offset, extent in zip(piece.offset, piece.extent)]
    if stored.dtype == "F4" and box:
        box[-1] = slice(box[-1].start // 2, box[-1].stop // 2)
    return target.detach()[tuple(box)] if not _is_array(target) else target[tuple(box)]


def bytes_of(stored: Stored, target: Any) -> Optional[memoryview]:
    """The target's own memory where the stored bytes can be read straight into it, else None."""
    if not stored.is_whole() or stored.pieces[0].bytes == 0:
        return None
    if type(target) is bytearray:
        return memoryview(target)
    if _is_array(target):
        native = target.flags.c_contiguous and target.flags.writeable and _dtypes.of_numpy(target.dtype) == stored.dtype
        return memoryview(target.reshape(-1).view("u1")) if native and target.dtype.isnative else None
    if target.device.type != "cpu" or not target.is_contiguous() or target.is_conj() or target.is_neg():
        return None
    try:
        return memoryview(target.detach().reshape(-1).view(_dtypes.torch().uint8).numpy())
    except (RuntimeError, TypeError):  # a torch without NumPy: the bytes take the way over a buffer
        return None


def same_into(target: Any, source: Any) -> None:
    """Copies between two targets of one stored tensor."""
    if type(target) is bytearray:
        target[:] = bytes(source)
    elif _is_array(target):
        _dtypes.numpy().copyto(target, source, casting="equiv")
    else:
        target.detach().copy_(source.detach())


class Stream:
    """Distributes a stream of bytes, in which pieces stand one after another, to the targets that want them."""

    def __init__(self, tensors: dict[Key, Stored], wanted: dict[Key, list[Any]]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._memory: list[memoryview] = []
        self._staged: list[tuple[Stored, StoredPiece, bytearray, Any]] = []
        places: list[tuple[int, int, memoryview]] = []
        for key, targets in wanted.items():
            stored = tensors[key]
            direct = bytes_of(stored, targets[0])
            for piece in stored.pieces:
                if direct is not None:
                    places.append((piece.at, piece.bytes, direct))
                    continue
                staging = bytearray(piece.bytes)
                self._staged.append((stored, piece, staging, targets[0]))
                places.append((piece.at, piece.bytes, memoryview(staging)))
        for at, size, memory in sorted(places, key=lambda place: place[0]):
            if size:
                self._starts.append(at)
                self._ends.append(at + size)
                self._memory.append(memory)
        self._missing = sum(end - start for start, end in zip(self._starts, self._ends))
        self._wanted = wanted

    def feed(self, at: int, data: memoryview) -> None:
        """Takes stream bytes `[at, at + len(data))`."""
        end = at + len(data)
        index = bisect.bisect_right(self._ends, at)
        while index < len(self._starts) and self._starts[index] < end:
            start, stop = max(at, self._starts[index]), min(end, self._ends[index])
            into = self._memory[index][start - self._starts[index] : stop - self._starts[index]]
            into[:] = data[start - at : stop - at]
            self._missing -= stop - start
            index += 1

    def finish(self) -> None:
        """Everything has arrived: fills the targets that could not take bytes directly, and the further targets of each tensor."""
        if self._missing:
            raise IntegrityError(f"the stream of the checkpoint ended {self._missing} bytes early")
        for stored, piece, staging, target in self._staged:
            single = Stored(stored.dtype, stored.shape)
            single.pieces.append(piece._replace(at=0))
            copy_from(staging, single, target)
        for targets in self._wanted.values():
            for further in targets[1:]:
                same_into(further, targets[0])
