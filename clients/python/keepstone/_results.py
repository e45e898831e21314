"""What saving and restoring give back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional

from ._errors import KeepstoneError

if TYPE_CHECKING:
    from .checkpointer import Checkpointer


@dataclass
class Restored:
    """A checkpoint that was put back, or loaded. `source` is "memory" or "store"."""

    step: int
    id: str
    metrics: dict[str, Any]
    source: str
    state: Any
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Saved:
    """A save of one step.

    `bytes` is what was captured, without tensors that are declared frozen. `stall_ms` is the time from the call to the seal, without what a changed layout cost or one that the agent asked for cost (then `replanned` is true). When `sealed`, the
    values are safe from the trainer's death; when `durable`, the checkpoint is committed in the store.
    """

    def __init__(self, checkpointer: Optional[Checkpointer], step: int, id: Optional[str]) -> None:
        self._checkpointer = checkpointer
        self.step, self.id = step, id
        self.stall_ms = 0.0
        self.bytes = 0
        self.replanned = False
        self.sealed = False
        self.durable_ms: Optional[float] = None
        self.failure: Optional[KeepstoneError] = None
        self._ended = False

    @property
    def durable(self) -> bool:
        """Whether the checkpoint is committed; asks the agent, without waiting, as long as it is not known."""
        if not self._ended and self._checkpointer is not None:
            self._checkpointer._look(self)
        return self._ended and self.failure is None

    def wait(self, timeout: Optional[float] = None) -> Saved:
        """Waits until the checkpoint is durable; raises what kept it from becoming so."""
        if not self._ended and self._checkpointer is not None:
            self._checkpointer._wait_for(self, timeout)
        if self.failure is not None:
            raise self.failure
        return self

    def __repr__(self) -> str:
        state = (
            "durable"
            if self._ended and self.failure is None
            else "failed"
            if self.failure
            else "sealed"
            if self.sealed
            else "not saved"
        )
        return f"Saved({self.id or self.step}, {state}, stall {self.stall_ms:.1f} ms, {self.bytes} bytes)"
