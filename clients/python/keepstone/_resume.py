"""The road of a restore: which checkpoint, through the agent or from the store itself, and what is done where it is damaged."""

from __future__ import annotations

import json
import logging
import os
from typing import Any, NamedTuple, Optional

from . import _dtypes, _rng, _sources, _state
from ._errors import Busy, IntegrityError, KeepstoneError, NotFound, Refused
from ._load import first_whole, read_tensors
from ._ranks import Ranks
from ._restore import Filling
from ._results import Restored
from ._selection import Names, Patterns, Renaming, Selection
from ._session import Session
from ._store import Id, Run, read_object, resolve
from ._targets import Key, Stored, stored_tensors
from ._wire import ConnectionLost

_log = logging.getLogger("keepstone")

# Choices that mean another checkpoint when the one they meant turns out damaged.
_FALLS_BACK = ("latest", "must", "best", "last-good")
# How often a restore that was too slow for the ranks it shares a reading with begins again; alone, it cannot be too slow.
_OPENINGS = 3
# How long ranks wait for the slowest one's bytes.
_MEETING_SECONDS = 3600.0


class Taken(NamedTuple):
    """What of a checkpoint a restore takes."""

    strict: bool = True
    include: Patterns = None
    exclude: Patterns = None
    map: Renaming = None
    rng: bool = True


class Outcome(NamedTuple):
    """A restore as far as the bytes are there and nothing is handed over yet."""

    filling: Filling
    tree: dict[str, Any]
    about: dict[str, Any]  # id, step, metrics; of an agent also world and others
    source: str


