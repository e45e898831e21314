"""Putting a checkpoint back into a live state.

Two passes. `Filling` first goes through state and tree together and notes what is missing, unexpected or mismatched, which tensor goes where, and what is to be
done afterwards; nothing is touched. When the bytes of all wanted tensors can be had, `finish` hands them over. Tensors are filled in place; what
has to be new is new memory of the trainer's, never a view of a segment, because optimizers keep and train the tensors they are given.
"""

from __future__ import annotations

import collections
import sys
from collections.abc import Iterator
from typing import Any, Callable, Optional

from . import _dtypes, _modules, _optimizers, _state
from ._errors import Refused
from ._generators import GeneratorState
from ._landing import landing, made_like
from ._loader import Loader
from ._selection import Moves, Names, Selection, dotted
from ._shards import is_spread
from ._survey import Survey
from ._targets import Key, Stored, Wanted, is_array, new_tensor, whole

Finish = Callable[[], Any]


class Filling:
    """The first pass over state and tree; `wanted` says which memory each stored tensor goes to.

    `selection` and `names` are what the caller takes of the checkpoint, and under which names. With `warm`, what belongs to the run that is read and not to
    one that begins from it is left out: loaders.
    """

    def __init__(
        self,
        tensors: dict[Key, Stored],
        selection: Optional[Selection] = None,
        names: Optional[Names] = None,
        warm: bool = False,
    ) -> None:
        self.tensors = tensors
        self.wanted: Wanted = {}
        self.missing: list[str] = []
        self.unexpected: list[str] = []
        self.mismatched: list[str] = []
        self.parameters = _modules.ParameterNames()
        self.loaders: list[Loader] = []
        self.merged: list[str] = []  # what became of rank-local state on another number of ranks
        self._positions: list[tuple[Loader, int]] = []
        self._selection, self._names, self._warm = selection or Selection(), names or Names(None), warm
        self.moves = Moves(self._names, {}, ())
        self._members: dict[str, Any] = {}  # of each module by path: its component, and what it holds
        self._made: dict[int, Any] = {}  # by id of the leaf in the tree
        self._landed: dict[tuple[int, Key], Finish] = {}
        self._finish: Finish = lambda: None

    def begin(self, state: dict[Any, Any], tree: Any) -> None:
        """Goes through the live state and the tree of a checkpoint."""
        survey = Survey(state)
        self.parameters, self._members = survey.parameters, survey.members
        self.loaders = [one for one in survey.loaders if self.chosen(f'state["{one.name}"]')]
        saved = tree.get("state", {})
        self.moves = Moves(self._names, saved, tree.get("keepstone", {}).get("modules", {}))
        self._finish = self._fill_dict(state, saved, "state", root=True)
        self.unexpected += [f"{name} (so named by map)" for name in self.moves.left() if self._selection.has(name)]

    def check(self, strict: bool, on: str) -> None:
        """With `strict`, refuses a state that is not exactly the saved one, as far as it is chosen."""
        self._selection.require_matches(on)
        found = {"missing": self.missing, "unexpected": self.unexpected, "mismatched": self.mismatched}
        if not strict or not any(found.values()):
            return
        counts = ", ".join(f"{len(wrong)} {kind}" for kind, wrong in found.items())
        words = {"missing": "missing in the checkpoint: ", "unexpected": "not in this state: ", "mismatched": ""}
        lines = []
        for kind, wrong in found.items():
            lines += [words[kind] + one for one in wrong[:10]]
            lines += [f"… and {len(wrong) - 10} more {kind}"] if len(wrong) > 10 else []
        raise Refused(
            f"the checkpoint does not fit this state ({counts}):\n  " + "\n  ".join(lines),
            on,
            "build the state as it was saved; include= and exclude= choose a part, map= renames, strict=False takes what fits",
        )

    def finish(self) -> Any:
        """After the wanted memory is filled: hands everything over and returns the state."""
        state = self._finish()
        for loader, position in self._positions:
            loader.move_to(position)
        return state

    def merge_loaders(self, saved: list[dict[str, Any]]) -> None:
        """Loaders that other ranks saved, of whom `saved` has the client's own part of each tree."""
        for loader in self.loaders:
            found = [one.get("loaders", {}).get(loader.name) for one in saved]
            if any(one is None for one in found):
                continue  # not there, which is noted as missing
            where = [_state.decode(one, f"loader {loader.name}", self._take) for one in found]
            position = loader.merge(where)
            if position is not None:
                self._positions.append((loader, position))
                self.merged.append(
                    f'state["{loader.name}"]: {len(saved)} ranks had consumed {where[0]["position"]} batches of {where[0]["batch"]} each; it goes on at batch {position}'
                )

    def chosen(self, path: str) -> bool:
        """Whether the value at this path is one of those to be restored."""
        return self._selection.everything or self._selection.has(dotted(path))

    def fill(self, value: Any, node: Any, path: str) -> Finish:
        """Plans one value; the function returned gives what stands in its place afterwards."""
        if _modules.is_module(value):
            return self._fill_module(value, node, path)
        if _modules.is_optimizer(value) and _modules.is_plain_optimizer(value):
            return _optimizers.fill(self, value, node, path)
        if isinstance(value, Loader) and self._warm:
            return lambda: value
        if isinstance(value, (dict, list, tuple)):
            fill = self._fill_dict if isinstance(value, dict) else self._fill_sequence
            return fill(value, node, path)
        if not self.chosen(path):
            return lambda: value
        if _modules.is_tensor(value) or is_spread(value) or is_array(value):
            return self._fill_tensor(value, node, path)
        if _state.is_stateful(value):
            return self._load(value, node, path)
        if GeneratorState.is_generator(value):
            return self._fill_generator(value, node, path)
        return self.new(node, path)

    def _fill_tensor(self, value: Any, node: Any, path: str) -> Finish:
        if self._names.given:
            node = self.moves.leaf(dotted(path)) or node
        if word_of(node) != "tensor":
            return self.mismatch(value, path, "a tensor here, another kind of value in the checkpoint")
        return self.want_into(value, node, path)

    def want_into(self, value: Any, node: Any, path: str) -> Finish:
        """Notes that a live tensor or array takes a stored one, or that they do not fit."""
        key = (node["component"], node["name"])
        stored = self.stored(key, path)
        found = landing(value)
        assert found is not None
        if not found.fits(stored):
            here = f"{found.dtype or value.dtype} {list(found.shape)}"
            here += "" if found.writable else ", which cannot be written"
            return self.mismatch(value, path, f"{here} here, {stored.dtype} {list(stored.shape)} in the checkpoint")
        known = self._landed.get((id(value), key))
        if known is None:  # tied ones are filled once
            known = self._landed[id(value), key] = found.finish
            self.wanted.setdefault(key, []).extend(found.targets)
        return known

    def stored(self, key: Key, path: str) -> Stored:
        """The tensor that a leaf of the tree names."""
        stored = self.tensors.get(key)
        if stored is None:
            raise Refused(f"the state tree names a tensor {'.'.join(key)} that the checkpoint does not hold", path)
        return stored

    def _fill_module(self, module: Any, node: Any, path: str) -> Finish:
        if not _modules.is_plain_module(module):
            return self._load(module, node, path, _modules.canonical_names(list(module.state_dict())))
        if word_of(node) is not None or not isinstance(node, dict):
            if not self.chosen(path):
                return lambda: module
            return self.mismatch(module, path, "a module here, another kind of value in the checkpoint")
        _modules.settle(module)
        component, members = self._members[path]
        seen: set[str] = set()
        for member in members:
            seen.add(member.name)
            place = _state.child(path, member.name)
            if not self.chosen(place):
                continue
            leaf = self._leaf_of(node, member.name, place)
            if leaf is None and member.kept != member.name and self._leaf_of(node, member.kept, _state.child(path, member.kept)) is not None:
                continue  # tied here, and not listed where it was saved
            elsewhere = leaf is None and (component, member.kept) in self.tensors
            if elsewhere and not (self._names.given and self.moves.gone(dotted(place))):
                # Another rank's part of a pipeline, which this rank's tree does not name.
                leaf = {"~": "tensor", "component": component, "name": member.kept}
            if leaf is None or word_of(leaf) != "tensor":
                self.missing.append(place)
            else:
                self.want_into(member.tensor, leaf, place)
        stored_names = {leaf["name"] for name, leaf in node.items() if name in seen and word_of(leaf) == "tensor"}
        for name, leaf in node.items():
            if name not in seen and not (word_of(leaf) == "tensor" and leaf["name"] in stored_names):
                self.extra(_state.child(path, name))
        return lambda: module

    def _leaf_of(self, node: dict[str, Any], name: str, path: str) -> Any:
        """What a module's tensor of this name was saved as: what `map` calls so, else what was called so."""
        if not self._names.given:
            return node.get(name)
        place = dotted(path)
        moved = self.moves.leaf(place)
        return moved if moved is not None else None if self.moves.gone(place) else node.get(name)

    def parameter(self, path: str, name: str) -> Optional[str]:
        """What a saved parameter of the optimizer at `path` is called in the live state; None: it is not taken."""
        return self.moves.parameter(dotted(path), name)

    def extra(self, path: str) -> None:
        """Notes something of the checkpoint that this state lacks, unless it was not asked for or goes elsewhere."""
        if self.chosen(path) and not (self._names.given and self.moves.gone(dotted(path))):
            self.unexpected.append(path)

    def _load(self, value: Any, node: Any, path: str, names: Optional[dict[str, str]] = None) -> Finish:
        """An object that takes its state whole."""
        if names is not None and isinstance(node, dict) and word_of(node) is None:
            canonical = set(names.values())
            node = {name: item for name, item in node.items() if self.chosen(_state.child(path, name))}
            self.missing += [
                _state.child(path, name)
                for name in canonical
                if name not in node and self.chosen(_state.child(path, name))
            ]
            for name in node:
                if name not in canonical:
                    self.extra(_state.child(path, name))
        elif not self.chosen(path):
            return lambda: value
        # Asked for its state only where that may be distributed: there are loaders that start their workers for it.
        spread = "torch.distributed.tensor" in sys.modules and any(True for _ in _leaves(node, ()))
        new = self.new(node, path, like=value.state_dict() if spread else None)

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
        if word_of(node) != "generator":
            return self.mismatch(value, path, "a generator here, another kind of value in the checkpoint")

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
        if not root and (pairs is None or not _holds_live(value)):
            if not self.chosen(path):
                return lambda: value
            new = self.new(node, path)
            return new if pairs is None else lambda: _replace_dict(value, new())
        fills: list[tuple[Any, Finish]] = []
        saved: dict[Any, Any] = {}
        for key_node, item in pairs or ():
            saved[_state.decode(key_node, path, self._take)] = item
        for key, current in value.items():
            place = _state.child(path, key)
            name = dotted(place) if self._names.given else ""
            if name and (self.moves.leaf(name) is not None or self.moves.below(name)):
                fills.append((key, self.fill(current, saved.get(key, {}), place)))
            elif key in saved and not self.moves.gone(name):
                fills.append((key, self.fill(current, saved[key], place)))
            elif self.chosen(place) and not (self._warm and isinstance(current, Loader)):
                self.missing.append(place)
        for key, item in saved.items():
            place = _state.child(path, key)
            if key not in value and not (self._names.given and self.moves.all_gone(item, dotted(place))):
                self.extra(place)

        def finish() -> Any:
            for key, fill in fills:
                value[key] = fill()
            return value

        return finish

    def _fill_sequence(self, value: Any, node: Any, path: str) -> Finish:
        items = node if type(node) is list else node.get("v") if word_of(node) in ("tuple", "namedtuple") else None
        if items is None or not _holds_live(value):
            new = self.new(node, path)
            return (lambda: _replace_list(value, new())) if type(value) is list else new
        if len(items) != len(value):
            return self.mismatch(value, path, f"{len(value)} members here, {len(items)} in the checkpoint")
        fills = [
            self.fill(item, saved, _state.child(path, index)) for index, (item, saved) in enumerate(zip(value, items))
        ]

        def finish() -> Any:
            new = [fill() for fill in fills]
            if type(value) is list:
                value[:] = new
                return value
            return tuple.__new__(type(value), new)

        return finish

    def new(self, node: Any, path: str, device: Any = None, like: Any = None) -> Finish:
        """A value made anew from the tree, with tensors of its own; distributed ones in the layout of those in `like`, where these are the same."""
        for place, leaf in _leaves(node, ()):
            key = (leaf["component"], leaf["name"])
            stored = self.stored(key, path)
            found = None if like is None else landing(made_like(_at(like, place), stored))
            if found is None or not found.fits(stored):
                made = new_tensor(stored, leaf.get("like"), device)
                self._made[id(leaf)] = made
                self.wanted.setdefault(key, []).append(whole(stored, made))
            else:
                self._made[id(leaf)] = found.finish()
                self.wanted.setdefault(key, []).extend(found.targets)
        return lambda: _state.decode(node, path, self._take)

    def _take(self, leaf: Any, path: str) -> Any:
        made = self._made[id(leaf)]
        if leaf.get("like") == "bytes":
            return bytes(made)
        return _dtypes.torch().nn.Parameter(made) if leaf.get("parameter") and _modules.is_tensor(made) else made

    def mismatch(self, value: Any, path: str, why: str) -> Finish:
        self.mismatched.append(f"{path}: {why}")
        return lambda: value


