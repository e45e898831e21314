"""What torch objects consist of: names, tensors and shape of modules and optimizers.

A module or optimizer is *plain* when `state_dict()` would give exactly its parameters, persistent buffers and slots; then they are read and written
directly, which is cheap and never disturbs a live optimizer. Every other one goes through its own `state_dict()` and `load_state_dict()`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from . import _dtypes, _flat

_WRAPPERS = frozenset(("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))


def is_module(value: Any) -> bool:
    torch = _dtypes.torch()
    return torch is not None and isinstance(value, torch.nn.Module)


def is_optimizer(value: Any) -> bool:
    torch = _dtypes.torch()
    return torch is not None and isinstance(value, torch.optim.Optimizer)


def is_tensor(value: Any) -> bool:
    torch = _dtypes.torch()
    return torch is not None and isinstance(value, torch.Tensor)


def canonical(name: str) -> str:
    """A parameter's name without the segments that wrappers put in."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS) or name


def canonical_names(originals: list[str]) -> dict[str, str]:
    """Original name to canonical name; where two would coincide all keep their original names."""
    names = {original: canonical(original) for original in originals}
    return names if len(set(names.values())) == len(names) else {original: original for original in originals}


def unwrap(module: Any) -> Any:
    """The user's module inside compilers' and data parallel wrappers."""
    torch = _dtypes.torch()
    while True:
        inner = module._modules.get("_orig_mod")
        if inner is None and isinstance(module, (torch.nn.parallel.DistributedDataParallel, torch.nn.DataParallel)):
            inner = module._modules.get("module")
        if inner is None:
            return module
        module = inner