class Resume:
    """One call of `restore`."""

    def __init__(
        self, store: str, run: str, state: dict[Any, Any], wanted: str, taken: Taken, ranks: Optional[Ranks] = None
    ) -> None:
        self._store, self._run, self._state, self._wanted, self._taken = store, run, state, wanted, taken
        self._ranks = ranks

    def through(self, session: Session) -> Optional[Restored]:
        """Restores the parent of this start; where that turns out damaged, of one that goes on from the checkpoint before.

        All ranks restore the same: where one finds damage, all leave that start and meet in the next.
        """
        damage: list[str] = []
        while True:
            answer = session.start(self._wanted)
            passed = [f"passed over {_words(one)}" for one in answer.get("skipped", ())]
            parent = answer["parent"]
            if parent is None:
                for warning in damage + passed:
                    _log.warning("keepstone: %s", warning)
                return None
            try:
                found = self._agreed(session, parent, len(damage))
            except IntegrityError as damaged:
                # The agent has written down what it found, so that the next start passes this one over. Who asked for this very one gets no other.
                if self._wanted not in _FALLS_BACK:
                    raise
                session.fall_back(parent)
                if session.start(self._wanted)["parent"] == parent:
                    raise
                damage.append(f"checkpoint {parent} is damaged, an earlier one is restored instead: {damaged.what} ({damaged.on})")
                continue
            return self._hand_over(found, damage or passed)

    def _agreed(self, session: Session, parent: str, attempt: int) -> Outcome:
        """What this rank got of the checkpoint, once all ranks got theirs. Damage that one found is raised by all."""
        found, word = None, _WHOLE
        occasion = f"the restore of {parent}, attempt {attempt + 1} of this start"
        try:
            try:
                found = self._opened(session, parent)
            except ConnectionLost:  # the agent died in the middle; another one begins from the beginning
                found = self._opened(session, parent)
        except IntegrityError as damaged:
            if self._ranks is None or not self._ranks.can_agree:
                raise
            word = json.dumps([damaged.what, damaged.on, damaged.next])
        except KeepstoneError as failed:
            if self._ranks is not None:
                self._ranks.give_up(occasion, failed.what)
            raise
        if self._ranks is not None and self._ranks.can_agree:
            word = self._ranks.agree(occasion, word, _first_damage, _MEETING_SECONDS)
        if word != _WHOLE:
            raise IntegrityError(*json.loads(word))
        assert found is not None
        return found

    def _opened(self, session: Session, id: str) -> Outcome:
        answer = session.open(id)
        try:
            tensors = _sources.listed(answer["tensors"])
            tree = answer["state"]
            filling = self._filling(tensors, tree, f"{os.path.join(self._store, self._run)}@{id}")
            others = answer.get("others")
            if others is not None:
                filling.merge_loaders(others)
            from_memory = _filled(session, id, tensors, filling)
            return Outcome(filling, tree, answer, "memory" if from_memory else "store")
        finally:
            session.done()

    def _filling(self, tensors: dict[Key, Stored], tree: dict[str, Any], on: str, warm: bool = False) -> Filling:
        taken = self._taken
        filling = Filling(tensors, Selection(taken.include, taken.exclude), Names(taken.map), warm)
        filling.begin(self._state, tree)
        filling.check(taken.strict, on)
        return filling

    def alone(self) -> Optional[Restored]:
        """`on_no_agent="warn"`: training must not start over in silence, so the store is read directly."""
        if self._wanted == "fresh":
            return None
        try:
            read_object(os.path.join(self._store, "keepstone.json"), "store")
            run = Run(self._store, self._run)
            found = run.candidates("latest" if self._wanted == "must" else self._wanted)
        except (NotFound, FileNotFoundError):
            if self._wanted == "latest":
                return None
            raise

        def restore(id: Id) -> Restored:
            return self._hand_over(self._read(run, id, f"{os.path.join(self._store, self._run)}@{id}"), [])

        return first_whole(found, restore)

    def _read(self, run: Run, id: Id, on: str, warm: bool = False) -> Outcome:
        """Fills what is wanted straight from the files of a store."""
        checkpoint = run.checkpoint(id)
        tensors = stored_tensors(checkpoint.pieces())
        world, rank = len(checkpoint.parts), 0
        about: dict[str, Any] = {"id": str(id), "step": id.step, "metrics": checkpoint.manifest.get("metrics", {})}
        if self._ranks is not None and world == self._ranks.world:
            rank = self._ranks.rank
        elif not warm:
            about["others"] = [checkpoint.tree(other).get("keepstone", {}) for other in range(world)]
        tree = checkpoint.tree(rank)
        filling = self._filling(tensors, tree, on, warm)
        if "others" in about:
            filling.merge_loaders(about["others"])
        read_tensors(checkpoint, tensors, filling.wanted)
        return Outcome(filling, tree, about, "store")

    def warm(self, reference: str) -> Restored:
        """Fills a fresh start from another run: what it learnt, and nothing of where it was. Its step is 0."""
        if not _is_reference(reference):
            raise Refused(
                "this is no checkpoint in a store of Keepstone",
                reference,
                "give STORE/RUN@WHICH; keepstone import brings checkpoints of other formats into a store",
            )
        run, found = resolve(reference)

        def restore(id: Id) -> Restored:
            filling = self._read(run, id, f"{reference} ({id})", warm=True).filling
            _log.info("keepstone: a fresh start, filled from %s of %s", id, reference)
            return Restored(
                step=0, id=str(id), metrics={}, source="store", state=filling.finish(),
                missing=filling.missing, unexpected=filling.unexpected, mismatched=filling.mismatched,
            )  # fmt: skip

        return first_whole(found, restore)

    def _hand_over(self, found: Outcome, before: list[str]) -> Restored:
        filling, about = found.filling, found.about
        state = filling.finish()
        beside = found.tree.get("keepstone", {})
        metrics = _state.decode(about.get("metrics") or {}, "metrics", _no_tensor)
        warnings = list(before)
        torch = _dtypes.torch()
        threads = _state.decode(beside.get("threads"), "threads", _no_tensor)
        if torch is not None and threads is not None and threads != torch.get_num_threads():
            warnings.append(
                f"saved with {threads} torch threads, running with {torch.get_num_threads()}: results may differ in their last bits"
            )
        random_state = None
        if self._taken.rng and "rng" in beside:
            random_state = _state.decode(beside["rng"], "rng", _no_tensor)
            if "others" in about:
                rank, world = (0, 1) if self._ranks is None else (self._ranks.rank, self._ranks.world)
                random_state = _rng.seeded(json.dumps(about["others"][0].get("rng")), about["step"], rank)
                warnings.append(
                    f"saved by {len(about['others'])} ranks, running with {world}: random state is seeded anew, from that of rank 0, the step and this rank"
                )
        warnings += filling.merged
        for loader in filling.loaders:
            warnings += loader.resume_with(random_state)
        if random_state is not None:  # last: everything before may draw
            warnings += _rng.apply(random_state)
        if self._ranks is None or self._ranks.rank == 0:  # all ranks have the same to tell
            for warning in warnings:
                _log.warning("keepstone: %s", warning)
        return Restored(
            step=about["step"],
            id=about["id"],
            metrics=metrics,
            source=found.source,
            state=state,
            missing=filling.missing,
            unexpected=filling.unexpected,
            mismatched=filling.mismatched,
            warnings=warnings,
        )


# What a rank says that got everything; else it says what is damaged.
_WHOLE = "whole"


def _first_damage(words: list[str]) -> str:
    return next((word for word in words if word != _WHOLE), _WHOLE)


def _filled(session: Session, id: str, tensors: dict[Key, Stored], filling: Filling) -> bool:
    """Gets the bytes of what is wanted; whether all of them came from memory."""
    for opening in range(_OPENINGS):
        try:
            answer = session.want(_sources.request(tensors, filling.wanted))
            return _sources.fill(answer, session.next, tensors, filling.wanted)
        except Busy:
            # Other ranks read along, and this one was too slow for them: it reads alone.
            if opening == _OPENINGS - 1:
                raise
            session.open(id)
    raise AssertionError("unreachable")


def _is_reference(reference: str) -> bool:
    """Whether this names something in a store, or a place that looks like one; what is missing there is said better by who looks."""
    place = os.path.abspath(reference.partition("@")[0])
    while not os.path.isfile(os.path.join(place, "keepstone.json")):
        if os.path.isfile(place):
            return False
        if place == os.path.dirname(place):
            return not os.path.isdir(reference)
        place = os.path.dirname(place)
    return True


def _words(passed: Any) -> str:
    return (
        f"{passed.get('id')}: {passed.get('why') or passed.get('reason')}" if isinstance(passed, dict) else str(passed)
    )


def _no_tensor(leaf: dict[str, Any], path: str) -> Any:
    raise IntegrityError("a tensor stands where only plain values may", path)
