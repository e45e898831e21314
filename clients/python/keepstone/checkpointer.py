"""The front door: save, restore, and what a trainer may say about them."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, Optional, Union

from . import _layout, _state
from ._capture import state_area
from ._due import Due
from ._errors import (
    AgentUnavailable,
    Busy,
    Failed,
    Fenced,
    KeepstoneError,
    NoSpace,
    NotFound,
    Refused,
    from_wire,
)
from ._frozen import Frozen
from ._nodes import Changed
from ._options import choice, failures, policy, refuse_foreign, signal_number, steps, store_path
from ._owners import Owners
from ._ranks import Ranks
from ._results import Restored, Saved
from ._resume import Resume, Taken
from ._selection import Patterns, Renaming
from ._session import Session
from ._store import Run
from ._wire import ConnectionLost

_log = logging.getLogger("keepstone")
_WANTED = {"auto": "latest", "must": "must", "never": "fresh"}

_live: weakref.WeakSet[Checkpointer] = weakref.WeakSet()


class Checkpointer:
    """Saves and restores the training state of one run.

    `every="500steps"` is when `step()` saves. `resume`: `auto` (latest, or fresh when the run has none), `must`, `never` (a fresh start; nothing is
    deleted). `on_busy`: what `step()` does while earlier saves are still draining, `skip` or `wait`. `on_no_agent`: `fail`, or `warn` and go on
    without saving. Timeouts in seconds; `budget` bounds the shared memory of this run, in bytes. `on_save_error`: whether saves that fail after they were
    captured are only logged (`warn`), raised by the next save (`fail`), or raised when N failed one after another (`fail_after_n:N`). `include` and
    `exclude` are globs over component and component.name: what is not saved.

    Of a launch with several ranks every one makes its Checkpointer, after `torch.distributed` or JAX is initialised, and saves the same steps; each hands over
    what it holds, and no collective is called. `rank`, `world_size` and `token` (new for every launch, the same on all ranks) are found there, or given.
    One rank that skips or fails ends that step's checkpoint for all; `commit_timeout` is how long a save waits for the parts of all. `on_signal`
    ("SIGUSR1", "SIGTERM") to any one rank makes all ranks save one and the same step soon; then this rank's `signalled` is true and the trainer goes on;
    `signal_grace` is how many seconds it has.

    `frozen` names parameters and buffers that training does not change, by patterns of their names (`"base.*"`, or a list): they are captured
    with the first save and neither copied nor written again; one that is written to all the same is `Refused` by name.

    A checkpoint stays as long as any rule keeps it: `keep_last` (a number, or `"all"`), `keep_every` (`"1000steps"`, `"6h"`, or several), `keep_best`
    by the metric `monitor`, of which `mode` (`"min"`, `"max"`) says which value is better. The latest, the newest healthy one and what a person pinned
    or tagged stay besides.
    """

    def __init__(
        self,
        store: Union[str, os.PathLike[str]],
        run: str,
        *,
        every: Union[str, int] = "500steps",
        keep_last: Union[int, str] = 3,
        keep_every: Union[str, Iterable[str], None] = None,
        keep_best: int = 0,
        monitor: Optional[str] = None,
        mode: Optional[str] = None,
        resume: str = "auto",
        include: Union[str, Iterable[str], None] = None,
        exclude: Union[str, Iterable[str], None] = None,
        frozen: Union[str, Iterable[str], None] = None,
        rng: bool = True,
        rank: Optional[int] = None,
        world_size: Optional[int] = None,
        token: Optional[str] = None,
        budget: Optional[int] = None,
        on_busy: str = "skip",
        on_save_error: str = "fail_after_n:3",
        on_no_agent: str = "fail",
        on_signal: Union[str, int, None] = None,
        signal_grace: float = 30,
        staging_timeout: float = 120,
        commit_timeout: float = 1200,
        close_timeout: float = 600,
        **foreign: NoReturn,
    ) -> None:
        refuse_foreign(foreign)
        self._store = store_path(store)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", run):
            raise Refused(
                "a run's name consists of letters, digits, dot, underscore and hyphen", repr(run), "choose another name"
            )
        self._run = run
        self._every = steps(every)
        self._resume = choice("resume", resume, _WANTED)
        self._on_busy = choice("on_busy", on_busy, ("skip", "wait"))
        self._on_no_agent = choice("on_no_agent", on_no_agent, ("fail", "warn"))
        self._policy = policy(keep_last, keep_every, keep_best, monitor, mode)
        self._rng = rng
        self._asked = _layout.Asked(rng, Frozen(frozen), _patterns(include), _patterns(exclude))
        self._failures_in_a_row = failures(on_save_error)
        self._commit_timeout = float(commit_timeout)
        self._staging_timeout, self._close_timeout = float(staging_timeout), float(close_timeout)
        self._saves: dict[int, Saved] = {}
        self._failures = 0
        self._fenced: Optional[KeepstoneError] = None
        self._restored = False
        self._closed = False
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._budget = budget
        self._session: Optional[Session] = None
        self._ranks = Ranks(f"{self._store}/{run}", rank, world_size, token)
        self._owners = Owners(self._ranks)
        with self._agent_wanted():
            self._there()
        self._due = Due(signal_number(on_signal), float(signal_grace))
        _live.add(self)

    @property
    def signalled(self) -> bool:
        """Whether the signal of `on_signal` has come to this rank."""
        return self._due.signalled

    # Restoring

    def restore(
        self,
        state: dict[Any, Any],
        *,
        which: Union[str, int, None] = None,
        strict: bool = True,
        include: Patterns = None,
        exclude: Patterns = None,
        map: Renaming = None,
        init_from: Union[str, os.PathLike[str], None] = None,
    ) -> Optional[Restored]:
        """Puts the checkpoint of this start's parent back into `state`, in place; None on a fresh start.

        `which` chooses another parent (`"latest~1"`, a step, an id). With `strict`, a state that is not exactly the saved one is `Refused` and nothing is
        touched; without, what fits is taken and the rest is listed in the result.

        `include` and `exclude` choose a part by names as `keepstone inspect` shows them, with what lies below: `"model"`, `["model.layers.*", "step"]`,
        `"optimizer"`; the rest of the state stays as it is. `map` renames tensors of the checkpoint, by a dict of regular expressions and what replaces
        them (the first that matches), or by a function (None: not taken).

        `init_from` names a checkpoint of another run (`STORE/RUN@WHICH`) that fills a fresh start: the result's step is then 0, and neither random state nor
        positions of loaders are taken over. A run that has checkpoints goes on from them.
        """
        with self._lock:
            self._usable()
            if self._saves:
                raise Refused(
                    "this start has saved already; what it restores was decided before",
                    self._on(),
                    "make a new Checkpointer",
                )
            wanted = _WANTED[self._resume] if which is None else str(which)
            taken = Taken(strict, include, exclude, map, self._rng)
            resume = Resume(self._store, self._run, state, wanted, taken, self._ranks)
            restored = self._restore(resume, wanted)
            return resume.warm(os.fspath(init_from)) if restored is None and init_from is not None else restored

    def _restore(self, resume: Resume, wanted: str) -> Optional[Restored]:
        with self._agent_wanted():
            session = self._there()
            session.start(wanted)
            self._restored = True
            return resume.through(session)
        self._restored = True
        return resume.alone()

    # Saving

    def step(self, step: int, state: dict[Any, Any], *, metrics: Optional[dict[str, Any]] = None) -> Optional[Saved]:
        """Tells that `step` optimizer steps are done; saves when that is a multiple of `every`, or somebody asked. None when not due, or skipped because busy."""
        if self._is_due(step):
            return self._save(step, state, metrics, self._staging_timeout)
        if step <= 0 or step % self._every:
            return None
        self._listen()
        wait = self._on_busy == "wait"
        try:
            return self._save(step, state, metrics, self._staging_timeout if wait else 0.0)
        except Busy as busy:
            if wait:
                raise
            _log.warning("keepstone: step %d is not saved, earlier saves are still on their way (%s)", step, busy.what)
            return None
        except (NoSpace, Failed) as failed:
            self._failures += 1
            if self._failures_in_a_row is not None and self._failures >= self._failures_in_a_row:
                self._failures = 0
                raise
            _log.warning("keepstone: step %d is not saved: %s", step, failed)
            return None

    def _is_due(self, step: int) -> bool:
        session = self._session
        if session is None or self._closed or os.getpid() != self._pid:
            return False
        with self._lock:
            try:
                return self._due.at(session, step, step in self._saves)
            except (KeepstoneError, ConnectionLost) as lost:
                self._due.lost()
                _log.warning("keepstone: the agent could not be asked for a step that all ranks save: %s", lost)
                return False

    def _listen(self) -> None:
        """Hears what became of earlier saves; raises where too many failed."""
        with self._lock:
            self._usable()
            if self._session is not None:
                self._hear(self._session.news())
            if self._failures_in_a_row is not None and self._failures >= self._failures_in_a_row:
                self._failures = 0
                failed = [saved.failure for saved in self._saves.values() if saved.failure is not None]
                if failed:
                    raise failed[-1]

    def save(
        self, step: int, state: dict[Any, Any], *, metrics: Optional[dict[str, Any]] = None, wait: bool = False
    ) -> Saved:
        """Saves now. On return the values are captured: whatever is overwritten afterwards is not in the checkpoint. With `wait`, returns when durable.

        Never skips: waits up to `staging_timeout` for room, then `Busy`. A step of this start that was saved already gives the same `Saved`. In a world of
        several ranks one that raises has ended this step for all of them.
        """
        self._listen()
        saved = self._save(step, state, metrics, self._staging_timeout)
        return saved.wait() if wait else saved

    def _save(self, step: int, state: dict[Any, Any], metrics: Optional[dict[str, Any]], seconds: float) -> Saved:
        since = time.perf_counter_ns()
        with self._lock:
            self._usable()
            step = _step_number(step)
            known = self._saves.get(step)
            if known is not None:
                if known.failure is not None:
                    raise Refused(
                        f"step {step} did not become a checkpoint in this start: {known.failure.what}",
                        self._on(),
                        "save a later step",
                    )
                return known
            with self._agent_wanted():
                try:
                    return self._save_with(self._there(), step, state, metrics, seconds, since)
                except Exception as failed:
                    self._refuse_for_all(step, failed)
                    raise
            return Saved(None, step, None)

    def _refuse_for_all(self, step: int, failed: Exception) -> None:
        """Other ranks must not wait for a part that will never come."""
        if self._ranks.world == 1 or self._session is None or step in self._saves:  # sealed: it stands, whoever hears of it
            return
        failure = failed if isinstance(failed, KeepstoneError) else KeepstoneError(str(failed))
        self._owners.give_up(self._occasion(step), failure.what)
        why = "skipped" if isinstance(failed, Busy) else "no-space" if isinstance(failed, NoSpace) else "failed"
        with contextlib.suppress(KeepstoneError, ConnectionLost):
            self._session.refuse(step, why, failure.what)
        if self._session.started is not None:
            saved = self._saves[step] = Saved(self, step, f"{self._session.started['start']}-{step}")
            saved.failure, saved._ended = failure, True

    def _occasion(self, step: int) -> str:
        start = self._session.started if self._session is not None else None
        return f"save {start['start'] if start is not None else 0}-{step}"

    def _save_with(
        self,
        session: Session,
        step: int,
        state: dict[Any, Any],
        metrics: Optional[dict[str, Any]],
        seconds: float,
        since: int,
    ) -> Saved:
        self._may_save(session)
        plan, tensors, values = self._collected(session, step, state)
        area = state_area(_metrics(metrics), values)
        same = session.plan is not None and (plan is session.plan or plan.same_layout(session.plan))
        replanned = not same or len(area) > session.state_capacity or session.replan or session.moved(tensors)
        if replanned:
            # A save that may wait for nothing may still not wait long here: the layout's first segment has nothing to wait for.
            session.register(plan, tensors, len(area), max(seconds, 1.0))
            since = time.perf_counter_ns()
        else:
            session.rebind(plan)
        slot, generation = session.lend(seconds)
        stall = session.write(slot, generation, step, tensors, area, since)
        assert session.started is not None
        saved = Saved(self, step, f"{session.started['start']}-{step}")
        saved.stall_ms, saved.replanned, saved.sealed = stall / 1e6, replanned, True
        saved.bytes = plan.changing_bytes
        self._saves[step] = saved
        session.announce(slot, generation, step)
        return saved

    def _collected(
        self, session: Session, step: int, state: dict[Any, Any]
    ) -> tuple[_layout.Plan, list[Any], list[Any]]:
        if session.plan is not None:
            try:
                return (session.plan, *session.plan.collect(state))
            except Changed:
                pass
        asked = self._asked._replace(owners=self._owners, occasion=self._occasion(step), seconds=self._staging_timeout)
        return _layout.plan(state, asked)

    def _may_save(self, session: Session) -> None:
        if self._fenced is not None:
            raise self._fenced
        answer = session.start(_WANTED[self._resume])
        if (
            not self._restored
            and self._resume != "never"
            and (answer["parent"] is not None or answer.get("has_checkpoints"))
        ):
            raise Refused(
                "the run has checkpoints, and this start has restored none of them",
                self._on(),
                'call restore(state) before the first save, or begin anew with resume="never"',
            )

    def report(self, step: Union[int, str], metrics: dict[str, Any]) -> None:
        """Metrics that came after the save of `step`, which may still be on its way: `best` and retention count them. Returns when they are in the store.

        Instead of a step, an id (`"3-500"`) or a tag names a checkpoint of an earlier start. Of two reports of one name the later counts.
        """
        with self._lock:
            self._usable()
            which = step if isinstance(step, str) else str(_step_number(step))
            encoded = _metrics(metrics)
            if not encoded:
                return
            with self._agent_wanted():
                session = self._there()
                session.start(_WANTED[self._resume])
                session.report(which, encoded)

    # Waiting and ending

    def wait(self) -> None:
        """Waits until every save is durable (`close_timeout`); raises what kept one from becoming so."""
        with self._lock:
            self._usable()
            self._wait_all()

    def _wait_all(self) -> None:
        pending = [saved for saved in self._saves.values() if not saved._ended]
        if pending and self._session is not None:
            self._hear(self._session.wait(None, self._close_timeout))
            for saved in pending:
                if not saved._ended:
                    self._wait_for(saved, self._close_timeout)
        for saved in pending:
            if saved.failure is not None:
                raise saved.failure

    def _wait_for(self, saved: Saved, timeout: Optional[float]) -> None:
        with self._lock:
            self._usable()
            try:
                self._hear(self._there().wait(saved.id, self._close_timeout if timeout is None else timeout))
            except NotFound:  # the agent that had it died after it had ended, and told nobody: the store knows
                self._hear([self._in_store(str(saved.id))])

    def _in_store(self, id: str) -> dict[str, Any]:
        if Run(self._store, self._run).was_committed(id):
            return {"id": id, "state": "committed"}
        why = {
            "what": "the agent that had this save ended, and the store has no checkpoint of it",
            "on": f"{self._on()}@{id}",
        }
        return {"id": id, "state": "failed", "error": why}

    def _look(self, saved: Saved) -> None:
        with contextlib.suppress(Busy, AgentUnavailable):
            self._wait_for(saved, 0.0)

    def close(self) -> None:
        """Waits until the last save is durable, then lets go of the agent. Safe to call again."""
        with self._lock:
            if self._closed or os.getpid() != self._pid:
                return
            self._closed = True
            self._due.release()
            _live.discard(self)
            if self._session is None:
                return
            try:
                self._wait_all_before_closing()
            finally:
                self._session.close()

    def _wait_all_before_closing(self) -> None:
        assert self._session is not None
        try:
            self._closed = False
            self._wait_all()
        except Busy as late:
            _log.warning(
                "keepstone: after %g s the last save is not durable yet; the agent goes on with it", self._close_timeout
            )
            if self._session.outlives != "node":
                raise Busy(
                    late.what, late.on, f"the agent ends with this {self._session.outlives}: raise close_timeout"
                ) from late
        finally:
            self._closed = True

    def __enter__(self) -> Checkpointer:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except KeepstoneError as further:  # the trainer's own error is the one to see
            _log.warning("keepstone: while closing: %s", further)

    # Within

    def _hear(self, ended: list[dict[str, Any]]) -> None:
        """Takes in what became of attempts."""
        for one in ended:
            saved = next((saved for saved in self._saves.values() if saved.id == one.get("id")), None)
            if saved is None or saved._ended:
                continue
            saved._ended = True
            if one.get("state") == "committed":
                saved.durable_ms = one.get("durable_ms")
                self._failures = 0
                continue
            saved.failure = _failure(one, saved)
            self._failures += 1
            if isinstance(saved.failure, Fenced):
                self._fenced = saved.failure
            _log.warning("keepstone: %s did not become a checkpoint: %s", saved.id, saved.failure)

    @contextlib.contextmanager
    def _agent_wanted(self) -> Iterator[None]:
        """With `on_no_agent="warn"`, swallows the agent's absence with a warning; what follows the block is then done without."""
        try:
            yield
        except (AgentUnavailable, ConnectionLost) as lost:
            absent = lost if isinstance(lost, AgentUnavailable) else AgentUnavailable(f"the agent was lost: {lost}")
            if self._on_no_agent == "fail":
                raise absent from lost
            _log.warning("keepstone: nothing is saved: %s", absent)

    def _there(self) -> Session:
        if self._session is None:
            self._session = Session(
                self._store, self._run, self._ranks, self._policy, self._budget, self._commit_timeout
            )
        return self._session

    def _usable(self) -> None:
        if os.getpid() != self._pid:
            raise Refused(
                "a forked process cannot use its parent's Checkpointer",
                self._on(),
                "save and restore in the process that made it",
            )
        if self._closed:
            raise Refused("the Checkpointer is closed", self._on(), "make a new one")

    def _on(self) -> str:
        return os.path.join(self._store, self._run)