def word_of(node: Any) -> Optional[str]:
    return node.get("~") if isinstance(node, dict) else None


def _pairs(node: Any) -> Optional[list[Any]]:
    """Keys and values of a mapping's node, or None where it is none."""
    word = word_of(node)
    if word in ("dict", "odict", "counter", "ddict"):
        return list(node["v"])
    return [[key, item] for key, item in node.items()] if isinstance(node, dict) and word is None else None


def _leaves(node: Any, steps: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The tensor leaves of a tree with the keys and indexes that lead to them."""
    kind = word_of(node)
    if kind == "tensor":
        yield steps, node
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _leaves(item, (*steps, index))
    elif kind in ("tuple", "namedtuple"):
        yield from _leaves(node["v"], steps)
    elif isinstance(node, dict):
        pairs = _pairs(node)
        for key, item in node.items() if pairs is None else [*pairs, ["attrs", node.get("attrs") if kind else None]]:
            if isinstance(item, (dict, list)):
                yield from _leaves(item, (*steps, key))


def _at(value: Any, steps: tuple[Any, ...]) -> Any:
    """What stands at the end of these keys and indexes in a live value, or None."""
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _holds_live(value: Any) -> bool:
    """Whether a container of the state holds anything that is filled in place."""
    if isinstance(value, dict):
        return any(_holds_live(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds_live(item) for item in value)
    return (
        _modules.is_tensor(value)
        or is_array(value)
        or is_spread(value)
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
