"""Planning a state: from what the user put into a dict to named pieces and a state tree with holes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from . import _dtypes, _modules, _rng, _state
from ._errors import Refused
from ._frozen import Frozen
from ._loader import Loader, refuse_bare_loader
from ._nodes import (
    MAPPINGS,
    BytesNode,
    Changed,
    Holes,
    MappingNode,
    ModuleNode,
    Node,
    OptimizerNode,
    PlainNode,
    SequenceNode,
    StatefulNode,
    TensorNode,
)
from ._survey import Survey, scalars


class Piece(NamedTuple):
    """One tensor to be stored. `kind` is torch, numpy or bytes; `shape` the stored one; a `frozen` one is captured once."""

    component: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    kind: str
    frozen: bool = False


class Plan:
    """The planned form of one state.

    `pieces` in the order in which `collect` yields their tensors; `template` the state tree with holes; `configs` the configurations of modules;
    `loaders` the data loaders that remember their position.
    """

    def __init__(self, state: dict[Any, Any], rng: bool, frozen: Optional[Frozen] = None) -> None:
        builder = _Builder(state, frozen or Frozen())
        self._root = builder.root()
        builder.frozen.require_matches(builder.freezable)
        self._rng = rng
        self.pieces: list[Piece] = builder.pieces
        self.configs: dict[str, Any] = builder.configs
        self.loaders: list[Loader] = builder.loaders
        holes = Holes()
        tree = self._root.tree(holes)
        keepstone: dict[str, Any] = {"rng": holes.next()} if rng else {}
        keepstone["threads"] = holes.next()
        keepstone["modules"] = builder.modules
        self.template = {"state": tree, "keepstone": keepstone}

    def collect(self, state: dict[Any, Any]) -> tuple[list[Any], list[Any]]:
        """The tensors of a state and the values of its holes. Raises `Changed` where it is not the planned one."""
        busy = [loader for loader in self.loaders if loader.in_epoch]
        if len(busy) > 1:
            raise Refused(
                f"{len(busy)} loaders are in the middle of an epoch; a position can be kept for one",
                'state["' + '"], state["'.join(loader.name for loader in busy) + '"]',
                "save where the others are at their end, or leave them out of the state",
            )
        tensors: list[Any] = []
        values: list[Any] = []
        self._root.collect(state, tensors, values)
        if self._rng:
            values.append(_state.encode(_rng.snapshot(), "rng"))
        torch = _dtypes.torch()
        values.append(torch.get_num_threads() if torch is not None else None)
        return tensors, values

    def same_layout(self, other: Plan) -> bool:
        """Whether what is registered for the other serves this one too."""
        return self.pieces == other.pieces and self.template == other.template and self.configs == other.configs


def plan(state: Any, rng: bool, frozen: Optional[Frozen] = None) -> tuple[Plan, list[Any], list[Any]]:
    """Plans a state and collects it once, so that what cannot be represented is refused before anything is written."""
    if type(state) is not dict:
        raise Refused(
            "the state must be a dict of what belongs to the checkpoint",
            f"a {type(state).__name__}",
            'pass {"model": model, …}',
        )
    made = Plan(state, rng, frozen)
    try:
        return (made, *made.collect(state))
    except Changed as where:
        raise Refused(
            "a tensor lies where only plain values can be kept", str(where), "keep tensors in dicts, lists and tuples"
        ) from where


class _Builder:
    def __init__(self, state: dict[Any, Any], frozen: Frozen) -> None:
        self._state = state
        self.frozen = frozen
        self.freezable: list[str] = []  # names that a pattern may match
        self._live = True  # false within what hands out copies of its tensors, or trains them
        self._survey = Survey(state)
        self._components: dict[str, set[str]] = {component: set() for component in self._survey.components}
        self.loaders = self._survey.loaders
        self.pieces: list[Piece] = []
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
        if _modules.is_tensor(value):
            return self._tensor(value, path, component, steps)
        numpy = _dtypes.numpy()
        if numpy is not None and isinstance(value, numpy.ndarray):
            return self._array(value, path, component, steps)
        if type(value) in (bytes, bytearray) and len(value) > _state.INLINE_BYTES:
            like = type(value).__name__
            leaf = self._leaf(component, steps, "U8", (len(value),), "bytes", {"like": like})
            return BytesNode(path, value, leaf)
        if _modules.is_module(value):
            return self._module(value, path, within)
        if _modules.is_optimizer(value) and _modules.is_plain_optimizer(value):
            with self._not_live():
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
            with self._not_live():
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
                    self._check_tensor(member.tensor, _state.child(path, member.name))
                    self._piece(component, member.kept, member.tensor)
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
        names = self._survey.parameters.of(optimizer)
        by_id: dict[int, str] = {}
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for parameter, name in zip(parameters, names):
            by_id[id(parameter)] = name
        slots: list[tuple[Any, str, Node]] = []
        for parameter, state in optimizer.state.items():
            name = by_id.get(id(parameter), parameter)
            if type(name) is not str:
                raise Refused(
                    "the optimizer keeps state for something that is none of its parameters",
                    path,
                    "leave it out of the state",
                )
            place = _state.child(f'{path}["state"]', name)
            slots.append((parameter, name, self._mapping(state, place, component, (*steps, name), within)))
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
        return OptimizerNode(path, optimizer, names, slots, groups)

    def _tensor(self, value: Any, path: str, component: str, steps: tuple[str, ...]) -> Node:
        self._check_tensor(value, path)
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
        return TensorNode(
            path, value, self._leaf(component, steps, dtype, tuple(value.shape), "numpy", {"like": "numpy"})
        )

    def _leaf(
        self,
        component: str,
        steps: tuple[str, ...],
        dtype: str,
        shape: tuple[int, ...],
        kind: str,
        extra: dict[str, Any],
    ) -> dict[str, Any]:
        names = self._components[component]
        wanted = ".".join(steps) or component
        name, again = wanted, 1
        while name in names:
            again += 1
            name = f"{wanted}_{again}"
        names.add(name)
        self.pieces.append(Piece(component, name, dtype, shape, kind, kind == "torch" and self._is_frozen(name)))
        return {"~": "tensor", "component": component, "name": name, **extra}

    def _piece(self, component: str, name: str, tensor: Any) -> None:
        dtype = _dtypes.of_torch(tensor.dtype)
        assert dtype is not None
        self._components[component].add(name)
        shape = _dtypes.shape_of(dtype, tuple(tensor.shape))
        self.pieces.append(Piece(component, name, dtype, shape, "torch", self._is_frozen(name)))

    def _is_frozen(self, name: str) -> bool:
        if not self._live or not self.frozen.patterns:
            return False
        self.freezable.append(name)
        return self.frozen.has(name)


def _all_plain(members: list[Node]) -> bool:
    return all(type(member) is PlainNode for member in members)
