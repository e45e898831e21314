"""Building a plan: one node, and for every tensor an entry, for each part of a state."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Optional

from . import _dtypes, _flat, _modules, _shards, _state
from ._errors import Refused
from ._frozen import Frozen
from ._loader import refuse_bare_loader
from ._nodes import (
    MAPPINGS,
    BytesNode,
    MappingNode,
    ModuleNode,
    Node,
    OptimizerNode,
    PlainNode,
    SequenceNode,
    StatefulNode,
    TensorNode,
)
from ._owners import LOWEST, OWN, SPREAD, Entry
from ._survey import Survey, scalars


class Builder:
    """Goes through a state once. `entries` stand in the order in which the nodes collect their tensors."""

    def __init__(self, state: dict[Any, Any], frozen: Frozen, rank: Optional[int]) -> None:
        self._state = state
        self._rank = rank  # None in a world of one
        self.frozen = frozen
        self.freezable: list[str] = []  # names that a pattern may match
        self._live = True  # false within what hands out copies of its tensors, or trains them
        self._survey = Survey(state)
        self._components: dict[str, set[str]] = {component: set() for component in self._survey.components}
        self.loaders = self._survey.loaders
        self.entries: list[Entry] = []
        self.parts: dict[
            int, _flat.FlatPart
        ] = {}  # by number of the entry: what a tensor of an optimizer's state lies like
        self.optimizers: list[OptimizerNode] = []
        self._rule = LOWEST
        self._part: Optional[_flat.FlatPart] = None
        self.configs: dict[str, Any] = {}
        self.modules: dict[str, Any] = {}

    def root(self) -> Node:
        within = (id(self._state),)
        members = [
            self._build(value, _state.child("state", key), self._survey.by_key[key], (), within)
            for key, value in self._state.items()
        ]
        return MappingNode("state", self._state, members, None)

    def _build(self, value: Any, path: str, component: str, steps: tuple[str, ...], within: tuple[int, ...]) -> Node:
        if _shards.is_spread(value):
            return self._distributed(value, path, component, steps)
        if _modules.is_tensor(value):
            return self._tensor(value, path, component, steps)
        numpy = _dtypes.numpy()
        if numpy is not None and isinstance(value, numpy.ndarray):
            return self._array(value, path, component, steps)
        if type(value) in (bytes, bytearray) and len(value) > _state.INLINE_BYTES:
            like = type(value).__name__
            with self._by(OWN):
                leaf = self._leaf(component, steps, "U8", (len(value),), "bytes", {"like": like})
            return BytesNode(path, value, leaf)
        if _modules.is_module(value):
            return self._module(value, path, within)
        if _modules.is_optimizer(value) and _modules.is_plain_optimizer(value):
            with self._not_live(), self._by(SPREAD):
                return self._optimizer(value, path, component, steps, within)
        if type(value) in MAPPINGS:
            return self._mapping(value, path, component, steps, within)
        if type(value) in (list, tuple) or (isinstance(value, tuple) and hasattr(value, "_fields")):
            if scalars(value):
                return PlainNode(path)
            within = _state.enter(value, path, within)
            members = [
                self._build(item, _state.child(path, index), component, (*steps, str(index)), within)
                for index, item in enumerate(value)
            ]
            return PlainNode(path) if _all_plain(members) else SequenceNode(path, value, members)
        refuse_bare_loader(value, path)
        if _state.is_stateful(value):
            within = _state.enter(value, path, within)
            with self._not_live(), self._by(OWN if hasattr(value, "__iter__") else self._rule):
                inner = self._build(value.state_dict(), path, component, steps, within)
            plain = type(inner) is PlainNode and not _modules.is_optimizer(value)
            return inner if plain else StatefulNode(path, value, inner)
        return PlainNode(path)

    @contextlib.contextmanager
    def _not_live(self) -> Iterator[None]:
        before, self._live = self._live, False
        try:
            yield
        finally:
            self._live = before

    @contextlib.contextmanager
    def _by(self, rule: str) -> Iterator[None]:
        """Which of several holders writes the tensors below. What is iterated over is a rank's own: every rank has other data."""
        before, self._rule = self._rule, rule
        try:
            yield
        finally:
            self._rule = before

    @contextlib.contextmanager
    def _like(self, part: Optional[_flat.FlatPart]) -> Iterator[None]:
        before, self._part = self._part, part
        try:
            yield
        finally:
            self._part = before

    def _mapping(
        self,
        value: Any,
        path: str,
        component: str,
        steps: tuple[str, ...],
        within: tuple[int, ...],
        whole: bool = False,
    ) -> Node:
        within = _state.enter(value, path, within)
        members = [
            self._build(item, _state.child(path, key), component, (*steps, str(key)), within)
            for key, item in value.items()
        ]
        if _all_plain(members) and not whole:
            return PlainNode(path)
        extra = getattr(value, "__dict__", None)
        attributes = self._mapping(extra, path, component, (*steps, "attrs"), within, whole=True) if extra else None
        return MappingNode(path, value, members, attributes)

    def _module(self, module: Any, path: str, within: tuple[int, ...]) -> Node:
        component, found = self._survey.members[path]
        if _modules.is_plain_module(module):
            stored: set[int] = set()
            for member in found:
                if id(member.tensor) not in stored:
                    stored.add(id(member.tensor))
                    self._member(component, member, _state.child(path, member.name))
            renamed = {member.name: member.original for member in found if member.name != member.original}
            self._describe(
                module, component, renamed, {member.name: member.kept for member in found if member.name != member.kept}
            )
            return ModuleNode(path, module, component, found)
        state = module.state_dict()
        names = _modules.canonical_names(list(state))
        with self._not_live():
            inner = self._mapping(
                {names[key]: item for key, item in state.items()}, path, component, (), within, whole=True
            )
        self._describe(module, component, {name: key for key, name in names.items() if key != name}, {})
        return StatefulNode(path, module, inner, names)

    def _describe(self, module: Any, component: str, renamed: dict[str, str], tied: dict[str, str]) -> None:
        about: dict[str, Any] = {"class": type(_modules.unwrap(module)).__qualname__}
        if renamed:
            about["originals"] = renamed
        if tied:
            about["tied"] = tied
        self.modules[component] = about
        config = _modules.config_of(module)
        if config is not None:
            self.configs[component] = config

    def _optimizer(
        self, optimizer: Any, path: str, component: str, steps: tuple[str, ...], within: tuple[int, ...]
    ) -> Node:
        trained = self._survey.parameters.trained(optimizer)
        seen: dict[int, list[_modules.Trained]] = {}
        for one in (one for group in trained for one in group):
            seen.setdefault(id(one.parameter), []).append(one)
        slots: list[tuple[Any, str, Node]] = []
        for parameter, state in optimizer.state.items():
            if id(parameter) not in seen:
                raise Refused(
                    "the optimizer keeps state for something that is none of its parameters",
                    path,
                    "leave it out of the state",
                )
            for one in seen[id(parameter)]:
                place = _state.child(f'{path}["state"]', one.name)
                with self._like(one.part):
                    node = self._mapping(state, place, component, (*steps, one.name), within)
                slots.append((parameter, one.name, node))
        groups = []
        for index, group in enumerate(optimizer.param_groups):
            place = f'{path}["param_groups"][{index}]'
            below = (*steps, "param_groups", str(index))
            groups.append(
                [
                    self._build(item, _state.child(place, key), component, (*below, key), within)
                    for key, item in group.items()
                    if key != "params"
                ]
            )
        absent = {
            one.name: ".".join((*steps, one.name))
            for several in seen.values()
            for one in several
            if one.part is not None and one.parameter not in optimizer.state
        }
        node = OptimizerNode(path, optimizer, component, trained, slots, groups, absent)
        self.optimizers.append(node)
        return node

    def _distributed(self, value: Any, path: str, component: str, steps: tuple[str, ...]) -> Node:
        found = self._spread(value, path)
        extra: dict[str, Any] = {}
        rule = self._rule
        if found.kind != "torch":
            extra["like"] = found.kind
        torch = _dtypes.torch()
        if torch is not None and isinstance(value, torch.nn.Parameter):
            extra["parameter"] = True
        if rule != OWN:
            rule = SPREAD
        with self._by(rule):
            leaf = self._leaf(component, steps, found.dtype, found.shape, found.kind, extra, found)
        return TensorNode(path, value, leaf)

    def _spread(self, value: Any, path: str) -> _shards.Spread:
        try:
            found = _shards.spread(value)
        except Refused as refused:
            raise Refused(refused.what, path, refused.next) from refused
        assert found is not None
        return found

    def _tensor(self, value: Any, path: str, component: str, steps: tuple[str, ...]) -> Node:
        self._check_tensor(value, path)
        slot = None if self._part is None else _flat.slot_of(value, self._part)
        if slot is not None:
            found = self._spread(slot, path)
            assert self._part is not None
            self.parts[len(self.entries)] = self._part
            leaf = self._leaf(component, steps, found.dtype, found.shape, "torch", {}, found, flat=True)
            return TensorNode(path, value, leaf)
        parameter = {"parameter": True} if isinstance(value, _dtypes.torch().nn.Parameter) else {}
        dtype = _dtypes.of_torch(value.dtype)
        assert dtype is not None
        leaf = self._leaf(component, steps, dtype, _dtypes.shape_of(dtype, tuple(value.shape)), "torch", parameter)
        return TensorNode(path, value, leaf)

    def _check_tensor(self, value: Any, path: str) -> None:
        torch = _dtypes.torch()
        why = None
        if value.layout != torch.strided:
            why = f"a tensor of layout {value.layout} cannot be kept yet"
        elif value.device.type == "meta":
            why = "a tensor on the meta device has no values"
        elif isinstance(value, torch.nn.parameter.UninitializedTensorMixin):
            why = "a lazy parameter has no values before the first forward pass"
        elif type(value).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
            why = f"a tensor subclass ({type(value).__name__}) cannot be kept yet"
        elif _dtypes.of_torch(value.dtype) is None:
            why = f"a tensor of {value.dtype} cannot be kept"
        elif value.dtype == getattr(torch, "float4_e2m1fn_x2", None) and value.dim() == 0:
            why = "a scalar of float4_e2m1fn_x2 has no shape in safetensors"
        if why:
            raise Refused(why, path, "convert it to a plain dense tensor, or leave it out of the state")

    def _array(self, value: Any, path: str, component: str, steps: tuple[str, ...]) -> Node:
        dtype = _dtypes.of_numpy(value.dtype)
        if dtype is None:
            raise Refused(
                f"an array of dtype {value.dtype} cannot be kept", path, "convert it to numbers, or to a list"
            )
        leaf = self._leaf(component, steps, dtype, tuple(value.shape), "numpy", {"like": "numpy"})
        return TensorNode(path, value, leaf)

    def _leaf(
        self,
        component: str,
        steps: tuple[str, ...],
        dtype: str,
        shape: tuple[int, ...],
        kind: str,
        extra: dict[str, Any],
        spread: Optional[_shards.Spread] = None,
        flat: bool = False,
    ) -> dict[str, Any]:
        names = self._components[component]
        wanted = ".".join(steps) or component
        if self._rule == OWN and self._rank is not None:
            wanted = f"{wanted}.rank{self._rank}"
        name, again = wanted, 1
        while name in names:
            again += 1
            name = f"{wanted}_{again}"
        names.add(name)
        frozen = kind == "torch" and self._is_frozen(name)
        rule = SPREAD if extra.get("parameter") and self._rule == LOWEST else self._rule
        self.entries.append(Entry(component, name, dtype, shape, kind, frozen, rule, spread, flat))
        return {"~": "tensor", "component": component, "name": name, **extra}

    def _member(self, component: str, member: _modules.Member, path: str) -> None:
        name, tensor = member.kept, member.tensor
        self._components[component].add(name)
        rule = SPREAD if member.is_parameter else LOWEST
        if _shards.is_spread(tensor):
            found = self._spread(tensor, path)
            flat = isinstance(tensor, _flat.FlatPart)
            entry = Entry(
                component, name, found.dtype, found.shape, found.kind, self._is_frozen(name), SPREAD, found, flat
            )
        else:
            self._check_tensor(tensor, path)
            dtype = _dtypes.of_torch(tensor.dtype)
            assert dtype is not None
            shape = _dtypes.shape_of(dtype, tuple(tensor.shape))
            entry = Entry(component, name, dtype, shape, "torch", self._is_frozen(name), rule)
        self.entries.append(entry)

    def _is_frozen(self, name: str) -> bool:
        if not self._live or not self.frozen.patterns:
            return False
        self.freezable.append(name)
        return self.frozen.has(name)


def _all_plain(members: list[Node]) -> bool:
    return all(type(member) is PlainNode for member in members)