def owners(module: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The modules of a tree with their prefixes, in the order of `state_dict()`; a module used twice comes twice, as there."""
    yield prefix, module
    for name, inner in module._modules.items():
        if inner is not None:
            yield from owners(inner, f"{prefix}{name}.")


def is_plain_module(module: Any) -> bool:
    base = _dtypes.torch().nn.Module
    for _, owner in owners(module):
        kind = type(owner)
        if (
            kind.state_dict is not base.state_dict
            or kind._save_to_state_dict is not base._save_to_state_dict
            or kind.get_extra_state is not base.get_extra_state
            or any(map(_is_foreign, owner._state_dict_hooks.values()))
            or any(map(_is_foreign, owner._state_dict_pre_hooks.values()))
            or "state_dict" in owner.__dict__
        ):
            return False
    return True


def _is_foreign(hook: Any) -> bool:
    """Whether a hook of `state_dict()` may change what it gives. Those of torch's own wrappers gather, reshard and rename, all of which is done here without a collective."""
    hook = getattr(hook, "hook", hook)  # a bound one lies in a wrapper
    hook = getattr(hook, "func", hook)
    return not str(getattr(hook, "__module__", "")).startswith("torch.distributed.")


def settle(module: Any) -> list[Any]:
    """Has `fully_shard` show a module's sharded parameters, as `state_dict()` does, and gives what to call again before a later look."""
    calls = []
    kind = getattr(sys.modules.get("torch.distributed.fsdp"), "FSDPModule", ())
    for _, owner in owners(module):
        if isinstance(owner, kind):
            state = owner._get_fsdp_state()
            groups = getattr(state, "_fsdp_param_groups", None) or [state._fsdp_param_group]
            calls += [group._to_sharded for group in groups if group is not None]
    for call in calls:
        call()
    return calls


class Member(NamedTuple):
    """One entry of a module's state: `place` is the dict of parameters or buffers that holds it under `key`."""

    original: str
    name: str
    kept: str  # the name under which the tensor is stored: another member's where the two are tied
    place: dict[str, Any]
    key: str
    tensor: Any  # a `_flat.FlatPart` where FSDP1 has flattened the parameter
    is_parameter: bool


def members(module: Any) -> list[Member]:
    """Parameters and persistent buffers of a plain module in the order of `state_dict()`."""
    found: list[tuple[str, dict[str, Any], str, Any, bool]] = []
    flat = _flattened(module)
    for prefix, owner in owners(module):
        parts = dict(flat.get(id(owner), ()))
        for key, tensor in owner._parameters.items():
            if key in parts:
                found.append((prefix + key, {key: parts[key]}, key, parts.pop(key), True))
            elif tensor is not None and key != _FLAT:
                found.append((prefix + key, owner._parameters, key, tensor, True))
        for key, part in parts.items():
            found.append((prefix + key, {key: part}, key, part, True))
        for key, tensor in owner._buffers.items():
            if tensor is not None and key not in owner._non_persistent_buffers_set:
                found.append((prefix + key, owner._buffers, key, tensor, False))
    names = canonical_names([original for original, _, _, _, _ in found])
    groups: dict[int, list[str]] = {}
    for original, _, _, tensor, _ in found:
        groups.setdefault(id(tensor), []).append(names[original])
    ties = _tied_names(unwrap(module))
    kept = {group: _kept(same, ties) for group, same in groups.items()}
    return [
        Member(original, names[original], kept[id(tensor)], place, key, tensor, is_parameter)
        for original, place, key, tensor, is_parameter in found
    ]


_FLAT = "_flat_param"


def _flattened(module: Any) -> dict[int, list[tuple[str, _flat.FlatPart]]]:
    """What FSDP1 has flattened, by id of the module that it belongs to."""
    found: dict[int, list[tuple[str, _flat.FlatPart]]] = {}
    kind = _flat.fsdp()
    if kind:
        for _, owner in owners(module):
            for one in _flat.flattened(owner) if isinstance(owner, kind) else ():
                for place, key in [(one.module, one.key), *one.twins]:
                    found.setdefault(id(place), []).append((key, one.part))
    return found


def _tied_names(module: Any) -> list[str]:
    ties = getattr(module, "_tied_weights_keys", None)
    return [str(name) for name in ties] if isinstance(ties, (list, tuple, dict, set)) else []


def _kept(names: list[str], ties: list[str]) -> str:
    # transformers re-creates what its model class lists as tied from the other name, never the other way round.
    if len(names) > 1:
        for name in names:
            if not any(name == tie or re.search(tie, name) for tie in ties):
                return name
    return names[0]


def config_of(module: Any) -> Optional[dict[str, Any]]:
    """`config.json` of a transformers model as `save_pretrained` would write it, or None."""
    inner = unwrap(module)
    config: Any = getattr(inner, "config", None)
    if not callable(getattr(config, "to_json_string", None)):
        return None
    try:
        found = json.loads(config.to_json_string())
    except (TypeError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    found["architectures"] = [type(inner).__name__]
    dtype = getattr(inner, "dtype", None)
    if dtype is not None:
        found["dtype"] = str(dtype).replace("torch.", "")
    return found


def is_plain_optimizer(optimizer: Any) -> bool:
    base = _dtypes.torch().optim.Optimizer
    kind = type(optimizer)
    return (
        kind.state_dict is base.state_dict
        and kind.load_state_dict is base.load_state_dict
        and not getattr(optimizer, "_optimizer_state_dict_pre_hooks", None)
        and not getattr(optimizer, "_optimizer_state_dict_post_hooks", None)
        and not getattr(optimizer, "_optimizer_load_state_dict_pre_hooks", None)
        and not getattr(optimizer, "_optimizer_load_state_dict_post_hooks", None)
    )


class Trained(NamedTuple):
    """One parameter of a model as an optimizer sees it: by itself, or as `part` of a flat one (FSDP1), of which `parameter` has several."""

    name: str
    parameter: Any
    part: Optional[_flat.FlatPart]


class ParameterNames:
    """Names of parameters by identity, over all modules (and bare parameters) of the state."""

    def __init__(self) -> None:
        self._by_owner: list[tuple[str, dict[int, list[tuple[str, Optional[_flat.FlatPart]]]]]] = []
        self._alive: list[Any] = []  # an id means nothing once its object is gone

    def add_module(self, component: str, found: list[Member]) -> None:
        names: dict[int, list[tuple[str, Optional[_flat.FlatPart]]]] = {}
        for member in found:
            part = member.tensor if isinstance(member.tensor, _flat.FlatPart) else None
            seen = member.tensor if part is None else part.flat if part.original is None else part.original
            known = names.setdefault(id(seen), [])
            if (member.kept, part) not in known:
                known.append((member.kept, part))
            self._alive.append(seen)
        self._by_owner.append((component, names))

    def add_bare(self, component: str, name: str, tensor: Any) -> None:
        self._by_owner.append((component, {id(tensor): [(name, None)]}))
        self._alive.append(tensor)

    def of(self, optimizer: Any) -> list[str]:
        """The names of an optimizer's parameters in the order of its groups."""
        return [one.name for group in self.trained(optimizer) for one in group]

    def trained(self, optimizer: Any) -> list[list[Trained]]:
        """The parameters of an optimizer's groups.

        Where one module has them all, by its own names; else each with the component it lies in, and `unnamed.<index>` for what no module has.
        """
        groups = [list(group["params"]) for group in optimizer.param_groups]
        parameters = [parameter for group in groups for parameter in group]
        owner = next(
            (names for _, names in self._by_owner if parameters and all(id(one) in names for one in parameters)), None
        )
        seen: dict[str, int] = {}
        index = 0
        found: list[list[Trained]] = []
        for group in groups:
            found.append([])
            for parameter in group:
                several = self._anywhere(parameter, index) if owner is None else owner[id(parameter)]
                index += 1
                for name, part in several:
                    seen[name] = again = seen.get(name, 0) + 1
                    found[-1].append(Trained(name if again == 1 else f"{name}_{again}", parameter, part))
        return found

    def _anywhere(self, parameter: Any, index: int) -> list[tuple[str, Optional[_flat.FlatPart]]]:
        for component, names in self._by_owner:
            if id(parameter) in names:
                return [(f"{component}.{name}", part) for name, part in names[id(parameter)]]
        return [(f"unnamed.{index}", None)]
