"""Distributed values: the global tensor that they stand for, and the boxes of it that lie in this process.

`spread` knows torch's DTensor (FSDP2, tensor parallel, 2-D meshes) and ShardedTensor, FSDP1's flat parameters, JAX arrays, and `Piece`, with which a trainer
says it itself. Nothing here asks another rank: each library's own metadata tells what lies where.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Optional

from . import _dtypes
from ._errors import Refused

Range = tuple[int, int]


class Box(NamedTuple):
    """A part of a tensor that lies in this process. `local` is live memory of exactly `extent`; `holders` are all ranks that have it."""

    offset: tuple[int, ...]
    extent: tuple[int, ...]
    local: Any
    holders: tuple[int, ...]


class Spread(NamedTuple):
    """A distributed tensor: its stored type and shape as a whole, and the boxes here. `kind` says what `local` is: torch, numpy, or jax (a device's array).

    `group` are the ranks that it is spread over, in the order of their mesh; empty where the boxes' holders are all that there are. Beside a group
    that is not the whole world there may be others that hold the same.
    """

    dtype: str
    shape: tuple[int, ...]
    boxes: list[Box]
    kind: str = "torch"
    group: tuple[int, ...] = ()


class Piece:
    """What this rank holds of a tensor that no framework describes: `local` lies at `offset` of a whole of `shape`.

    `replicas` are the ranks that hold the same part, where there are several; one of them writes it. All parts together have to cover the tensor. Put it
    into the state where the tensor would stand; a restore fills `local`.
    """

    def __init__(
        self, local: Any, *, offset: Sequence[int], shape: Sequence[int], replicas: Sequence[int] = ()
    ) -> None:
        self.local = local
        self.offset, self.shape = tuple(map(int, offset)), tuple(map(int, shape))
        self.replicas = tuple(sorted(set(map(int, replicas))))
        extent = tuple(local.shape)
        if not len(extent) == len(self.offset) == len(self.shape) or any(
            o < 0 or o + e > s for o, e, s in zip(self.offset, extent, self.shape)
        ):
            raise Refused(
                f"a part of {list(extent)} at {list(self.offset)} does not lie in a tensor of {list(self.shape)}",
                "keepstone.Piece",
                "offset and shape have one number per dimension of local",
            )

    @property
    def dtype(self) -> Any:
        return self.local.dtype

    def __repr__(self) -> str:
        return f"Piece({list(self.local.shape)} at {list(self.offset)} of {list(self.shape)}, {self.local.dtype})"


class Spreads:
    """What a library's own object gives where it is none of torch's tensors: it knows its boxes itself."""

    def spread(self) -> Spread:
        raise NotImplementedError


def spread(value: Any) -> Optional[Spread]:
    """The global form of a distributed value; None for an ordinary tensor, and for what is none."""
    if isinstance(value, Piece):
        return _of_piece(value)
    if isinstance(value, Spreads):
        return value.spread()
    if is_dtensor(value):
        return _of_dtensor(value)
    if _is_sharded_tensor(value):
        return _of_sharded_tensor(value)
    if is_jax(value):
        from ._jax import spread_array

        return spread_array(value)
    return None


def is_spread(value: Any) -> bool:
    """Whether `spread` would give something; costs next to nothing."""
    return isinstance(value, (Piece, Spreads)) or is_dtensor(value) or _is_sharded_tensor(value) or is_jax(value)


def is_jax(value: Any) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, getattr(jax, "Array", ()))


def is_dtensor(value: Any) -> bool:
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(value, module.DTensor)


def _is_sharded_tensor(value: Any) -> bool:
    module = sys.modules.get("torch.distributed._shard.sharded_tensor")
    return module is not None and isinstance(value, module.ShardedTensor)


def stored_type(value: Any) -> str:
    """Keepstone's name of a value's element type. Types of less than a byte cannot be cut into boxes."""
    dtype = value.dtype
    name = _dtypes.of_torch(dtype) if str(dtype).startswith("torch.") else _dtypes.of_numpy(dtype)
    if name is None or name == "F4":
        raise Refused(f"a distributed tensor of {dtype} cannot be kept", type(value).__name__)
    return name


def _of_piece(piece: Piece) -> Spread:
    torch = _dtypes.torch()
    local = piece.local.detach() if torch is not None and isinstance(piece.local, torch.Tensor) else piece.local
    kind = "torch" if local is not piece.local or (torch is not None and isinstance(local, torch.Tensor)) else "numpy"
    extent = tuple(local.shape)
    boxes = [] if 0 in extent and 0 not in piece.shape else [Box(piece.offset, extent, local, piece.replicas)]
    return Spread(stored_type(local), piece.shape, boxes, kind)


def _of_dtensor(value: Any) -> Spread:
    spec = value._spec
    local = value._local_tensor.detach()
    shape = tuple(value.shape)
    mesh = spec.mesh
    dtype = stored_type(value)
    group = tuple(map(int, mesh.mesh.flatten().tolist()))
    coordinate = mesh.get_coordinate()
    if coordinate is None:
        return Spread(dtype, shape, [])
    ranges: list[list[Range]] = [[(0, size)] for size in shape]
    place: list[Any] = []
    for dimension, placement in enumerate(spec.placements):
        parts = mesh.size(dimension)
        if placement.is_partial():
            raise Refused(
                f"a DTensor with the placement {placement} holds sums that are not done yet",
                f"a DTensor of {list(shape)} over {parts} ranks",
                "redistribute it to Replicate() or Shard(dim) before it is saved",
            )
        if placement.is_replicate():
            place.append(slice(None) if parts > 1 else 0)
            continue
        axis = placement.dim
        splits = getattr(placement, "split_factor", 1)
        ranges[axis] = _chunked(ranges[axis], int(splits), parts, coordinate[dimension])
        place.append(coordinate[dimension])
    holders = tuple(sorted(int(rank) for rank in mesh.mesh[tuple(place)].flatten().tolist()))
    if 0 in shape:
        return Spread(dtype, shape, [Box((0,) * len(shape), shape, local.new_empty(shape), group)], group=group)
    if tuple(local.shape) != tuple(sum(end - begin for begin, end in ranges[axis]) for axis in range(len(shape))):
        raise Refused(
            f"a DTensor's local part of {list(local.shape)} is not what its placements {spec.placements} say",
            f"a DTensor of {list(shape)}",
            "say what lies here with keepstone.Piece",
        )
    return Spread(dtype, shape, [Box(o, e, part, holders) for o, e, part in _boxes(ranges, local)], group=group)


def _chunked(ranges: list[Range], splits: int, parts: int, index: int) -> list[Range]:
    """What part `index` of `parts` gets of the indexes in `ranges`, with torch.chunk's sizes; first cut into `splits`, of each of which it gets its part."""
    total = sum(end - begin for begin, end in ranges)
    outer = math.ceil(total / splits)
    chosen: list[Range] = []
    for split in range(splits):
        begin, end = min(split * outer, total), min((split + 1) * outer, total)
        inner = math.ceil((end - begin) / parts)
        first = min(begin + index * inner, end)
        chosen += _slice(ranges, first, min(first + inner, end))
    return _joined(chosen)


def _slice(ranges: list[Range], begin: int, end: int) -> Iterator[Range]:
    """The indexes number `begin` to `end` of those in `ranges`."""
    position = 0
    for start, stop in ranges:
        first, last = max(begin - position, 0), min(end - position, stop - start)
        if first < last:
            yield start + first, start + last
        position += stop - start


def _joined(ranges: list[Range]) -> list[Range]:
    joined: list[Range] = []
    for begin, end in ranges:
        if joined and joined[-1][1] == begin:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return joined


def _boxes(ranges: list[list[Range]], local: Any) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], Any]]:
    """The products of the ranges of all dimensions, each with its place in the local memory, where they lie one after another."""
    cuts: list[list[tuple[Range, slice]]] = []
    for several in ranges:
        position, cut = 0, []
        for begin, end in several:
            cut.append(((begin, end), slice(position, position + end - begin)))
            position += end - begin
        cuts.append(cut)
    for box in itertools.product(*cuts):
        offset = tuple(begin for (begin, _), _ in box)
        extent = tuple(end - begin for (begin, end), _ in box)
        yield offset, extent, local if extent == tuple(local.shape) else local[tuple(part for _, part in box)]


