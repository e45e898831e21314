"""Planning a state: from what the user put into a dict to named pieces and a state tree with holes."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from . import _dtypes, _rng, _state
from ._builder import Builder
from ._cuts import Cuts
from ._errors import Refused
from ._frozen import Frozen
from ._load import pruned
from ._loader import Loader
from ._nodes import Changed, Holes
from ._owners import Owners
from ._selection import Patterns, selected


class Piece(NamedTuple):
    """What is stored of one tensor: the whole, or the box at `offset` of `extent`. `kind` says what it is copied from; a `frozen` one is captured once."""

    component: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    kind: str
    frozen: bool
    offset: tuple[int, ...]
    extent: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return _dtypes.size_of(self.dtype, self.extent)


class Asked(NamedTuple):
    """What a plan follows: the trainer's wishes, and the ranks that it has to agree with (`occasion` names the save, which all of them make)."""

    rng: bool = True
    frozen: Optional[Frozen] = None
    include: Patterns = None
    exclude: Patterns = None
    owners: Owners = Owners()
    occasion: str = ""
    seconds: float = 0.0


class Plan:
    """The planned form of one state.

    `pieces` are what this rank writes, in the order of what `collect` gives; `template` the state tree with holes, which names what other ranks write too;
    `changing_bytes` are copied by every save; `configs` the configurations of modules; `loaders` the data loaders that remember their position.
    """

    def __init__(self, state: dict[Any, Any], asked: Asked) -> None:
        owners = asked.owners
        frozen = asked.frozen or Frozen()
        builder = Builder(state, frozen, owners.rank if owners.world > 1 else None)
        self._root = builder.root()
        frozen.require_matches(builder.freezable)
        entries = builder.entries
        holding = owners.compare(entries, asked.occasion, asked.seconds)
        for optimizer in builder.optimizers:
            optimizer.complete(holding.partial)
        kept = {entry.key for entry in entries if selected(entry.key, asked.include, asked.exclude)}
        chosen = [one for one in owners.choose(entries, holding) if entries[one[0]].key in kept]
        self.pieces: list[Piece] = []
        for index, number in chosen:
            entry = entries[index]
            box = None if entry.spread is None else entry.spread.boxes[number]
            offset = (0,) * len(entry.shape) if box is None else box.offset
            extent = entry.shape if box is None else box.extent
            self.pieces.append(Piece(*entry[:6], offset, extent))
        self.changing_bytes = sum(piece.bytes for piece in self.pieces if not piece.frozen)
        self._cuts = Cuts(entries, builder.parts, chosen)
        # Bytes have neither type nor shape.
        formed = [index for index, entry in enumerate(entries) if entry.kind != "bytes"]
        self._formed = None if len(formed) == len(entries) else formed
        self._shapes: Optional[list[Any]] = None
        self._dtypes: list[Any] = []
        self._rng = asked.rng
        self.configs: dict[str, Any] = builder.configs
        self.loaders: list[Loader] = builder.loaders
        holes = Holes()
        tree = self._root.tree(holes)
        if asked.include is not None or asked.exclude is not None:
            others = {key for key in holding.partial if selected(key, asked.include, asked.exclude)}
            tree = pruned(tree, kept | others)
        keepstone: dict[str, Any] = {"rng": holes.next()} if asked.rng else {}
        keepstone["threads"] = holes.next()
        keepstone["modules"] = builder.modules
        if self.loaders:
            keepstone["loaders"] = holes.next()
        self.template = {"state": tree, "keepstone": keepstone}

    def collect(self, state: dict[Any, Any]) -> tuple[list[Any], list[Any]]:
        """What to copy for each piece, and the values of the holes. Raises `Changed` where it is not the planned one."""
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
        self._look_at(tensors)
        if self._rng:
            values.append(_state.encode(_rng.snapshot(), "rng"))
        torch = _dtypes.torch()
        values.append(torch.get_num_threads() if torch is not None else None)
        if self.loaders:
            values.append(_state.encode({loader.name: loader.where() for loader in self.loaders}, "loaders"))
        return self._cuts.of(tensors), values

    def _look_at(self, tensors: list[Any]) -> None:
        """That types and shapes are the planned ones, of all tensors at once: alone, each look costs several times as much."""
        found = tensors if self._formed is None else [tensors[index] for index in self._formed]
        shapes, dtypes = [tensor.shape for tensor in found], [tensor.dtype for tensor in found]
        if self._shapes is None:
            self._shapes, self._dtypes = shapes, dtypes
        elif shapes != self._shapes or dtypes != self._dtypes:
            raise Changed("a tensor's type or shape")

    def same_layout(self, other: Plan) -> bool:
        """Whether what is registered for the other serves this one too."""
        return self.pieces == other.pieces and self.template == other.template and self.configs == other.configs


def plan(state: Any, asked: Asked) -> tuple[Plan, list[Any], list[Any]]:
    """Plans a state and collects it once, so that what cannot be represented is refused before anything is written."""
    if type(state) is not dict:
        raise Refused(
            "the state must be a dict of what belongs to the checkpoint",
            f"a {type(state).__name__}",
            'pass {"model": model, …}',
        )
    made = Plan(state, asked)
    try:
        return (made, *made.collect(state))
    except Changed as where:
        raise Refused(
            "a tensor lies where only plain values can be kept", str(where), "keep tensors in dicts, lists and tuples"
        ) from where
