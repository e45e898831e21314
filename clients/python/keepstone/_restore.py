"""Putting a checkpoint back into a live state.

Two passes. `Filling` first goes through state and tree together and notes what is missing, unexpected or mismatched, which tensor goes where, and what is to be
done afterwards; nothing is touched. When the bytes of all wanted tensors can be had, `finish` hands them over. Tensors are filled in place; what
has to be new is new memory of the trainer's, never a view of a segment, because optimizers keep and train the tensors they are given.
"""

from __future__ import annotations

import collections
from typing import Any, Callable, Optional

from . import _dtypes, _modules, _state
from ._errors import Refused
from ._generators import GeneratorState
from ._loader import Loader
from ._survey import Survey
from ._targets import Key, Stored, new_tensor

Finish = Callable[[], Any]


class Filling:
    """The first pass over state and tree; `wanted` says which memory each stored tensor goes to."""

    def __init__(self, tensors: dict[Key, Stored]) -> None:
        self.tensors = tensors
        self.wanted: dict[Key, list[Any]] = {}
        self.missing: list[str] = []
        self.unexpected: list[str] = []
        self.mismatched: list[str] = []
        self._names = _modules.ParameterNames()
        self.loaders: list[Loader] = []
        self._made: dict[int, Any] = {}  # by id of the leaf in the tree
        self._finish: Finish = lambda: None

    def begin(self, state: dict[Any, Any], tree: Any) -> None:
        survey = Survey(state)
        self._names, self.loaders = survey.parameters, survey.loaders
        self._finish = self._fill_dict(state, tree, "state", root=True)

    def check(self, strict: bool, on: str) -> None:
        """With `strict`, refuses a state that is not exactly the saved one."""
        wrong = [f"missing in the checkpoint: {name}" for name in self.missing]
        wrong += [f"not in this state: {name}" for name in self.unexpected]
        wrong += self.mismatched
        if wrong and strict:
            shown = "\n  ".join(wrong[:20]) + (f"\n  … and {len(wrong) - 20} more" if len(wrong) > 20 else "")
            raise Refused(
                f"the checkpoint does not fit this state ({len(wrong)} differences):\n  {shown}",
                on,
                "build the state as it was saved, or restore(state, strict=False) to take what fits",
            )

    def finish(self) -> Any:
        """After the wanted memory is filled: hands everything over and returns the state."""
        return self._finish()

    def _fill(self, value: Any, node: Any, path: str) -> Finish:
        """Plans one value; the function returned gives what stands in its place afterwards."""
        numpy = _dtypes.numpy()
        if _modules.is_tensor(value) or (numpy is not None and isinstance(value, numpy.ndarray)):
            return self._fill_tensor(value, node, path)
        if _modules.is_module(value):
            return self._fill_module(value, node, path)
        if _modules.is_optimizer(value) and _modules.is_plain_optimizer(value):
            return self._fill_optimizer(value, node, path)
        if _state.is_stateful(value):
            return self._load(value, node, path)
        if GeneratorState.is_generator(value):
            return self._fill_generator(value, node, path)
        if isinstance(value, dict):
            return self._fill_dict(value, node, path)
        if isinstance(value, (list, tuple)):
            return self._fill_sequence(value, node, path)
        return self._new(node, path)

    def _fill_tensor(self, value: Any, node: Any, path: str) -> Finish:
        if _word(node) != "tensor":
            return self._mismatch(value, path, "a tensor here, another kind of value in the checkpoint")
        self._want_into(value, node, path)
        return lambda: value

    def _want_into(self, value: Any, node: Any, path: str) -> None:
        """Notes that a live tensor or array takes a stored one, or that they do not fit."""
        key = (node["component"], node["name"])
        stored = self._stored(key, path)
        if _modules.is_tensor(value):
            name = _dtypes.of_torch(value.dtype)
            shape = _dtypes.shape_of(name or "", tuple(value.shape))
            writable = value.device.type != "meta"
        else:
            name, shape, writable = _dtypes.of_numpy(value.dtype), tuple(value.shape), bool(value.flags.writeable)
        if name != stored.dtype or shape != stored.shape or not writable:
            here = f"{name or value.dtype} {list(shape)}" + ("" if writable else ", which cannot be written")
            self._mismatch(value, path, f"{here} here, {stored.dtype} {list(stored.shape)} in the checkpoint")
            return
        targets = self.wanted.setdefault(key, [])
        if not any(value is target for target in targets):
            targets.append(value)

    def _stored(self, key: Key, path: str) -> Stored:
        stored = self.tensors.get(key)
        if stored is None:
            raise Refused(f"the state tree names a tensor {'.'.join(key)} that the checkpoint does not hold", path)
        return stored

    def _fill_module(self, module: Any, node: Any, path: str) -> Finish:
        if not _modules.is_plain_module(module):
            return self._load(module, node, path, _modules.canonical_names(list(module.state_dict())))
        if _word(node) is not None or not isinstance(node, dict):
            return self._mismatch(module, path, "a module here, another kind of value in the checkpoint")
        seen: set[str] = set()
        for member in _modules.members(module):
            seen.add(member.name)
            place = _state.child(path, member.name)
            leaf = node.get(member.name)
            if leaf is None and member.kept != member.name and member.kept in node:
                continue  # tied here, and not listed where it was saved
            if leaf is None or _word(leaf) != "tensor":
                self.missing.append(place)
            else:
                self._want_into(member.tensor, leaf, place)
        stored_names = {leaf["name"] for name, leaf in node.items() if name in seen and _word(leaf) == "tensor"}
        for name, leaf in node.items():
            if name not in seen and not (_word(leaf) == "tensor" and leaf["name"] in stored_names):
                self.unexpected.append(_state.child(path, name))
        return lambda: module

    def _fill_optimizer(self, optimizer: Any, node: Any, path: str) -> Finish:
        if not isinstance(node, dict) or "param_groups" not in node or "state" not in node:
            return self._mismatch(optimizer, path, "an optimizer here, another kind of value in the checkpoint")
        names = self._names.of(optimizer)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        saved_groups = node["param_groups"]
        saved_names = [name for group in saved_groups for name in group["params"]]
        known = set(saved_names)
        self.missing += [f"{path}: parameter {name}" for name in names if name not in known]
        self.unexpected += [f"{path}: parameter {name}" for name in saved_names if name not in set(names)]
        shape = [len(group["params"]) for group in optimizer.param_groups]
        saved_shape = [len(group["params"]) for group in saved_groups]
        if shape != saved_shape or names != saved_names:
            if sorted(names) == sorted(saved_names):
                self._mismatch(
                    optimizer,
                    path,
                    f"groups of {shape} parameters here, {saved_shape} in the checkpoint, or in another order",
                )
            if len(shape) != len(saved_shape):
                return lambda: optimizer
        by_name = dict(zip(names, parameters))
        on_device = {
            id(parameter)
            for group in optimizer.param_groups
            if group.get("capturable") or group.get("fused")
            for parameter in group["params"]
        }
        slots: list[tuple[Any, Finish]] = []
        for name, saved in node["state"].items():
            place = _state.child(f'{path}["state"]', name)
            if name in by_name:
                slots.append((by_name[name], self._slots(optimizer, by_name[name], saved, place, on_device)))
            elif name not in known:
                slots.append((name, self._new(saved, place)))
        groups = []
        for index, (group, saved) in enumerate(zip(optimizer.param_groups, saved_groups)):
            place = f'{path}["param_groups"][{index}]'
            fills = {}
            for key, item in saved.items():
                if key == "params":
                    continue
                below = _state.child(place, key)
                fills[key] = self._fill(group[key], item, below) if key in group else self._new(item, below)
            groups.append((group, fills))

        def finish() -> Any:
            kept = {id(parameter) for parameter, _ in slots}
            for name, parameter in by_name.items():
                if name in known and id(parameter) not in kept:
                    optimizer.state.pop(parameter, None)
            for parameter, fill in slots:
                # Set, not load_state_dict: that would cast fp32 moments of a bf16 parameter to bf16.
                optimizer.state[parameter] = fill()
            for group, fills in groups:
                for key, fill in fills.items():
                    group[key] = fill()
            return optimizer

        return finish

    def _slots(self, optimizer: Any, parameter: Any, node: Any, path: str, on_device: set[int]) -> Finish:
        """The slots of one parameter: into the tensors that are there and fit, else new ones where torch would put them."""
        live = optimizer.state.get(parameter) or {}
        if not isinstance(node, dict) or _word(node) is not None:
            return self._new(node, path)
        fills: dict[str, Finish] = {}
        for key, leaf in node.items():
            place = _state.child(path, key)
            current = live.get(key)
            if _word(leaf) == "tensor" and _modules.is_tensor(current) and self._fits(current, leaf):
                fills[key] = self._fill_tensor(current, leaf, place)
            else:
                on_cpu = key == "step" and id(parameter) not in on_device
                fills[key] = self._new(leaf, place, None if on_cpu else parameter.device)
        return lambda: {key: fill() for key, fill in fills.items()}

    def _fits(self, current: Any, leaf: Any) -> bool:
        stored = self.tensors.get((leaf["component"], leaf["name"]))
        name = _dtypes.of_torch(current.dtype)
        return (
            stored is not None and name == stored.dtype and _dtypes.shape_of(name, tuple(current.shape)) == stored.shape
        )

    def _load(self, value: Any, node: Any, path: str, names: Optional[dict[str, str]] = None) -> Finish:
        """An object that takes its state whole."""
        if names is not None and isinstance(node, dict) and _word(node) is None:
            canonical = set(names.values())
            self.missing += [_state.child(path, name) for name in canonical if name not in node]
            self.unexpected += [_state.child(path, name) for name in node if name not in canonical]
        new = self._new(node, path)

        def finish() -> Any:
            state = new()
            if names is not None and isinstance(state, dict):
                originals = {name: original for original, name in names.items()}
                value.load_state_dict({originals.get(name, name): item for name, item in state.items()}, strict=False)
            else:
                value.load_state_dict(state)
            return value

        return finish

    def _fill_generator(self, value: Any, node: Any, path: str) -> Finish:
        if _word(node) != "generator":
            return self._mismatch(value, path, "a generator here, another kind of value in the checkpoint")

        def finish() -> Any:
            state = _state.read_generator_state(node, path, self._take)
            if not state.into(value):
                raise Refused(
                    f"the saved generator is one of {state.of} and does not fit a {type(value).__name__}", path
                )
            return value

        return finish

    def _fill_dict(self, value: Any, node: Any, path: str, root: bool = False) -> Finish:
        pairs = _pairs(node)
        if pairs is None:
            return self._new(node, path)
        if not root and not _holds_live(value):
            new = self._new(node, path)
            return lambda: _replace_dict(value, new())
        fills: list[tuple[Any, Finish]] = []
        saved: dict[Any, Any] = {}
        for key_node, item in pairs:
            saved[_state.decode(key_node, path, self._take)] = item
        for key, current in value.items():
            if key in saved:
                fills.append((key, self._fill(current, saved[key], _state.child(path, key))))
            else:
                self.missing.append(_state.child(path, key))
        for key in saved:
            if key not in value:
                self.unexpected.append(_state.child(path, key))

        def finish() -> Any:
            for key, fill in fills:
                value[key] = fill()
            return value

        return finish

    def _fill_sequence(self, value: Any, node: Any, path: str) -> Finish:
        items = node if type(node) is list else node.get("v") if _word(node) in ("tuple", "namedtuple") else None
        if items is None or not _holds_live(value):
            new = self._new(node, path)
            return (lambda: _replace_list(value, new())) if type(value) is list else new
        if len(items) != len(value):
            return self._mismatch(value, path, f"{len(value)} members here, {len(items)} in the checkpoint")
        fills = [
            self._fill(item, saved, _state.child(path, index)) for index, (item, saved) in enumerate(zip(value, items))
        ]

        def finish() -> Any:
            new = [fill() for fill in fills]
            if type(value) is list:
                value[:] = new
                return value
            return tuple.__new__(type(value), new)

        return finish

    def _new(self, node: Any, path: str, device: Any = None) -> Finish:
        """A value made anew from the tree, with tensors of its own."""
        for leaf in _leaves(node):
            key = (leaf["component"], leaf["name"])
            made = new_tensor(self._stored(key, path), leaf.get("like"), device)
            self._made[id(leaf)] = made
            self.wanted.setdefault(key, []).append(made)
        return lambda: _state.decode(node, path, self._take)

    def _take(self, leaf: Any, path: str) -> Any:
        made = self._made[id(leaf)]
        if leaf.get("like") == "bytes":
            return bytes(made)
        return _dtypes.torch().nn.Parameter(made) if leaf.get("parameter") and _modules.is_tensor(made) else made

    def _mismatch(self, value: Any, path: str, why: str) -> Finish:
        self.mismatched.append(f"{path}: {why}")
        return lambda: value


