"""FSDP1: what a rank's flat parameters hold of the parameters they were made of, told by their own metadata and no collective."""

from __future__ import annotations

import math
import sys
from typing import Any, NamedTuple, Optional

from . import _dtypes
from ._errors import Refused
from ._shards import Box, Spread, Spreads, boxes_of_flat


class Span(NamedTuple):
    """The elements `begin` to `end` of a row-major tensor of `shape`, which lie at `at` of a flat local tensor; `holders` all have them."""

    shape: tuple[int, ...]
    begin: int
    end: int
    at: int
    holders: tuple[int, ...]

    def over(self, flat: Any, dtype: str) -> Spread:
        """The boxes of this span, as views of a flat tensor that holds it."""
        boxes = []
        for offset, extent, first in boxes_of_flat(self.shape, self.begin, self.end):
            start = self.at + first - self.begin
            boxes.append(Box(offset, extent, flat[start : start + math.prod(extent)].view(extent), self.holders))
        if not boxes and 0 in self.shape:
            boxes.append(Box((0,) * len(self.shape), self.shape, flat.new_empty(self.shape), self.holders))
        return Spread(dtype, self.shape, boxes)


class FlatPart(Spreads):
    """One parameter of a model under FSDP1: what of it lies in this rank's shard of the flat parameter.

    `flat` is the flat parameter; `original` the parameter object that an optimizer has (`use_orig_params`), else None, and the optimizer has `flat`.
    """

    def __init__(self, flat: Any, original: Any, span: Span) -> None:
        self.flat, self.original, self.span = flat, original, span
        self.shape, self.dtype = span.shape, flat.dtype

    def local(self) -> Any:
        """This rank's shard of the flat parameter. What the flat parameter itself shows may be the gathered whole."""
        shard = getattr(self.flat, "_local_shard", None)
        return (self.flat if shard is None else shard).detach()

    def spread(self) -> Spread:
        return self.span.over(self.local(), _name(self.dtype))

    @property
    def size(self) -> int:
        return self.span.end - self.span.begin


class Slot(Spreads):
    """A tensor of an optimizer's state that lies as its parameter under FSDP1 does: `tensor` is the optimizer's own, flat one."""

    def __init__(self, tensor: Any, part: FlatPart) -> None:
        self.tensor = tensor
        # With use_orig_params the optimizer sees only this parameter's elements, else the whole shard.
        self.span = part.span if part.original is None else part.span._replace(at=0)
        self.shape, self.dtype = part.shape, tensor.dtype

    def local(self) -> Any:
        return self.tensor.detach()

    def spread(self) -> Spread:
        return self.span.over(self.local(), _name(self.dtype))


def slot_of(tensor: Any, part: FlatPart) -> Optional[Slot]:
    """How a tensor of the optimizer's state lies: None where it is not one value per element of the parameter (a step count)."""
    elements = part.local().numel() if part.original is None else part.size
    return Slot(tensor, part) if tensor.dim() == 1 and tensor.numel() == elements else None


def _name(dtype: Any) -> str:
    name = _dtypes.of_torch(dtype)
    if name is None:
        raise Refused(f"a flat parameter of {dtype} cannot be kept", "FSDP")
    return name


def fsdp() -> Any:
    """The class of FSDP1's wrapper, where it is loaded, else an empty tuple."""
    module = sys.modules.get("torch.distributed.fsdp.fully_sharded_data_parallel")
    return module.FullyShardedDataParallel if module is not None else ()


class Flattened(NamedTuple):
    """One flattened parameter of a wrapper: the module and key that it belongs to, and the same of its tied twins."""

    module: Any
    key: str
    part: FlatPart
    twins: list[tuple[Any, str]]


def flattened(wrapper: Any) -> list[Flattened]:
    """The parameters that this FSDP1 wrapper holds flat, in their order; none where it shards nothing of its own."""
    handle = getattr(wrapper, "_handle", None)
    if handle is None:
        return []
    flat = handle.flat_param
    if any(extension is not None for extension in getattr(flat, "_param_extensions", None) or ()):
        raise Refused(
            "FSDP over tensors that another parallelism has sharded cannot be kept",
            type(wrapper).__name__,
            "use fully_shard, whose parameters are DTensors on a 2-D mesh",
        )
    if not handle.uses_sharded_strategy and handle._use_orig_params:
        return []  # the parameters are whole, and lie in their modules
    holders = _holders(wrapper, handle)
    found = []
    originals = flat._params if handle._use_orig_params else [None] * len(flat._param_infos)
    for index, (about, original) in enumerate(zip(flat._param_infos, originals)):
        span = _span(handle, flat, index, holders)
        twins = [
            (shared.module, shared.param_name)
            for shared in flat._shared_param_infos
            if shared.prim_module is about.module and shared.prim_param_name == about.param_name
        ]
        found.append(Flattened(about.module, about.param_name, FlatPart(flat, original, span), twins))
    return found


def _span(handle: Any, flat: Any, index: int, holders: tuple[int, ...]) -> Span:
    shape = tuple(flat._shapes[index])
    if not handle.uses_sharded_strategy:
        sizes = flat._numels_with_padding
        places = [number for number, padding in enumerate(flat._is_padding_mask) if not padding]
        return Span(shape, 0, math.prod(shape), sum(sizes[: places[index]]), holders)
    shard = flat._shard_param_infos[index]
    if not shard.in_shard:
        return Span(shape, 0, 0, 0, holders)
    begin = shard.intra_param_start_idx
    return Span(shape, begin, begin + shard.numel_in_shard, shard.offset_in_shard, holders)


def _holders(wrapper: Any, handle: Any) -> tuple[int, ...]:
    distributed = _dtypes.torch().distributed
    if not handle.uses_sharded_strategy:
        return tuple(sorted(distributed.get_process_group_ranks(handle.process_group)))
    replicas = getattr(wrapper, "_inter_node_pg", None)
    if replicas is not None and "HYBRID" in handle._sharding_strategy.name:
        return tuple(sorted(distributed.get_process_group_ranks(replicas)))
    return (distributed.get_rank(),)
