"""A first look through a state: components, modules, bare parameters, loaders.

It comes before planning and before restoring, because an optimizer may stand before the modules that name its parameters.
"""

from __future__ import annotations

import re
from typing import Any

from . import _modules, _state
from ._loader import Loader

_SCALARS = frozenset((type(None), bool, int, float, str, complex))


def scalars(value: Any) -> bool:
    """Whether a sequence holds nothing but plain scalars, as long histories do."""
    return set(map(type, value)) <= _SCALARS


class Survey:
    """What a state holds, by path. The same state gives the same names here and in another process."""

    def __init__(self, state: dict[Any, Any]) -> None:
        self.components: set[str] = set()
        self.by_key: dict[Any, str] = {}
        self.members: dict[str, tuple[str, list[_modules.Member]]] = {}
        self.parameters = _modules.ParameterNames()
        self.loaders: list[Loader] = []
        for key in state:
            self.by_key[key] = self._new_component(str(key))
        within = (id(state),)
        for key, value in state.items():
            self._look(value, _state.child("state", key), self.by_key[key], (str(key),), within)

    def _look(self, value: Any, path: str, component: str, steps: tuple[str, ...], within: tuple[int, ...]) -> None:
        if isinstance(value, Loader):
            value.name = ".".join(steps)
            self.loaders.append(value)
        elif _modules.is_module(value):
            if len(steps) > 1:
                component = self._new_component(".".join(steps))
            _modules.settle(value)
            found = _modules.members(value)
            self.members[path] = (component, found)
            self.parameters.add_module(component, found)
        elif _modules.is_tensor(value):
            self.parameters.add_bare(component, ".".join(steps[1:]) or steps[0], value)
        elif isinstance(value, dict):
            within = _state.enter(value, path, within)
            for key, item in value.items():
                self._look(item, _state.child(path, key), component, (*steps, str(key)), within)
        elif isinstance(value, (list, tuple)) and not scalars(value):
            within = _state.enter(value, path, within)
            for index, item in enumerate(value):
                self._look(item, _state.child(path, index), component, (*steps, str(index)), within)

    def _new_component(self, wanted: str) -> str:
        """A component's name, safe for a file name and used once."""
        safe = re.sub(r"[^A-Za-z0-9_.-]", "_", wanted).replace("..", "__")
        if not safe[:1].isalnum():
            safe = "c" + safe
        name, again = safe, 1
        while name in self.components or name in ("state", "part"):
            again += 1
            name = f"{safe}_{again}"
        self.components.add(name)
        return name
