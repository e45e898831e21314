"""The mirror of a planned state: one node for each of its parts.

A save walks the nodes. Each checks that its part of the state still has the planned structure (else `Changed`), hands over the tensors, and encodes what
lies in its hole. Subtrees without tensors are one hole each.
"""

from __future__ import annotations

import collections
import itertools
import operator
from collections.abc import Iterable, Sequence
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
    """A tensor or array. That type and shape are the planned ones, the plan looks at for all tensors at once."""

    __slots__ = ("kind", "leaf")

    def __init__(self, path: str, value: Any, leaf: dict[str, Any]) -> None:
        self.path, self.kind, self.leaf = path, type(value), leaf

    def collect(self, value: Any, tensors: list[Any], values: list[Any]) -> None:
        if type(value) is not self.kind:
            raise Changed(self.path)
        tensors.append(value)

    def tree(self, holes: Holes) -> Any:
        return self.leaf


class _Row:
    """The members of a container, so that one with nothing but tensors is looked through at once: node by node costs as much as copying small tensors."""

    __slots__ = ("kinds", "members")

    def __init__(self, members: list[Node]) -> None:
        self.members = members
        tensors = [member.kind for member in members if type(member) is TensorNode]
        self.kinds = tensors if len(tensors) == len(members) else None

    def collect(self, path: str, found: Sequence[Any], tensors: list[Any], values: list[Any]) -> None:
        if self.kinds is None:
            for item, member in zip(found, self.members):
                member.collect(item, tensors, values)
            return
        if not all(map(operator.is_, map(type, found), self.kinds)):
            raise Changed(path)
        tensors.extend(found)


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

    __slots__ = ("attributes", "encoded_keys", "keys", "kind", "members", "row", "word")

    def __init__(self, path: str, value: Any, members: list[Node], attributes: Optional[Node]) -> None:
        self.path, self.kind, self.keys, self.members, self.attributes = (
            path,
            type(value),
            list(value),
            members,
            attributes,
        )
        self.row = _Row(members)
        plain = self.kind is dict and _state.plain_keys(value)
        self.encoded_keys = None if plain else [_state.encode(key, f"key {key!r} of {path}") for key in value]
        self.word: dict[str, Any] = {"~": MAPPINGS[self.kind]}
        if self.kind is collections.defaultdict:
            self.word = _state.encode(collections.defaultdict(value.default_factory), path)

    def collect(self, value: Any, tensors: list[Any], values: list[Any]) -> None:
        if type(value) is not self.kind or list(value) != self.keys:
            raise Changed(self.path)
        self.row.collect(self.path, list(value.values()), tensors, values)
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

    __slots__ = ("kind", "members", "row")

    def __init__(self, path: str, value: Any, members: list[Node]) -> None:
        self.path, self.kind, self.members, self.row = path, type(value), members, _Row(members)

    def collect(self, value: Any, tensors: list[Any], values: list[Any]) -> None:
        if type(value) is not self.kind or len(value) != len(self.members):
            raise Changed(self.path)
        self.row.collect(self.path, value, tensors, values)

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

    __slots__ = ("component", "module", "names", "places", "settle", "structure", "ties")

    def __init__(self, path: str, module: Any, component: str, found: list[_modules.Member]) -> None:
        self.path, self.module, self.component = path, module, component
        self.places: list[tuple[dict[str, Any], str]] = []
        self.ties: list[tuple[dict[str, Any], str, int]] = []
        self.names = [(member.name, member.kept) for member in found]
        first: dict[int, int] = {}
        for member in found:
            tied = first.get(id(member.tensor))
            if tied is None:
                first[id(member.tensor)] = len(self.places)
                self.places.append((member.place, member.key))
            else:
                self.ties.append((member.place, member.key, tied))
        self.settle = _modules.settle(module)
        self.structure = _Structure(module)

    def collect(self, value: Any, tensors: list[Any], values: list[Any]) -> None:
        if value is not self.module:
            raise Changed(self.path)
        for settle in self.settle:
            settle()
        if not self.structure.holds():
            raise Changed(self.path)
        found = [place[key] for place, key in self.places]
        for place, key, tied in self.ties:
            if place[key] is not found[tied]:
                raise Changed(self.path)
        tensors.extend(found)

    def tree(self, holes: Holes) -> Any:
        return {name: {"~": "tensor", "component": self.component, "name": kept} for name, kept in self.names}


class _Structure:
    """What a module consists of, but for the tensors themselves: checked in bulk, with little for each of thousands of modules."""

    __slots__ = ("_buffers", "_dicts", "_keys", "_modules", "_none", "_owners")

    def __init__(self, module: Any) -> None:
        self._owners = [owner for _, owner in _modules.owners(module)]
        self._dicts = [owner._parameters for owner in self._owners]
        self._keys, self._none = self._parameters(self._dicts)
        self._modules = self._children()
        self._buffers = self._kept_buffers()

    def holds(self) -> bool:
        dicts = [owner._parameters for owner in self._owners]
        return (
            all(map(operator.is_, dicts, self._dicts))
            and self._parameters(dicts) == (self._keys, self._none)
            and self._same(self._children(), self._modules)
            and self._kept_buffers() == self._buffers
        )

    @staticmethod
    def _parameters(dicts: list[dict[str, Any]]) -> tuple[list[str], list[bool]]:
        """The keys of all parameters, and which of them stand for none."""
        values = itertools.chain.from_iterable([each.values() for each in dicts])
        return list(itertools.chain.from_iterable(dicts)), [value is None for value in values]

    def _children(self) -> list[Any]:
        return list(itertools.chain.from_iterable([owner._modules.values() for owner in self._owners]))

    @staticmethod
    def _same(found: list[Any], expected: list[Any]) -> bool:
        return len(found) == len(expected) and all(map(operator.is_, found, expected))

    def _kept_buffers(self) -> list[list[str]]:
        return [
            [
                key
                for key, tensor in owner._buffers.items()
                if tensor is not None and key not in owner._non_persistent_buffers_set
            ]
            for owner in self._owners
            if owner._buffers
        ]


class OptimizerNode(Node):
    """A plain optimizer: its slots by parameter name, its groups with parameters in order. Only ever read.

    `absent` are the parameters of which FSDP1 keeps nothing here, so that the optimizer has no state for them: by name, with how the names of their slots begin.
    """

    __slots__ = (
        "_counts",
        "_elsewhere",
        "_keys",
        "_row",
        "absent",
        "component",
        "groups",
        "names",
        "optimizer",
        "parameters",
        "slots",
    )

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
        # The usual case, one plain dict of tensors per parameter, is looked through at once.
        nodes = [node for _, _, node in slots]
        plain = len(nodes) == len(self.parameters) and all(
            type(node) is MappingNode and node.kind is dict and node.row.kinds is not None for node in nodes
        )
        self._row = _Row([member for node in nodes for member in node.members]) if plain else None  # type: ignore[attr-defined]
        keys = [node.keys for node in nodes] if plain else []  # type: ignore[attr-defined]
        self._keys, self._counts = list(itertools.chain.from_iterable(keys)), list(map(len, keys))

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
        if self._row is None:
            for parameter, _, node in self.slots:
                node.collect(state[parameter], tensors, values)
        else:
            slots = list(state.values())
            keys = list(itertools.chain.from_iterable(slots))
            if set(map(type, slots)) - {dict} or keys != self._keys or list(map(len, slots)) != self._counts:
                raise Changed(self.path)
            found = list(itertools.chain.from_iterable(map(dict.values, slots)))
            self._row.collect(self.path, found, tensors, values)
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
