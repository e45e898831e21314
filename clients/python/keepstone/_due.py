"""Saves that somebody asked for: a signal to this rank, or an operator. All ranks save the same step, which the agents agree upon in the store."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import Any, Optional

from ._errors import Refused
from ._session import Session

# Before the first registration there is no shared memory to read, and asking costs a round trip.
_ASK_SECONDS = 2.0


class Due:
    """Knows in every step whether that one is to be saved. `signalled`: the signal has come to this rank."""

    def __init__(self, number: Optional[int], grace: float) -> None:
        self.signalled = False
        self._grace = grace
        self._asked = False
        self._acted = 0
        self._later = 0  # a due step that was told instead of one that was missed
        self._next_ask = 0.0
        self._before: Any = None
        self._number = number
        if number is not None:
            if threading.current_thread() is not threading.main_thread():
                raise Refused(
                    "only the main thread may take signals",
                    f"on_signal={signal.Signals(number).name}",
                    "make the Checkpointer there",
                )
            self._before = signal.signal(number, self._take)

    def _take(self, number: int, frame: Any) -> None:
        self.signalled = True
        if callable(self._before):
            self._before(number, frame)

    def release(self) -> None:
        """Gives the signal back to whom it was taken from."""
        if self._number is not None and signal.getsignal(self._number) == self._take:
            with contextlib.suppress(
                ValueError
            ):  # closed in a thread, which may not: the signal goes on to who had it before
                signal.signal(self._number, self._before if self._before is not None else signal.SIG_DFL)
        self._number = None

    def at(self, session: Session, step: int, saved: bool) -> bool:
        """Whether `step`, which is done, is the one to save. Looks into shared memory, and asks the agent only where something happened."""
        due = session.due(step)
        if self.signalled and not self._asked:
            self._asked = True
            due = session.preempt(step, grace_ms=int(self._grace * 1000))
        elif not session.registered and session.started is not None and time.monotonic() >= self._next_ask:
            self._next_ask = time.monotonic() + _ASK_SECONDS
            due = session.preempt(step)
        due = max(due, self._later)
        if due == 0 or due <= self._acted or step < due:
            return False
        self._acted = due
        if step == due:
            return True
        if not saved:  # the news came too late here: all ranks get another step
            self._later = session.preempt(step, missed=due)
            return self._later == step and self.at(session, step, saved)
        return False

    def lost(self) -> None:
        """The agent was gone when it was asked: the next step asks again."""
        self._asked = False