def _word(node: Any) -> Optional[str]:
    return node.get("~") if isinstance(node, dict) else None


def _pairs(node: Any) -> Optional[list[Any]]:
    """Keys and values of a mapping's node, or None where it is none."""
    word = _word(node)
    if word in ("dict", "odict", "counter", "ddict"):
        return list(node["v"])
    return [[key, item] for key, item in node.items()] if isinstance(node, dict) and word is None else None


def _leaves(node: Any) -> Any:
    if isinstance(node, dict):
        if node.get("~") == "tensor":
            yield node
            return
        for item in node.values():
            if isinstance(item, (dict, list)):
                yield from _leaves(item)
    elif isinstance(node, list):
        for item in node:
            if isinstance(item, (dict, list)):
                yield from _leaves(item)


def _holds_live(value: Any) -> bool:
    """Whether a container of the state holds anything that is filled in place."""
    if isinstance(value, dict):
        return any(_holds_live(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds_live(item) for item in value)
    numpy = _dtypes.numpy()
    return (
        _modules.is_tensor(value)
        or (numpy is not None and isinstance(value, numpy.ndarray))
        or _state.is_stateful(value)
        or GeneratorState.is_generator(value)
    )


def _replace_dict(value: Any, new: Any) -> Any:
    if type(new) is not type(value):
        return new
    value.clear()
    value.update(new)
    if isinstance(value, (collections.OrderedDict, collections.Counter)):
        value.__dict__.update(new.__dict__)
    return value


def _replace_list(value: list[Any], new: Any) -> Any:
    if type(new) is not list:
        return new
    value[:] = new
    return value
