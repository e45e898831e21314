"""JAX arrays: which part of which array lies on the devices of this process, by the array's own sharding."""

from __future__ import annotations

import sys
from typing import Any

from . import _dtypes
from ._errors import Refused
from ._shards import Box, Spread

# JAX's element types that NumPy has not by itself.
_NAMES = {
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
}


def stored_name(dtype: Any) -> str:
    """Keepstone's name of a JAX array's element type."""
    name = _NAMES.get(str(dtype))
    if name is None and hasattr(dtype, "str") and dtype.isbuiltin:
        name = _dtypes.of_numpy(dtype)
    if name is None:
        raise Refused(
            f"a JAX array of {dtype} cannot be kept",
            "a JAX array",
            "of a key keep jax.random.key_data(key); convert other types",
        )
    return name


def spread_array(value: Any) -> Spread:
    """Each distinct part of the array that lies here, once; `local` is a view of the device's memory where that is the host's, else a copy in it."""
    name = stored_name(value.dtype)
    shape = tuple(value.shape)
    if value.is_deleted():
        raise Refused(
            "the array was deleted: it was donated to a jitted call", "a JAX array", "save what that call returned"
        )
    holders: dict[tuple[tuple[int, int], ...], set[int]] = {}
    for device, index in value.sharding.devices_indices_map(shape).items():
        holders.setdefault(_ranges(index, shape), set()).add(device.process_index)
    boxes, seen = [], set()
    for shard in value.addressable_shards:
        ranges = _ranges(shard.index, shape)
        if ranges in seen:
            continue
        seen.add(ranges)
        offset = tuple(begin for begin, _ in ranges)
        extent = tuple(end - begin for begin, end in ranges)
        if 0 not in extent or 0 in shape:
            boxes.append(Box(offset, extent, shard.data, tuple(sorted(holders[ranges]))))
    return Spread(name, shape, boxes, "jax")


def on_host(data: Any) -> Any:
    """A single device's array as a host array of unsigned integers of the same width: without a copy where the device is the host."""
    numpy = sys.modules["numpy"]
    array = numpy.asarray(data)
    if not array.flags.c_contiguous:
        array = numpy.ascontiguousarray(array)
    # A scalar has no axis to view along.
    return array.reshape(-1).view(f"u{min(array.dtype.itemsize, 8)}")


def _ranges(index: Any, shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return tuple(part.indices(size)[:2] for part, size in zip(index, shape))
