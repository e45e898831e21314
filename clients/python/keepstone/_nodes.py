"""The mirror of a planned state: one node for each of its parts.

A save walks the nodes. Each checks that its part of the state still has the planned structure (else `Changed`), hands over the tensors, and encodes what
lies in its hole. Subtrees without tensors are one hole each.
"""

from __future__ import annotations

import collections
import operator
from collections.abc import Iterable
from typing import Any, Optional

from . import _modules, _state


class Changed(Exception):
    """The state no longer has the planned structure."""


class Holes:
    """Numbers the holes of a template in the order in which nodes collect values."""

    def __init__(self) -> None:
        self.count = 0

    def next(self) -> dict[str, Any]:
        self.count += 1
        return {"~": "hole", "v": self.count - 1}


class Node:
    """A part of the state: `collect` for every save, `tree` once per plan."""

    __slots__ = ("path",)
    path: str

    def collect(self, value: Any, tensors: list[Any], values: list[Any]) -> None:
        raise NotImplementedError

    def tree(self, holes: Holes) -> Any:
        raise NotImplementedError


class PlainNode(Node):
    """A subtree without tensors: one hole."""

    __slots__ = ()

    def __init__(self, path: str) -> None:
        self.path = path

    def collect(self, value: Any, tensors: list[Any], values: list[Any]) -> None:
        values.append(_encode(value, self.path))

    def tree(self, holes: Holes) -> Any:
        return holes.next()


class TensorNode(Node):
    __slots__ = ("dtype", "kind", "leaf", "shape")

    def __init__(self, path: str, value: Any, leaf: dict[str, Any]) -> None:
        self.path, self.kind, self.shape, self.dtype, self.leaf = path, type(value), value.shape, value.dtype, leaf

    def collect(self, value: Any, tensors: list[Any], values: list[Any]) -> None:
        if type(value) is not self.kind or value.shape != self.shape or value.dtype != self.dtype:
            raise Changed(self.path)
        tensors.append(value)

    def tree(self, holes: Holes) -> Any:
        return self.leaf


class BytesNode(Node):
    """Bytes too long for the state area."""

    __slots__ = ("kind", "leaf", "length")

    def __init__(self, path: str, value: Any, leaf: dict[str, Any]) -> None:
        self.path, self.kind, self.length, self.leaf = path, type(value), len(value), leaf

    def collect(self, value: Any, tensors: list[Any], values: list[Any]) -> None:
        if type(value) is not self.kind or len(value) != self.length:
            raise Changed(self.path)
        tensors.append(value)

    def tree(self, holes: Holes) -> Any:
        return self.leaf


class MappingNode(Node):
    """A dict of any kind with tensors somewhere below."""

    __slots__ = ("attributes", "encoded_keys", "keys", "kind", "members", "word")

    def __init__(self, path: str, value: Any, members: list[Node], attributes: Optional[Node]) -> None:
        self.path, self.kind, self.keys, self.members, self.attributes = (
            path,
            type(value),
            list(value),
            members,
            attributes,
        )
        plain = self.kind is dict and _state.plain_keys(value)
        self.encoded_keys = None if plain else [_state.encode(key, f"key {key!r} of {path}") for key in value]
        self.word: dict[str, Any] = {"~": MAPPINGS[self.kind]}
        if self.kind is collections.defaultdict:
            self.word = _state.encode(collections.defaultdict(value.default_factory), path)

    def collect(self, value: Any, tensors: list[Any], values: list[Any]) -> None:
        if type(value) is not self.kind or list(value) != self.keys:
            raise Changed(self.path)
        for item, member in zip(value.values(), self.members):
            member.collect(item, tensors, values)
        if self.attributes is not None:
            self.attributes.collect(value.__dict__, tensors, values)

    def tree(self, holes: Holes) -> Any:
        items = [member.tree(holes) for member in self.members]
        if self.encoded_keys is None:
            return dict(zip(self.keys, items))
        node = {**self.word, "v": [[key, item] for key, item in zip(self.encoded_keys, items)]}
        if self.attributes is not None:
            node["attrs"] = self.attributes.tree(holes)
        return node


MAPPINGS: dict[type, str] = {
    dict: "dict",
    collections.OrderedDict: "odict",
    collections.Counter: "counter",
    collections.defaultdict: "ddict",
}


class SequenceNode(Node):
    """A list, tuple or named tuple with tensors somewhere below."""

    __slots__ = ("kind", "members")

    def __init__(self, path: str, value: Any, members: list[Node]) -> None:
        self.path, self.kind, self.members = path, type(value), members

    def collect(self, value: Any, tensors: list[Any], values: list[Any]) -> None:
        if type(value) is not self.kind or len(value) != len(self.members):
            raise Changed(self.path)
        for item, member in zip(value, self.members):
            member.collect(item, tensors, values)

    def tree(self, holes: Holes) -> Any:
        items = [member.tree(holes) for member in self.members]
        if self.kind is list:
            return items
        if self.kind is tuple:
            return {"~": "tuple", "v": items}
        return _state.named_tuple(tuple.__new__(self.kind, items), items)


