"""Element types: Keepstone's names (those of safetensors) and their spelling in torch and NumPy.

torch and NumPy are never imported on their own account: what the trainer has not imported cannot be in its state.
"""

from __future__ import annotations

import sys
from typing import Any, Optional

# name: (bytes per element, torch's name, NumPy's str; None where the library lacks it)
TYPES: dict[str, tuple[int, str, Optional[str]]] = {
    "BOOL": (1, "bool", "|b1"),
    "U8": (1, "uint8", "|u1"),
    "I8": (1, "int8", "|i1"),
    "I16": (2, "int16", "<i2"),
    "U16": (2, "uint16", "<u2"),
    "F16": (2, "float16", "<f2"),
    "BF16": (2, "bfloat16", None),
    "I32": (4, "int32", "<i4"),
    "U32": (4, "uint32", "<u4"),
    "F32": (4, "float32", "<f4"),
    "F64": (8, "float64", "<f8"),
    "I64": (8, "int64", "<i8"),
    "U64": (8, "uint64", "<u8"),
    "C32": (4, "complex32", None),
    "C64": (8, "complex64", "<c8"),
    "C128": (16, "complex128", "<c16"),
    "F8_E4M3": (1, "float8_e4m3fn", None),
    "F8_E5M2": (1, "float8_e5m2", None),
    "F8_E4M3FNUZ": (1, "float8_e4m3fnuz", None),
    "F8_E5M2FNUZ": (1, "float8_e5m2fnuz", None),
    "F8_E8M0": (1, "float8_e8m0fnu", None),
    # Two elements a byte: torch counts bytes, safetensors counts elements, so the last dimension doubles.
    "F4": (1, "float4_e2m1fn_x2", None),
}

_OF_TORCH = {torch_name: name for name, (_, torch_name, _) in TYPES.items()}
_OF_NUMPY = {numpy_name: name for name, (_, _, numpy_name) in TYPES.items() if numpy_name}


def torch() -> Any:
    """torch if the trainer imported it, else None."""
    return sys.modules.get("torch")


def numpy() -> Any:
    """NumPy if the trainer imported it, else None."""
    return sys.modules.get("numpy")


def of_torch(dtype: Any) -> Optional[str]:
    """Keepstone's name of a torch dtype, or None."""
    return _OF_TORCH.get(str(dtype)[6:])


def of_numpy(dtype: Any) -> Optional[str]:
    """Keepstone's name of a NumPy dtype in either byte order, or None."""
    text: str = dtype.str
    return _OF_NUMPY.get("<" + text[1:] if text[:1] == ">" else text)


def to_torch(name: str) -> Any:
    """The torch dtype of this name, or None where this torch lacks it."""
    return getattr(torch(), TYPES[name][1], None) if name in TYPES else None


def shape_of(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The stored shape of a torch tensor."""
    return (*shape[:-1], shape[-1] * 2) if name == "F4" and shape else tuple(shape)


def torch_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in torch of a stored tensor."""
    return (*shape[:-1], shape[-1] // 2) if name == "F4" and shape else tuple(shape)


def size_of(name: str, shape: tuple[int, ...]) -> int:
    """Bytes of a stored tensor of this type and shape."""
    count = 1
    for extent in shape:
        count *= extent
    return (count + 1) // 2 if name == "F4" else count * TYPES[name][0]
