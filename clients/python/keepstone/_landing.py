"""How live values take stored tensors: in place, or, where they cannot be written, as new ones of the same layout."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

from . import _dtypes, _modules
from ._boxes import Place
from ._flat import FlatPart, Slot
from ._shards import Spread, is_dtensor, is_jax, is_spread, spread
from ._targets import Stored, Target, is_array


class Landing(NamedTuple):
    """What a live value is as a stored tensor, the memory to be filled, and what stands in the value's place afterwards."""

    dtype: Optional[str]
    shape: Place
    targets: list[Target]
    writable: bool
    finish: Callable[[], Any]

    def fits(self, stored: Stored) -> bool:
        return self.dtype == stored.dtype and self.shape == stored.shape and self.writable


def landing(value: Any) -> Optional[Landing]:
    """None for what is no tensor of any kind."""
    if is_spread(value):
        found = spread(value)
        assert found is not None
        return _of_jax(value, found) if is_jax(value) else _of_spread(value, found)
    if _modules.is_tensor(value):
        dtype = _dtypes.of_torch(value.dtype)
        shape = _dtypes.shape_of(dtype or "", tuple(value.shape))
        return _whole(value, dtype, shape, value.device.type != "meta")
    if is_array(value):
        return _whole(value, _dtypes.of_numpy(value.dtype), tuple(value.shape), bool(value.flags.writeable))
    return None


def _whole(value: Any, dtype: Optional[str], shape: Place, writable: bool) -> Landing:
    return Landing(dtype, shape, [Target((0,) * len(shape), shape, value)], writable, lambda: value)


def _of_spread(value: Any, found: Spread) -> Landing:
    targets = [Target(box.offset, box.extent, box.local) for box in found.boxes]
    writable = all(not is_array(target.local) or target.local.flags.writeable for target in targets)
    return Landing(found.dtype, found.shape, targets, writable, lambda: value)


def _of_jax(value: Any, found: Spread) -> Landing:
    """A JAX array is never written: each of its parts gets memory of the host, from which an array of the same sharding is made."""
    jax, numpy = sys.modules["jax"], sys.modules["numpy"]
    memory: dict[tuple[Place, Place], Any] = {}
    for box in found.boxes:
        memory[box.offset, box.extent] = numpy.empty(box.extent, value.dtype)

    made: list[Any] = []

    def finish() -> Any:
        if not made:
            made.append(build())
        return made[0]

    def build() -> Any:
        # One that was put nowhere on purpose must stay so: JAX refuses to compute with arrays that were put on different devices.
        if len(value.sharding.device_set) == 1 and not value.committed:
            (only,) = memory.values()
            return jax.numpy.array(only)
        parts = []
        for shard in value.addressable_shards:
            ranges = [part.indices(size)[:2] for part, size in zip(shard.index, value.shape)]
            place = tuple(begin for begin, _ in ranges), tuple(end - begin for begin, end in ranges)
            part = memory[place] if place in memory else numpy.empty(place[1], value.dtype)
            parts.append(jax.device_put(part, shard.device, may_alias=False))
        return jax.make_array_from_single_device_arrays(value.shape, value.sharding, parts)

    targets = [Target(offset, extent, local) for (offset, extent), local in memory.items()]
    return Landing(found.dtype, found.shape, targets, True, finish)


def made_like(value: Any, stored: Stored) -> Any:
    """New memory for a stored tensor in the layout of a DTensor; None where that says nothing about it."""
    if not is_dtensor(value) or not stored.shape:
        return None
    torch = _dtypes.torch()
    dtype = _dtypes.to_torch(stored.dtype)
    if dtype is None:
        return None
    with torch.no_grad():
        if tuple(value.shape) == stored.shape:
            return torch.empty_like(value.detach(), dtype=dtype)
        if len(value.shape) != len(stored.shape):
            return None
        # What lacks a dimension of the parameter (Adafactor's rows and columns) is whole where that one is cut.
        tensor = sys.modules["torch.distributed.tensor"]
        placements = [
            placement
            if placement.is_shard() and value.shape[placement.dim] == stored.shape[placement.dim]
            else tensor.Replicate()
            for placement in value.placements
        ]
        empty = tensor.empty(stored.shape, dtype=dtype, device_mesh=value.device_mesh, placements=placements)
        return empty


def flat_slot(part: FlatPart, stored: Stored) -> Optional[Any]:
    """New memory for a value per element of a parameter under FSDP1, as its optimizer keeps it; None for other tensors."""
    dtype = _dtypes.to_torch(stored.dtype)
    if stored.shape != tuple(part.shape) or dtype is None:
        return None
    local = part.local()
    elements = local.numel() if part.original is None else part.size
    return _dtypes.torch().zeros(elements, dtype=dtype, device=local.device)


def slot_landing(tensor: Any, part: FlatPart) -> Landing:
    """Where the part of one parameter lies in a flat tensor of an optimizer's state."""
    found = landing(Slot(tensor, part))
    assert found is not None
    return found._replace(finish=lambda: tensor)