def _in_child() -> None:
    # The parent's connection and lock must not be kept open, or spoken over, by a data-loader worker.
    for checkpointer in list(_live):
        if checkpointer._session is not None:
            checkpointer._session.forget()


os.register_at_fork(after_in_child=_in_child)


def _patterns(patterns: Union[str, Iterable[str], None]) -> Union[str, tuple[str, ...], None]:
    return patterns if patterns is None or isinstance(patterns, str) else tuple(patterns)


def _step_number(step: Any) -> int:
    number = getattr(step, "__index__", None)
    if number is None or isinstance(step, bool) or not 0 <= number() <= _state.SAFE_INTEGER:
        raise Refused("a step is a whole number, the count of completed optimizer steps", repr(step))
    return int(number())


def _metrics(metrics: Optional[dict[str, Any]]) -> dict[str, Any]:
    encoded = {}
    for name, value in (metrics or {}).items():
        plain = value.item() if hasattr(value, "item") else value
        if not isinstance(name, str) or not isinstance(plain, (int, float)):
            raise Refused("a metric is a number", f"metrics[{name!r}]", "give float(value)")
        encoded[name] = _state.encode(float(plain) if isinstance(plain, float) else int(plain), f"metrics[{name!r}]")
    return encoded


def _failure(one: dict[str, Any], saved: Saved) -> KeepstoneError:
    if one.get("state") == "fenced":
        return Fenced(
            "a newer start of this run exists; its checkpoints count, this start's do not",
            str(saved.id),
            "end this trainer",
        )
    error = one.get("error")
    if isinstance(error, dict):
        return from_wire(error)
    return from_wire(
        {"what": f"the attempt ended as {one.get('state')}", "on": saved.id, "next": "see keepstone agent logs"}
    )
