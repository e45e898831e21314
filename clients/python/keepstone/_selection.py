"""Which part of a checkpoint is taken, and under which names: `include`, `exclude` and `map`.

Names are what `keepstone inspect` shows: the component and the name of a tensor joined by a dot, `model.layers.0.weight`, `optimizer.layers.0.weight.exp_avg`; of
other values the keys on the way to them. A pattern chooses what it matches and everything below.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Optional, Union

from ._errors import Refused

Patterns = Union[None, str, Iterable[str]]
Renaming = Union[None, Mapping[str, str], Callable[[str], Optional[str]]]

_STEP = re.compile(r'\[("(?:[^"\\]|\\.)*"|[^\]]*)\]')


def dotted(path: str) -> str:
    """`state["model"]["0.weight"]` as `model.0.weight`."""
    steps = _STEP.findall(path)
    return ".".join(json.loads(step) if step[:1] == '"' else step for step in steps)


def _patterns(given: Patterns) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())


class Selection:
    """What `include` and `exclude` choose; without either, everything."""

    def __init__(self, include: Patterns = None, exclude: Patterns = None) -> None:
        self._include = None if include is None else _patterns(include)
        self._exclude = _patterns(exclude)
        self._unused = set(self._include or ()) | set(self._exclude)
        self.everything = include is None and not self._exclude

    def has(self, name: str) -> bool:
        """Whether the value of this dotted name is chosen."""
        if self.everything:
            return True
        parts = name.split(".")
        prefixes = [".".join(parts[: count + 1]) for count in range(len(parts))]
        excluded = self._any(self._exclude, prefixes)
        return (self._include is None or self._any(self._include, prefixes)) and not excluded

    def _any(self, patterns: list[str], names: list[str]) -> bool:
        found = False
        for pattern in patterns:
            if any(fnmatch.fnmatchcase(name, pattern) for name in names):
                self._unused.discard(pattern)
                found = True
        return found

    def require_matches(self, on: str) -> None:
        """Refuses a pattern that matched nothing: it is misspelt."""
        if self._unused:
            raise Refused(
                f"no name matches {', '.join(map(repr, sorted(self._unused)))}",
                on,
                "give names as keepstone inspect shows them: model, model.layers.*, optimizer.*.exp_avg",
            )


def selected(key: tuple[str, str], include: Patterns, exclude: Patterns) -> bool:
    """Whether a tensor, given by component and name, is chosen."""
    return Selection(include, exclude).has(".".join(key))


class Names:
    """The names that `map` gives to tensors of the checkpoint."""

    def __init__(self, renaming: Renaming) -> None:
        self._rules: list[tuple[re.Pattern[str], str]] = []
        self._function: Optional[Callable[[str], Optional[str]]] = None
        self.given = renaming is not None
        if isinstance(renaming, Mapping):
            for pattern, replacement in renaming.items():
                try:
                    self._rules.append((re.compile(pattern), replacement))
                except re.error as wrong:
                    raise Refused(f"map has no regular expression in {pattern!r}: {wrong}", "map=") from wrong
        elif callable(renaming):
            self._function = renaming
        elif renaming is not None:
            raise Refused(
                f"map is a {type(renaming).__name__}", "map=", "give a dict of regular expressions, or a function"
            )

    def of(self, name: str) -> Optional[str]:
        """The name in the live state of a stored tensor; None: it is not taken. The first expression that matches somewhere decides."""
        if self._function is not None:
            return self._function(name)
        for pattern, replacement in self._rules:
            new, count = pattern.subn(replacement, name)
            if count:
                return new
        return name


class Moves:
    """What `map` does to one checkpoint: tensors that have another name in the live state."""

    def __init__(self, names: Names, tree: Any, modules: Iterable[str]) -> None:
        self.taken: set[str] = set()
        self._leaves: dict[str, Any] = {}  # by new name
        self._gone: set[str] = set()
        self._relative: dict[str, str] = {}  # of parameters within their modules
        self._names = names
        if names.given:
            components = sorted(modules, key=len, reverse=True)
            for name, leaf in _tensors(tree, ()):
                self._move(name, names.of(name), leaf, components)

    def _move(self, name: str, new: Optional[str], leaf: Any, components: list[str]) -> None:
        if new == name:
            return
        self._gone.add(name)
        if new is None:
            return
        if new in self._leaves:
            raise Refused(f"map gives two tensors of the checkpoint the name {new!r}", name, "give each its own name")
        self._leaves[new] = leaf
        for component in components:
            if name.startswith(component + ".") and new.startswith(component + "."):
                self._relative[name[len(component) + 1 :]] = new[len(component) + 1 :]
                break

    def leaf(self, name: str) -> Any:
        """The leaf that was given this name, or None."""
        found = self._leaves.get(name)
        if found is not None:
            self.taken.add(name)
        return found

    def gone(self, name: str) -> bool:
        """Whether what stood under this name has another one now, or is not taken."""
        return name in self._gone

    def all_gone(self, node: Any, name: str) -> bool:
        """Whether all tensors of this part of the tree, which stands under this name, have other names now."""
        names = [one for one, _ in _tensors(node, (name,))]
        return bool(names) and all(one in self._gone for one in names)

    def below(self, name: str) -> bool:
        """Whether anything was given a name below this one."""
        return any(one.startswith(name + ".") for one in self._leaves)

    def left(self) -> list[str]:
        """New names that nothing in the state has."""
        return [name for name in self._leaves if name not in self.taken]

    def parameter(self, optimizer: str, name: str) -> Optional[str]:
        """The name of an optimizer's parameter: as `map` says of the optimizer, else as the parameter itself is called now."""
        if not self._names.given:
            return name
        new = self._names.of(f"{optimizer}.{name}")
        if new is None:
            return None
        if new != f"{optimizer}.{name}" and new.startswith(optimizer + "."):
            return new[len(optimizer) + 1 :]
        return self._relative.get(name, name)


def _tensors(node: Any, steps: tuple[str, ...]) -> Iterable[tuple[str, Any]]:
    """The tensors of a tree with their dotted names; optimizers, whose tensors follow their parameters, apart."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _tensors(item, (*steps, str(index)))
    if not isinstance(node, dict):
        return
    word = node.get("~")
    if word == "tensor":
        yield ".".join(steps), node
    elif word in ("tuple", "namedtuple"):
        yield from _tensors(node["v"], steps)
    elif word in ("dict", "odict", "counter", "ddict"):
        for key, item in node["v"]:
            yield from _tensors(item, (*steps, str(key)))
    elif word is None and not ("state" in node and "param_groups" in node):
        for key, item in node.items():
            yield from _tensors(item, (*steps, key))
