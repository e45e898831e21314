"""The state tree: Python values as typed JSON that reads back to the same values (docs/spec/state-tree.md).

`encode` works on values without tensors; where tensors lie among them is the business of `_layout`. `decode` never runs code that a checkpoint
names: classes of enums and named tuples are looked up among the modules that are loaded already, everything else comes from fixed lists.
"""

from __future__ import annotations

import base64
import collections
import enum
import json
import math
import pathlib
import struct
import sys
from typing import Any, Callable, Optional

from . import _dtypes
from ._errors import IntegrityError, Refused
from ._generators import GeneratorState

LEVELS = 256
SAFE_INTEGER = (1 << 53) - 1
# A bytes leaf above this becomes a U8 tensor, so that the area encoded on the save path stays small.
INLINE_BYTES = 16 << 10

_NAN = struct.pack("<d", math.nan)
_FACTORIES: dict[str, Any] = {
    "builtins.list": list,
    "builtins.dict": dict,
    "builtins.set": set,
    "builtins.tuple": tuple,
    "builtins.int": int,
    "builtins.float": float,
    "builtins.bool": bool,
    "builtins.str": str,
    "builtins.NoneType": None,
    "collections.Counter": collections.Counter,
    "collections.OrderedDict": collections.OrderedDict,
}
_FACTORY_NAMES = {factory: name for name, factory in _FACTORIES.items()}


class HoldsTensor(Exception):
    """A value to be encoded holds a tensor, an array, a module or long bytes: none of these has a form in JSON."""


def is_stateful(value: Any) -> bool:
    """Anything that gives and takes its state."""
    return (
        callable(getattr(value, "state_dict", None))
        and callable(getattr(value, "load_state_dict", None))
        and not isinstance(value, type)
    )


class Opaque:
    """An object of which only the type's name and its state are known here."""

    __slots__ = ("type", "value")

    def __init__(self, type: str, value: Any) -> None:
        self.type, self.value = type, value

    def __repr__(self) -> str:
        return f"Opaque({self.type!r}, {self.value!r})"


def child(path: str, key: Any) -> str:
    """The path of a member, written as in Python."""
    return f"{path}[{json.dumps(key, ensure_ascii=False) if type(key) is str else repr(key)}]"


# Encoding


def encode(value: Any, path: str, within: tuple[int, ...] = ()) -> Any:
    """The JSON of a value that holds no tensor. Refuses by path what has no form."""
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if -SAFE_INTEGER <= value <= SAFE_INTEGER else {"~": "int", "v": str(value)}
    if kind is float:
        return _float(value)
    if kind is str:
        return value if _clean(value) else {"~": "str", "v": _text64(value)}
    if kind in (list, dict, tuple):
        within = enter(value, path, within)
        if kind is dict:
            return _dict(value, path, within)
        items = [encode(item, child(path, i), within) for i, item in enumerate(value)]
        return items if kind is list else {"~": "tuple", "v": items}
    return _special(value, path, within)


def enter(value: Any, path: str, within: tuple[int, ...]) -> tuple[int, ...]:
    """One level deeper; refuses cycles and bottomless nesting."""
    if id(value) in within:
        raise Refused(
            "the state contains itself; a checkpoint cannot", path, "store the inner object once, outside of itself"
        )
    if len(within) >= LEVELS - 4:
        raise Refused(f"the state is nested more than {LEVELS} levels deep", path, "flatten it")
    return (*within, id(value))


def _float(value: float) -> Any:
    if value - value == 0.0:
        return value
    if value == value:
        return {"~": "float", "v": "inf" if value > 0 else "-inf"}
    bits = struct.pack("<d", value)
    return {"~": "float", "v": "nan" if bits == _NAN else "nan:" + bits[::-1].hex()}


