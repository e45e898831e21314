"""Putting an optimizer's state back, parameter by parameter, without stepping or initialising it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Optional

from . import _modules, _state
from ._landing import flat_slot, landing, made_like, slot_landing
from ._modules import Trained

if TYPE_CHECKING:
    from ._restore import Filling

Finish = Callable[[], Any]


def fill(filling: Filling, optimizer: Any, node: Any, path: str) -> Finish:
    """Plans an optimizer: its slots by the names of its parameters, its groups in order."""
    if not isinstance(node, dict) or "param_groups" not in node or "state" not in node:
        if not filling.chosen(path):
            return lambda: optimizer
        return filling.mismatch(optimizer, path, "an optimizer here, another kind of value in the checkpoint")
    return _Filling(filling, optimizer, _renamed(filling, node, path), path).plan()


def _renamed(filling: Filling, node: dict[str, Any], path: str) -> dict[str, Any]:
    """The same with its parameters named as in the live state; those that `map` drops are left out."""

    def name(old: str) -> Optional[str]:
        return filling.parameter(path, old)

    groups = [
        {**group, "params": [new for old in group["params"] if (new := name(old)) is not None]}
        for group in node["param_groups"]
    ]
    return {
        "state": {new: item for old, item in node["state"].items() if (new := name(old)) is not None},
        "param_groups": groups,
    }


class _Filling:
    def __init__(self, filling: Filling, optimizer: Any, node: dict[str, Any], path: str) -> None:
        self._filling, self._optimizer, self._node, self._path = filling, optimizer, node, path
        self._groups: list[list[Trained]] = filling.parameters.trained(optimizer)
        self._names = [one.name for group in self._groups for one in group]
        self._saved_names = [name for group in node["param_groups"] for name in group["params"]]
        self._on_device = {
            id(parameter)
            for group in optimizer.param_groups
            if group.get("capturable") or group.get("fused")
            for parameter in group["params"]
        }

    def plan(self) -> Finish:
        filling, optimizer = self._filling, self._optimizer
        self._complete()
        saved_names, names = set(self._saved_names), set(self._names)
        filling.missing += [
            f"{self._path}: parameter {name}" for name in self._names if name not in saved_names and self._chosen(name)
        ]
        filling.unexpected += [
            f"{self._path}: parameter {name}" for name in self._saved_names if name not in names and self._chosen(name)
        ]
        whole = filling.chosen(self._path)
        groups_chosen = filling.chosen(_state.child(self._path, "param_groups"))
        if groups_chosen and not self._same_groups() and whole:
            return lambda: optimizer
        by_parameter: dict[int, list[Trained]] = {}
        for group in self._groups:
            for one in group:
                if one.name in saved_names and self._chosen(one.name):
                    by_parameter.setdefault(id(one.parameter), []).append(one)
        slots = [(several[0].parameter, self._slots_of(several)) for several in by_parameter.values()]
        # What torch keeps beside its parameters, under names of its own.
        others = [
            (name, filling.new(saved, _state.child(f'{self._path}["state"]', name)))
            for name, saved in self._node["state"].items()
            if name not in names and name not in saved_names and whole
        ]
        groups = self._filled_groups() if groups_chosen else []

        def finish() -> Any:
            for parameter, slot in slots:
                # Set, not load_state_dict: that would cast fp32 moments of a bf16 parameter to bf16.
                if slot is None:
                    optimizer.state.pop(parameter, None)
                else:
                    optimizer.state[parameter] = slot()
            for name, slot in others:
                optimizer.state[name] = slot()
            for group, fills in groups:
                for key, fill in fills.items():
                    group[key] = fill()
            return optimizer

        return finish

    def _complete(self) -> None:
        """Names what other ranks alone have saved of the parameters here: another part of a pipeline, which this rank's tree does not name."""
        absent = {name for name in self._names if name not in self._node["state"]}
        components = {
            leaf["component"] for slots in self._node["state"].values() if isinstance(slots, dict)
            for leaf in slots.values() if isinstance(leaf, dict) and leaf.get("~") == "tensor"
        }  # fmt: skip
        if not absent or len(components) != 1:
            return
        (component,) = components
        for of, name in self._filling.tensors:
            parameter, _, slot = name.rpartition(".")
            if of == component and parameter in absent:
                leaf = {"~": "tensor", "component": component, "name": name}
                self._node["state"].setdefault(parameter, {})[slot] = leaf
                if parameter not in self._saved_names:
                    self._saved_names.append(parameter)

    def _chosen(self, name: str) -> bool:
        return self._filling.chosen(_state.child(self._path, name)) or any(
            self._slot_chosen(name, key) for key in self._node["state"].get(name, ())
        )

    def _slot_chosen(self, name: str, key: str) -> bool:
        return self._filling.chosen(_state.child(_state.child(self._path, name), key))

    def _same_groups(self) -> bool:
        """Whether there are as many groups as were saved; says where parameters lie in another group. Their order within one says nothing: FSDP1 has its own."""
        here = [sorted(one.name for one in group) for group in self._groups]
        saved = [sorted(group["params"]) for group in self._node["param_groups"]]
        if here != saved and sorted(self._names) == sorted(self._saved_names):
            self._filling.mismatch(
                self._optimizer,
                self._path,
                f"groups of {[len(group) for group in here]} parameters here, {[len(group) for group in saved]} in the checkpoint, or with others in them",
            )
        return len(here) == len(saved)

    def _filled_groups(self) -> list[tuple[Any, dict[str, Finish]]]:
        groups = []
        for index, (group, saved) in enumerate(zip(self._optimizer.param_groups, self._node["param_groups"])):
            place = f'{self._path}["param_groups"][{index}]'
            fills = {}
            for key, item in saved.items():
                if key == "params":
                    continue
                below = _state.child(place, key)
                fills[key] = self._filling.fill(group[key], item, below) if key in group else self._filling.new(item, below)
            groups.append((group, fills))
        return groups

    def _slots_of(self, several: list[Trained]) -> Optional[Finish]:
        """The slots of one parameter of the optimizer; under FSDP1 that may be `several` of the model. None where nothing was saved."""
        found = [(one, self._node["state"].get(one.name)) for one in several]
        found = [(one, saved) for one, saved in found if saved is not None]
        if not found:
            return None
        first, saved = found[0]
        if first.part is not None and first.parameter.numel() == 0:
            # FSDP1 gives a rank no gradient of what it holds nothing of: `step` would stand still here, and be saved as everybody's.
            return None
        live = self._optimizer.state.get(first.parameter) or {}
        if not isinstance(saved, dict) or "~" in saved:
            return self._filling.new(saved, self._place(first.name))
        fills: dict[str, Finish] = {}
        for key, leaf in saved.items():
            if not self._slot_chosen(first.name, key):
                if key in live:
                    fills[key] = partial(live.get, key)
                continue
            leaves = [(one, slots[key]) for one, slots in found if key in slots]
            if first.part is not None and key != "step":
                fill = self._flat(leaves, live.get(key), key)
                if fill is not None:
                    fills[key] = fill
                    continue
            fills[key] = self._slot(first, leaf, live.get(key), key)
        return lambda: {key: fill() for key, fill in fills.items()}

    def _place(self, name: str, key: Optional[str] = None) -> str:
        place = _state.child(f'{self._path}["state"]', name)
        return place if key is None else _state.child(place, key)

    def _slot(self, one: Trained, leaf: Any, current: Any, key: str) -> Finish:
        """One slot: into the tensor that is there and fits, else a new one, laid out as its parameter is and where torch would put it."""
        filling, place = self._filling, self._place(one.name, key)
        if isinstance(leaf, dict) and leaf.get("~") == "tensor":
            stored = filling.stored((leaf["component"], leaf["name"]), place)
            found = landing(current)
            if found is not None and found.fits(stored):
                return filling.want_into(current, leaf, place)
            made = made_like(one.parameter, stored)
            if made is not None:
                return filling.want_into(made, leaf, place)
        on_cpu = key == "step" and id(one.parameter) not in self._on_device
        device = None if on_cpu else (one.part.local() if one.part is not None else one.parameter).device
        return filling.new(leaf, place, device)

    def _flat(self, leaves: list[tuple[Trained, Any]], current: Any, key: str) -> Optional[Finish]:
        """A slot that lies flat as FSDP1's parameters do; None where the saved one has no value per element."""
        tensor = None
        for one, leaf in leaves:
            assert one.part is not None
            if not isinstance(leaf, dict) or leaf.get("~") != "tensor":
                return None
            place = self._place(one.name, key)
            stored = self._filling.stored((leaf["component"], leaf["name"]), place)
            if tensor is None:
                tensor = flat_slot(one.part, stored)
                if tensor is None:
                    return None
                if _modules.is_tensor(current) and (current.dtype, current.shape) == (tensor.dtype, tensor.shape):
                    tensor = current
            found = slot_landing(tensor, one.part)
            if found.fits(stored):
                self._filling.wanted.setdefault((leaf["component"], leaf["name"]), []).extend(found.targets)
            else:
                self._filling.mismatch(
                    tensor, place, f"{found.dtype} {list(found.shape)} here, {stored.dtype} {list(stored.shape)} in the checkpoint"
                )
        return lambda: tensor