def _of_sharded_tensor(value: Any) -> Spread:
    shape = tuple(value.size())
    rank = _dtypes.torch().distributed.get_rank()
    boxes = [
        Box(tuple(shard.metadata.shard_offsets), tuple(shard.metadata.shard_sizes), shard.tensor.detach(), (rank,))
        for shard in value.local_shards()
        if 0 not in shard.metadata.shard_sizes
    ]
    name = _dtypes.of_torch(value.dtype)
    if name is None:
        raise Refused(f"a distributed tensor of {value.dtype} cannot be kept", "ShardedTensor")
    return Spread(name, shape, boxes)


def boxes_of_flat(
    shape: tuple[int, ...], begin: int, end: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], int]]:
    """Cuts the elements `begin` to `end` of a row-major tensor into boxes (offset, extent, first element), at most two per dimension and one.

    Each box's elements stand one after another in that order too.
    """
    if begin >= end:
        return
    if not shape:
        yield (), (), 0
        return
    below = math.prod(shape[1:])
    first, last = -(-begin // below), end // below
    if first > last:  # within one row
        row = begin // below
        yield from _in_row(shape, row, begin, end)
        return
    if begin < first * below:
        yield from _in_row(shape, first - 1, begin, first * below)
    if first < last:
        yield (first, *(0 for _ in shape[1:])), (last - first, *shape[1:]), first * below
    if last * below < end:
        yield from _in_row(shape, last, last * below, end)


def _in_row(
    shape: tuple[int, ...], row: int, begin: int, end: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], int]]:
    below = math.prod(shape[1:])
    for offset, extent, at in boxes_of_flat(shape[1:], begin - row * below, end - row * below):
        yield (row, *offset), (1, *extent), row * below + at