def _clean(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


def plain_keys(value: dict[Any, Any]) -> bool:
    """Whether a dict can stand as a JSON object."""
    return all(type(key) is str and key != "~" and _clean(key) for key in value)


def _dict(value: dict[Any, Any], path: str, within: tuple[int, ...]) -> Any:
    if plain_keys(value):
        return {key: encode(item, child(path, key), within) for key, item in value.items()}
    return {"~": "dict", "v": _pairs(value, path, within)}


def _pairs(value: dict[Any, Any], path: str, within: tuple[int, ...]) -> list[Any]:
    return [
        [encode(key, f"key {key!r} of {path}", within), encode(item, child(path, key), within)]
        for key, item in value.items()
    ]


def _special(value: Any, path: str, within: tuple[int, ...]) -> Any:
    kind = type(value)
    if isinstance(value, enum.Enum):
        if value.name is None:
            raise _refused(value, path, "store its value instead")
        return {"~": "enum", "type": _name(kind), "name": value.name}
    if kind is bytes or kind is bytearray:
        if len(value) > INLINE_BYTES:
            raise HoldsTensor(path)
        return {"~": "bytes" if kind is bytes else "bytearray", "v": base64.b64encode(value).decode()}
    if kind is complex:
        return {"~": "complex", "v": [_float(value.real), _float(value.imag)]}
    if kind is set or kind is frozenset:
        within = enter(value, path, within)
        return {"~": kind.__name__, "v": [encode(item, f"a member of {path}", within) for item in _in_order(value)]}
    if isinstance(value, dict):
        return _dict_like(value, path, enter(value, path, within))
    if isinstance(value, tuple):
        return _tuple_like(value, path, enter(value, path, within))
    if isinstance(value, pathlib.PurePath):
        return {"~": "path", "v": str(value)}
    state = GeneratorState.of_generator(value)
    if state is not None:
        return {"~": "generator", "of": state.of, "v": encode(_without_arrays(state.value), path, within)}
    if kind is Opaque:
        return {"~": "opaque", "type": value.type, "v": encode(value.value, path, within)}
    return _of_libraries(value, path, within)


def _of_libraries(value: Any, path: str, within: tuple[int, ...]) -> Any:
    torch, numpy = _dtypes.torch(), _dtypes.numpy()
    if torch is not None:
        if isinstance(value, (torch.Tensor, torch.nn.Module)):
            raise HoldsTensor(path)
        if isinstance(value, torch.dtype):
            return {"~": "dtype", "of": "torch", "v": str(value)[6:]}
        if isinstance(value, torch.device):
            return {"~": "device", "v": str(value)}
    if numpy is not None:
        if isinstance(value, numpy.ndarray):
            raise HoldsTensor(path)
        if isinstance(value, numpy.dtype) and value.names is None and not value.hasobject:
            return {"~": "dtype", "of": "numpy", "v": value.str}
        if isinstance(value, numpy.generic) and value.dtype.names is None and not value.dtype.hasobject:
            return {"~": "scalar", "dtype": value.dtype.str, "v": base64.b64encode(value.tobytes()).decode()}
    if is_stateful(value):
        if torch is not None and isinstance(value, torch.optim.Optimizer):
            raise HoldsTensor(path)  # its parameters have names that only a plan knows
        return encode(value.state_dict(), path, enter(value, path, within))
    raise _refused(value, path)


def _in_order(members: Any) -> list[Any]:
    # The order of a set of strings changes from process to process; the same state should give the same bytes.
    try:
        return sorted(members)
    except TypeError:
        return sorted(members, key=lambda member: (type(member).__name__, repr(member)))


def _dict_like(value: Any, path: str, within: tuple[int, ...]) -> Any:
    kind = type(value)
    if kind is collections.defaultdict:
        if value.default_factory not in _FACTORY_NAMES:
            raise _refused(
                value, path, "give the default dict a plain factory such as list or int, or store dict(value)"
            )
        return {"~": "ddict", "factory": _FACTORY_NAMES[value.default_factory], "v": _pairs(value, path, within)}
    if kind is collections.OrderedDict or kind is collections.Counter:
        node: dict[str, Any] = {
            "~": "odict" if kind is collections.OrderedDict else "counter",
            "v": _pairs(value, path, within),
        }
        if value.__dict__:
            node["attrs"] = {name: encode(item, f"{path}.{name}", within) for name, item in value.__dict__.items()}
        return node
    raise _refused(value, path, "store dict(value)")


def _tuple_like(value: Any, path: str, within: tuple[int, ...]) -> Any:
    torch = _dtypes.torch()
    if torch is not None and type(value) is torch.Size:
        return {"~": "size", "v": [int(extent) for extent in value]}
    fields = getattr(type(value), "_fields", None)
    if fields is None:
        raise _refused(value, path, "store tuple(value)")
    return named_tuple(value, [encode(item, f"{path}.{name}", within) for name, item in zip(fields, value)])


def named_tuple(value: Any, items: list[Any]) -> dict[str, Any]:
    return {"~": "namedtuple", "type": _name(type(value)), "fields": list(type(value)._fields), "v": items}


def _without_arrays(value: Any) -> Any:
    if type(value) is dict:
        return {key: _without_arrays(item) for key, item in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _refused(value: Any, path: str, hint: str = "") -> Refused:
    return Refused(
        f"an object of type {_name(type(value))} has no form in a checkpoint",
        path,
        hint or "give it state_dict() and load_state_dict(), or keep plain values, arrays and tensors in the state",
    )


# Decoding


def decode(node: Any, path: str, tensor: Callable[[dict[str, Any], str], Any]) -> Any:
    """The value of a JSON node; `tensor(node, path)` supplies the tensors."""
    kind = type(node)
    if kind is dict:
        word = node.get("~")
        if word is None:
            return {key: decode(item, child(path, key), tensor) for key, item in node.items()}
        reader = _READERS.get(word)
        if reader is None:
            raise IntegrityError(
                f"unknown kind of value {word!r} in the state tree", path, "read it with a newer keepstone"
            )
        try:
            return reader(node, path, tensor)
        except (KeyError, ValueError, TypeError, AttributeError) as broken:
            raise IntegrityError(f"malformed {word!r} in the state tree: {broken}", path) from broken
    if kind is list:
        return [decode(item, child(path, i), tensor) for i, item in enumerate(node)]
    return node


def _items(node: Any, path: str, tensor: Any) -> list[Any]:
    return [decode(item, child(path, i), tensor) for i, item in enumerate(node["v"])]


def _read_pairs(node: Any, path: str, tensor: Any) -> list[tuple[Any, Any]]:
    pairs = []
    for key_node, item in node["v"]:
        key = decode(key_node, path, tensor)
        pairs.append((key, decode(item, child(path, key), tensor)))
    return pairs


def _with_attributes(value: Any, node: Any, path: str, tensor: Any) -> Any:
    for name, item in node.get("attrs", {}).items():
        setattr(value, name, decode(item, f"{path}.{name}", tensor))
    return value


def _read_float(text: Any) -> float:
    if isinstance(text, dict):
        text = text["v"]
    if isinstance(text, str) and text.startswith("nan:"):
        (value,) = struct.unpack(">d", bytes.fromhex(text[4:]))
        return float(value)
    return float(text)


def _read_counter(node: Any, path: str, tensor: Any) -> Any:
    counter: collections.Counter[Any] = collections.Counter()
    for key, count in _read_pairs(node, path, tensor):
        counter[key] = count
    return _with_attributes(counter, node, path, tensor)


def _read_default(node: Any, path: str, tensor: Any) -> Any:
    return collections.defaultdict(_FACTORIES[node["factory"]], _read_pairs(node, path, tensor))


def _loaded(name: str, base: type) -> Optional[type]:
    """The class of this dotted name if its module is loaded: nothing is imported on a checkpoint's word."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:cut]))
        for part in parts[cut:]:
            found = getattr(found, "__dict__", {}).get(part)
        if isinstance(found, type):
            return found if issubclass(found, base) else None
    return None


def _read_enum(node: Any, path: str, tensor: Any) -> Any:
    found: Any = _loaded(node["type"], enum.Enum)
    if found is None:
        return Opaque(node["type"], node["name"])
    if node["name"] in found.__members__:
        return found.__members__[node["name"]]
    if issubclass(found, enum.Flag):
        members = [found.__members__.get(name) for name in node["name"].split("|")]
        if all(member is not None for member in members):
            value = members[0]
            for member in members[1:]:
                value = value | member
            return value
    raise IntegrityError(f"{node['type']} has no member {node['name']}", path)


def _read_named_tuple(node: Any, path: str, tensor: Any) -> Any:
    items = _items(node, path, tensor)
    found: Any = _loaded(node["type"], tuple)
    if (
        found is not None
        and list(getattr(found, "_fields", ())) == list(node["fields"])
        and len(items) == len(node["fields"])
    ):
        return tuple.__new__(found, items)
    return Opaque(node["type"], dict(zip(node["fields"], items)))


def _read_dtype(node: Any, path: str, tensor: Any) -> Any:
    if node["of"] == "torch" and _dtypes.torch() is not None:
        found = getattr(_dtypes.torch(), node["v"], None)
        if isinstance(found, _dtypes.torch().dtype):
            return found
    elif node["of"] == "numpy" and _dtypes.numpy() is not None:
        return _dtypes.numpy().dtype(node["v"])
    return Opaque(f"{node['of']}.dtype", node["v"])


def _read_scalar(node: Any, path: str, tensor: Any) -> Any:
    data = base64.b64decode(node["v"], validate=True)
    numpy = _dtypes.numpy()
    if numpy is None:
        return Opaque("numpy." + node["dtype"], data)
    dtype = numpy.dtype(node["dtype"])
    if dtype.hasobject or dtype.names is not None:
        raise ValueError(f"dtype {node['dtype']} is none of a scalar")
    return numpy.frombuffer(data, dtype)[0] if dtype.itemsize else dtype.type()


def _read_generator(node: Any, path: str, tensor: Any) -> Any:
    return read_generator_state(node, path, tensor).make()


def read_generator_state(node: Any, path: str, tensor: Any) -> GeneratorState:
    """The state of a generator node without making a generator of it."""
    value = decode(node["v"], path, tensor)
    if node["of"] == "numpy":
        numpy = _dtypes.numpy()
        word = "uint32" if value.get("bit_generator") == "MT19937" else "uint64"
        if numpy is not None:
            value = _with_arrays(value, numpy, word)
    return GeneratorState(node["of"], value)


def _with_arrays(value: Any, numpy: Any, word: str) -> Any:
    if type(value) is dict:
        return {key: _with_arrays(item, numpy, word) for key, item in value.items()}
    return numpy.array(value, dtype=word) if type(value) is list else value


def _read_size(node: Any, path: str, tensor: Any) -> Any:
    sizes = tuple(int(extent) for extent in node["v"])
    return _dtypes.torch().Size(sizes) if _dtypes.torch() is not None else sizes


def _read_device(node: Any, path: str, tensor: Any) -> Any:
    return _dtypes.torch().device(node["v"]) if _dtypes.torch() is not None else Opaque("torch.device", node["v"])


_READERS: dict[str, Callable[[Any, str, Any], Any]] = {
    "int": lambda node, path, tensor: int(node["v"]),
    "float": lambda node, path, tensor: _read_float(node["v"]),
    "complex": lambda node, path, tensor: complex(_read_float(node["v"][0]), _read_float(node["v"][1])),
    "bytes": lambda node, path, tensor: base64.b64decode(node["v"], validate=True),
    "bytearray": lambda node, path, tensor: bytearray(base64.b64decode(node["v"], validate=True)),
    "str": lambda node, path, tensor: base64.b64decode(node["v"], validate=True).decode("utf-8", "surrogatepass"),
    "tuple": lambda node, path, tensor: tuple(_items(node, path, tensor)),
    "set": lambda node, path, tensor: set(_items(node, path, tensor)),
    "frozenset": lambda node, path, tensor: frozenset(_items(node, path, tensor)),
    "dict": lambda node, path, tensor: dict(_read_pairs(node, path, tensor)),
    "odict": lambda node, path, tensor: _with_attributes(
        collections.OrderedDict(_read_pairs(node, path, tensor)), node, path, tensor
    ),
    "counter": _read_counter,
    "ddict": _read_default,
    "enum": _read_enum,
    "namedtuple": _read_named_tuple,
    "path": lambda node, path, tensor: pathlib.Path(node["v"]),
    "dtype": _read_dtype,
    "size": _read_size,
    "device": _read_device,
    "scalar": _read_scalar,
    "generator": _read_generator,
    "tensor": lambda node, path, tensor: tensor(node, path),
    "opaque": lambda node, path, tensor: Opaque(node["type"], decode(node["v"], path, tensor)),
}
