"""A data loader that remembers its position.

`DataLoader` has no state and `iter()` itself draws random numbers, so restoring random state and skipping batches do not give the same data. What does:
the random state of the epoch's start, then the position, then the random state of the save.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Optional

from . import _rng
from ._errors import Refused
from ._generators import GeneratorState
from ._state import is_stateful


def _is_torch_loader(value: Any) -> bool:
    data = sys.modules.get("torch.utils.data")
    return data is not None and isinstance(value, data.DataLoader)


def refuse_bare_loader(value: Any, path: str) -> None:
    """A `DataLoader` without state in the state would silently start over."""
    if _is_torch_loader(value) and not is_stateful(value):
        raise Refused(
            "a DataLoader has no state of its own",
            path,
            "wrap it: keepstone.Loader(DataLoader(…)), and iterate over the wrapper",
        )


class Loader:
    """Wraps a `DataLoader` (or any re-iterable) and counts the batches handed to the trainer.

    Put it into the state and iterate over it instead of the wrapped loader. After a restore the next `iter()` re-creates the epoch of the save, skips
    to its position and goes on from there.
    """

    def __init__(self, loader: Any) -> None:
        if is_stateful(loader):
            raise Refused(
                "this loader keeps its own position",
                f"a {type(loader).__name__}",
                "put it into the state as it is, without keepstone.Loader",
            )
        if iter_is_loader(loader):
            raise Refused(
                "an iterator cannot start an epoch again", f"a {type(loader).__name__}", "wrap the DataLoader itself"
            )
        self.loader = loader
        self.name = "loader"
        self._epoch = 0  # epochs begun
        self._position: Optional[int] = None  # batches handed out in the epoch that is under way
        self._epoch_state: dict[str, Any] = {}  # random state before iter()
        self._resume = False
        self._save_state: Optional[dict[str, Any]] = None
        self._after_skip: list[Any] = []

    @property
    def in_epoch(self) -> bool:
        """Whether an epoch is under way."""
        return self._position is not None

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # not set yet, as in a copy
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __iter__(self) -> Iterator[Any]:
        if self._resume:
            return _Epoch(self, self._again())
        self._start_workers(self._epoch)
        self._epoch_state = self._random_state()
        self._epoch += 1
        self._position = 0
        return _Epoch(self, iter(self.loader))

    def state_dict(self) -> dict[str, Any]:
        """The position and the random states that re-create it; the generators' own states where no epoch is under way."""
        state: dict[str, Any] = {
            "epoch": self._epoch,
            "position": self._position,
            "generators": self._generator_states(),
        }
        if self._position is not None:
            state["epoch_start"] = self._epoch_state
        sampler_epoch = self._sampler_epoch()
        if sampler_epoch is not None:
            state["sampler_epoch"] = sampler_epoch
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes a position; it comes into force with the next `iter()`."""
        if len(state["generators"]) != len(self._generators()):
            raise Refused(
                f"the saved loader had {len(state['generators'])} random generators of its own, this one has {len(self._generators())}",
                f'state["{self.name}"]',
                "build the loader as it was when it was saved",
            )
        self._epoch, self._position = state["epoch"], state["position"]
        self._resume = self._position is not None
        self._epoch_state = state.get("epoch_start", {})
        self._apply_generators(state["generators"])
        if "sampler_epoch" in state and self._sampler_epoch() is not None:
            self.loader.sampler.set_epoch(state["sampler_epoch"])
        self._after_skip = state["generators"]

    def where(self) -> dict[str, Any]:
        """Where this rank's loader stands, for a restore on another number of ranks."""
        return {"epoch": self._epoch, "position": self._position, "batch": self._batch(), "replicas": self._replicas()}

    def merge(self, saved: list[dict[str, Any]]) -> Optional[int]:
        """The position here that goes on behind all samples that the ranks that saved had handed out; None between epochs.

        Exact where every rank's sampler takes its part of one common order, as `DistributedSampler` does; all else is refused.
        """
        positions = [one["position"] for one in saved]
        if all(position is None for position in positions):
            return None
        on, first = f'state["{self.name}"]', saved[0]
        if any(one != first for one in saved):
            raise self._cannot(on, f"the ranks that saved stood at different batches ({positions})")
        batch, replicas = self._batch(), self._replicas()
        if batch is None or replicas is None or None in (first["batch"], first["replicas"]):
            raise self._cannot(on, "its sampler is not a part of one common order, as that of DistributedSampler")
        consumed, each = first["position"] * first["batch"] * first["replicas"], batch * replicas
        if consumed % each:
            raise self._cannot(on, f"{consumed} samples of the epoch are consumed, which is no multiple of {each} = {batch} x {replicas} ranks")
        return int(consumed // each)

    def _cannot(self, on: str, why: str) -> Refused:
        return Refused(
            f"the position of a loader does not carry over to another number of ranks: {why}",
            on,
            f'leave it out and begin the epoch anew: restore(state, exclude="{self.name}"); or save at the end of an epoch',
        )

    def move_to(self, position: int) -> None:
        """Takes another position for the one that was restored."""
        self._position = position

    def _batch(self) -> Optional[int]:
        size = getattr(self.loader, "batch_size", None)
        return size if isinstance(size, int) else None

    def _replicas(self) -> Optional[int]:
        replicas = getattr(getattr(self.loader, "sampler", None), "num_replicas", None)
        return replicas if isinstance(replicas, int) else None

    def resume_with(self, save_state: Optional[dict[str, Any]]) -> list[str]:
        """The random state of the save, to be set after skipping; returns what may not come back exactly, in words."""
        self._save_state = save_state if self._resume else None
        if getattr(self.loader, "persistent_workers", False) and self._epoch > 1:
            return [
                f'state["{self.name}"]: persistent workers were started in an earlier epoch; data that they draw at random '
                "(augmentation) will differ from the uninterrupted run's"
            ]
        return []

    def _again(self) -> Iterator[Any]:
        self._resume = False
        now = self._save_state if self._save_state is not None else _rng.snapshot()
        self._save_state = None
        self._start_workers(self._epoch - 1)
        _rng.apply(self._epoch_state["process"])
        self._apply_generators(self._epoch_state["generators"])
        batches: Iterator[Any] = iter(self.loader)
        for skipped in range(self._position or 0):
            try:
                next(batches)
            except StopIteration:
                raise Refused(
                    f"the saved position is batch {self._position}, but the epoch ended after {skipped}",
                    f'state["{self.name}"]',
                    "restore with the data and batch size of the save",
                ) from None
        _rng.apply(now)
        self._apply_generators(self._after_skip)
        return batches

    def _start_workers(self, epochs: int) -> None:
        """Persistent workers that an earlier epoch would have started: their start draws a seed, and later epochs draw none."""
        if not epochs or not getattr(self.loader, "persistent_workers", False) or self.loader._iterator is not None:
            return
        before = self._random_state()
        iter(self.loader)
        _rng.apply(before["process"])
        self._apply_generators(before["generators"])

    def _random_state(self) -> dict[str, Any]:
        return {"process": _rng.snapshot(), "generators": self._generator_states()}

    def _generators(self) -> list[Any]:
        """Generators of the loader's own: the loader's, its sampler's, its batch sampler's, each once."""
        batch_sampler = getattr(self.loader, "batch_sampler", None)
        places = (
            self.loader,
            getattr(self.loader, "sampler", None),
            batch_sampler,
            getattr(batch_sampler, "sampler", None),
        )
        found: list[Any] = []
        for place in places:
            generator = getattr(place, "generator", None)
            if GeneratorState.of_generator(generator) is not None and not any(generator is one for one in found):
                found.append(generator)
        return found

    def _generator_states(self) -> list[Optional[GeneratorState]]:
        return [GeneratorState.of_generator(generator) for generator in self._generators()]

    def _apply_generators(self, states: list[Any]) -> None:
        for generator, saved in zip(self._generators(), states):
            state = GeneratorState.of_generator(saved)
            if state is not None:
                state.into(generator)

    def _sampler_epoch(self) -> Any:
        sampler = getattr(self.loader, "sampler", None)
        return getattr(sampler, "epoch", None) if callable(getattr(sampler, "set_epoch", None)) else None


def iter_is_loader(loader: Any) -> bool:
    """Whether this is an iterator already, which can be gone through once only."""
    return hasattr(loader, "__next__")


class _Epoch:
    """One epoch's batches; counts what was handed to the trainer, never what workers fetched ahead."""

    def __init__(self, loader: Loader, batches: Iterator[Any]) -> None:
        self._loader, self._batches = loader, batches
        self._number = loader._epoch

    def __iter__(self) -> _Epoch:
        return self

    def __next__(self) -> Any:
        current = self._number == self._loader._epoch
        try:
            batch = next(self._batches)
        except StopIteration:
            if current:
                self._loader._position = None
            raise
        if current and self._loader._position is not None:
            self._loader._position += 1
        return batch
