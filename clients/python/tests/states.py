"""States that tests save and restore, and how they are compared: by bits."""

from __future__ import annotations

import collections
import enum
import math
import pathlib
import random
import struct
from typing import Any

import numpy as np
import torch

from keepstone import _dtypes
from keepstone._generators import GeneratorState


class Colour(enum.Enum):
    RED = 1
    GREEN = "g"


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


Point = collections.namedtuple("Point", ["x", "y"])

ALL_DTYPES = [
    name
    for name in _dtypes.TYPES
    if _dtypes.to_torch(name) is not None
]  # fmt: skip


def nan(bits: int) -> float:
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def plain_values() -> dict[str, Any]:
    """Every row of docs/spec/state-tree.md that is not a tensor."""
    odict = collections.OrderedDict([("b", 1), ("a", 2)])
    odict._metadata = collections.OrderedDict([("", {"version": 2})])  # type: ignore[attr-defined]
    counter = collections.Counter({30: 2, 60: 1})
    ddict: Any = collections.defaultdict(list, {"x": [1], 2: [3]})
    return {
        "none": None,
        "bools": [True, False],
        "ints": [0, -1, 2**53 - 1, 2**53, -(2**80), 10**40],
        "floats": [0.0, -0.0, 1.5, 1e300, 5e-324, 1e22, math.inf, -math.inf, math.nan, nan(0x7FF8000000000001), nan(0xFFF8000000000000)],
        "complex": [1 - 2j, complex(math.nan, -0.0)],
        "text": ["", "grüße", "\ud800 lone", "~"],
        "bytes": [b"", b"\x00\xff", bytearray(b"ab")],
        "tuples": [(), (1, (2,)), ((),)],
        "sets": [set(), {1, 2}, {"b", "a"}, frozenset({(1, 2), 3})],
        "dicts": [{}, {1: "a", "1": "b", None: 3, (1, 2): 4}, {"~": 1}, {True: 0}, {"\udfff": 1}],
        "odict": odict,
        "counter": counter,
        "ddict": ddict,
        "ddict_none": collections.defaultdict(None, {1: 2}),
        "enums": [Colour.RED, Colour.GREEN, Level.LOW, Access.READ | Access.WRITE],
        "point": Point(1, [2, Point(3, 4)]),
        "path": pathlib.Path("runs/1"),
        "dtypes": [torch.bfloat16, torch.float8_e4m3fn, np.dtype("<f4"), np.dtype("bool")],
        "size": torch.Size([2, 3]),
        "device": torch.device("cuda:1"),
        "scalars": [np.float64(0.1), np.float32("nan"), np.int64(-3), np.bool_(True), np.complex64(1j), np.str_("añb"), np.datetime64("2026-01-01")],
        "nested": {"a": [{"b": ({"c": {1: {2: [None]}}},)}]},
    }  # fmt: skip


def generators(seed: int) -> dict[str, Any]:
    found = {
        "torch": torch.Generator().manual_seed(seed),
        "python": random.Random(seed),
        "legacy": np.random.RandomState(seed),
        "pcg": np.random.default_rng(seed),
        "mt": np.random.Generator(np.random.MT19937(seed)),
        "philox": np.random.Generator(np.random.Philox(seed)),
        "sfc": np.random.Generator(np.random.SFC64(seed)),
    }
    found["pcg"].normal()
    found["legacy"].normal()
    return found


def draws(found: dict[str, Any]) -> list[Any]:
    return [
        torch.rand(3, generator=found["torch"]).tolist(),
        found["python"].random(),
        found["legacy"].normal(size=3).tolist(),
        *(found[name].normal(size=3).tolist() for name in ("pcg", "mt", "philox", "sfc")),
    ]


def random_tensor(name: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Random bits of a dtype; booleans are 0 and 1."""
    dtype = _dtypes.to_torch(name)
    count = math.prod(shape) * dtype.itemsize
    random_bytes = np.random.default_rng(seed).integers(0, 2 if name == "BOOL" else 256, count, dtype=np.uint8)
    return torch.from_numpy(random_bytes).view(dtype).view(shape) if count else torch.empty(shape, dtype=dtype)


def bits(tensor: Any) -> tuple[Any, ...]:
    """Type, shape and bytes."""
    if isinstance(tensor, np.ndarray):
        return tensor.dtype.str, tensor.shape, np.ascontiguousarray(tensor).tobytes()
    flat = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return tensor.dtype, tuple(tensor.shape), flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def same(a: Any, b: Any) -> bool:
    """Equal in type and value, floats and tensors by bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (torch.Tensor, np.ndarray)):
        return bits(a) == bits(b)
    if type(a) is float:
        return struct.pack("<d", a) == struct.pack("<d", b)
    if type(a) is complex:
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, (set, frozenset)):
        return a == b
    if isinstance(a, dict):
        pairs = zip(a.items(), b.items())
        attributes = getattr(a, "__dict__", {})
        factory = getattr(a, "default_factory", None) is getattr(b, "default_factory", None)
        whole = (
            len(a) == len(b) and same(dict(attributes), dict(getattr(b, "__dict__", {})))
            if attributes
            else len(a) == len(b)
        )
        return whole and factory and all(same(k, m) and same(v, w) for (k, v), (m, w) in pairs)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if GeneratorState.is_generator(a):
        x, y = GeneratorState.of_generator(a), GeneratorState.of_generator(b)
        return x is not None and y is not None and str(x.value) == str(y.value)
    return bool(a == b)