class StatefulNode(Node):
    """An object known by its `state_dict()`, with tensors in it."""

    __slots__ = ("inner", "kind", "names")

    def __init__(self, path: str, value: Any, inner: Node, names: Optional[dict[str, str]] = None) -> None:
        self.path, self.kind, self.inner, self.names = path, type(value), inner, names

    def collect(self, value: Any, tensors: list[Any], values: list[Any]) -> None:
        if type(value) is not self.kind:
            raise Changed(self.path)
        state = value.state_dict()
        if self.names is not None:
            if list(state) != list(self.names):
                raise Changed(self.path)
            state = {self.names[key]: item for key, item in state.items()}
        self.inner.collect(state, tensors, values)

    def tree(self, holes: Holes) -> Any:
        return self.inner.tree(holes)


class ModuleNode(Node):
    """A plain module: parameters and buffers by canonical name, tied ones once."""

    __slots__ = ("component", "entries", "module", "owners", "settle")

    def __init__(self, path: str, module: Any, component: str, found: list[_modules.Member]) -> None:
        self.path, self.module, self.component = path, module, component
        self.entries: list[tuple[dict[str, Any], str, Any, Any, int, str, str]] = []
        first: dict[int, int] = {}
        for member in found:
            tied = first.get(id(member.tensor), -1)
            first.setdefault(id(member.tensor), len(first))
            tensor = member.tensor
            self.entries.append((member.place, member.key, tensor.shape, tensor.dtype, tied, member.name, member.kept))
        self.settle = _modules.settle(module)
        self.owners = [(owner, _keys_of(owner)) for _, owner in _modules.owners(module)]

    def collect(self, value: Any, tensors: list[Any], values: list[Any]) -> None:
        if value is not self.module:
            raise Changed(self.path)
        for settle in self.settle:
            settle()
        for owner, keys in self.owners:
            if _keys_of(owner) != keys:
                raise Changed(self.path)
        base = len(tensors)
        for place, key, shape, dtype, tied, _, _ in self.entries:
            tensor = place[key]
            if tied >= 0:
                if tensor is not tensors[base + tied]:
                    raise Changed(self.path)
                continue
            if tensor.dtype is not dtype or tensor.shape != shape:
                raise Changed(self.path)
            tensors.append(tensor)

    def tree(self, holes: Holes) -> Any:
        return {entry[5]: {"~": "tensor", "component": self.component, "name": entry[6]} for entry in self.entries}


def _keys_of(owner: Any) -> tuple[Any, ...]:
    parameters = [key for key, tensor in owner._parameters.items() if tensor is not None]
    absent = owner._non_persistent_buffers_set
    buffers = (
        [key for key, tensor in owner._buffers.items() if tensor is not None and key not in absent]
        if owner._buffers
        else None
    )
    return parameters, buffers, list(owner._modules.values())


class OptimizerNode(Node):
    """A plain optimizer: its slots by parameter name, its groups with parameters in order. Only ever read.

    `absent` are the parameters of which FSDP1 keeps nothing here, so that the optimizer has no state for them: by name, with how the names of their slots begin.
    """

    __slots__ = ("_elsewhere", "absent", "component", "groups", "names", "optimizer", "parameters", "slots")

    def __init__(
        self,
        path: str,
        optimizer: Any,
        component: str,
        trained: list[list[_modules.Trained]],
        slots: list[tuple[Any, str, Node]],
        groups: list[list[Node]],
        absent: dict[str, str],
    ) -> None:
        self.path, self.optimizer, self.component, self.slots, self.absent = path, optimizer, component, slots, absent
        self.names = [[one.name for one in group] for group in trained]
        self.parameters = list(optimizer.state)
        self.groups = [
            (list(group["params"]), list(group), members) for group, members in zip(optimizer.param_groups, groups)
        ]
        self._elsewhere: dict[str, dict[str, Any]] = {}

    def complete(self, partial: Iterable[tuple[str, str]]) -> None:
        """Names in the tree what only other ranks hold, so that any rank's tree serves every layout."""
        by_start = {start: name for name, start in self.absent.items()}
        for component, name in partial:
            start, _, slot = name.rpartition(".")
            if component == self.component and start in by_start:
                leaf = {"~": "tensor", "component": component, "name": name}
                self._elsewhere.setdefault(by_start[start], {})[slot] = leaf

    def collect(self, value: Any, tensors: list[Any], values: list[Any]) -> None:
        state = value.state
        if (
            value is not self.optimizer
            or len(value.param_groups) != len(self.groups)
            or len(state) != len(self.parameters)
            or not all(map(operator.is_, state, self.parameters))
        ):
            raise Changed(self.path)
        for parameter, _, node in self.slots:
            node.collect(state[parameter], tensors, values)
        for group, (parameters, keys, members) in zip(value.param_groups, self.groups):
            found = group["params"]
            if list(group) != keys or len(found) != len(parameters) or not all(map(operator.is_, found, parameters)):
                raise Changed(self.path)
            for key, member in zip((key for key in keys if key != "params"), members):
                member.collect(group[key], tensors, values)

    def tree(self, holes: Holes) -> Any:
        state = {name: node.tree(holes) for _, name, node in self.slots} | self._elsewhere
        groups = []
        for names, (_, keys, members) in zip(self.names, self.groups):
            hyper = iter(members)
            groups.append({key: names if key == "params" else next(hyper).tree(holes) for key in keys})
        return {"state": state, "param_groups": groups}


def _encode(value: Any, path: str) -> Any:
    try:
        return _state.encode(value, path)
    except _state.HoldsTensor as found:
        raise Changed(path) from found
