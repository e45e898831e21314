"""The client's conversation with the agent: greeting, start, registration, lending, sealing; and beginning again after the agent's death."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from typing import Any, Optional

from . import _agent
from ._capture import Capture
from ._errors import AgentUnavailable, Busy, KeepstoneError, Refused
from ._layout import Plan
from ._provenance import Provenance
from ._ranks import MEETING_SECONDS, Ranks
from ._segment import Segment
from ._wire import Connection, ConnectionLost

SLOTS = 2
# After a failed attempt to get an agent back, how long a save does not try again: each attempt may take seconds.
_PAUSE_SECONDS = 10.0
_GREETINGS = 5


class Session:
    """Holds the connection, the start, and the registered segment. The caller serialises all use."""

    def __init__(
        self, store: str, run: str, ranks: Ranks, policy: dict[str, Any], budget: Optional[int], commit_timeout: float
    ) -> None:
        self._ranks = ranks
        self._announced: dict[str, Any] = {
            "store": store,
            "run": run,
            "token": ranks.token,
            "rank": ranks.rank,
            "world": ranks.world,
            "policy": policy,
            "node": ranks.node,
            "local": ranks.local,
            "commit_timeout_ms": int(commit_timeout * 1000),
        }
        self._starts = 0
        self._budget = budget
        self._provenance = Provenance()
        self._client = _agent.Client()
        self._connection: Optional[Connection] = None
        self._start: Optional[dict[str, Any]] = None
        self._wanted = "latest"
        self._segment: Optional[Segment] = None
        self._capture: Optional[Capture] = None
        self._layout = 0
        self._generation = 0  # the last sealed one of the segment
        self._not_before = 0.0
        self._told: list[dict[str, Any]] = []
        self.plan: Optional[Plan] = None
        self.replan = False  # the agent asks for another layout of the same state
        self.state_capacity = 0
        self.outlives = "node"
        self._connect()

    # Connection

    def _connect(self) -> Connection:
        for attempt in range(_GREETINGS):
            try:
                connection = _agent.connect()
                answer = self._client.greet(connection, self._generation)
            except ConnectionLost as lost:
                # A dying agent's socket still takes connections for a moment; the next attempt finds, or starts, another.
                if attempt == _GREETINGS - 1:
                    raise AgentUnavailable(
                        f"the agent ended while it was greeted: {lost}", _agent.directory(), "see keepstone agent logs"
                    ) from lost
                time.sleep(0.1)
                continue
            self.outlives = str(answer.get("outlives", "node"))
            self._connection = connection
            return connection
        raise AssertionError("unreachable")

    def _again(self) -> Connection:
        """A new connection after the old one's end: another agent, started if need be, which is told of our last seal."""
        self._connection = None
        if time.monotonic() < self._not_before:
            raise AgentUnavailable(
                "the agent was lost and could not be started again", _agent.directory(), "see keepstone agent logs"
            )
        try:
            connection = self._connect()
            if self._start is not None:
                self._start = connection.request("start", **self._announced, wanted=self._wanted)
        except ConnectionLost as lost:
            self._connection = None
            self._not_before = time.monotonic() + _PAUSE_SECONDS
            raise AgentUnavailable(
                f"the agent was lost again: {lost}", _agent.directory(), "see keepstone agent logs"
            ) from lost
        except KeepstoneError:
            self._connection = None
            self._not_before = time.monotonic() + _PAUSE_SECONDS
            raise
        return connection

    def _call(self, do: str, seconds: Optional[float] = None, **fields: Any) -> dict[str, Any]:
        """A request; asked once more of the agent that follows when this one dies meanwhile."""
        connection = self._connection or self._again()
        try:
            return self._answer(connection, do, seconds, fields)
        except ConnectionLost:
            return self._answer(self._again(), do, seconds, fields)

    def _answer(
        self, connection: Connection, do: str, seconds: Optional[float], fields: dict[str, Any]
    ) -> dict[str, Any]:
        try:
            return connection.request(do, seconds, **fields)
        except ConnectionLost:
            self._connection = None
            raise

    def news(self, wait: bool = False) -> list[dict[str, Any]]:
        """What the agent told of ended attempts since the last call."""
        if self._connection is not None:
            try:
                for answer in self._connection.owed(wait):
                    self._told += answer.get("ended", [])
                    self.replan |= bool(answer.get("replan"))
            except ConnectionLost:
                self._connection = None
        told, self._told = self._told, []
        return told

    # The start and a restore

    def start(self, wanted: str) -> dict[str, Any]:
        """Announces this start, or says again what was decided."""
        if self._start is None:
            self._wanted = wanted
            self._starts += 1
            occasion = f"start {self._starts}"
            try:
                answer = self._call("start", **self._announced, wanted=wanted)
            except KeepstoneError as failed:
                self._ranks.give_up(occasion, failed.what)
                raise
            self._see_one_store(occasion, answer)
            self._start = answer
        return self._start

    def _see_one_store(self, occasion: str, answer: dict[str, Any]) -> None:
        """Refuses a store that the nodes do not share: each would fill one of its own, and no checkpoint ever be whole."""
        if not self._ranks.can_agree:
            return
        word = json.dumps([[answer["uid"], answer["start"], answer.get("by")], self._ranks.node])
        other = self._ranks.agree(occasion, word, _other_store, MEETING_SECONDS)
        if other:
            raise Refused(
                f"this store is not shared: {other}",
                f"{self._announced['store']} on {self._ranks.node}",
                "give a directory on a file system that all nodes mount",
            )

    def fall_back(self, parent: str) -> None:
        """Leaves this start, whose parent turned out damaged. Every rank that does so comes to the same next token, so they meet again."""
        token = f"{self._announced['token']}:{parent}".encode()
        self._announced["token"] = hashlib.sha256(token).hexdigest()[:32]
        self._start = None

    @property
    def registered(self) -> bool:
        return self._segment is not None

    @property
    def started(self) -> Optional[dict[str, Any]]:
        return self._start

    def report(self, which: str, metrics: dict[str, Any]) -> str:
        """Writes metrics of a checkpoint down in the store; gives its id."""
        return str(self._call("report", which=which, metrics=metrics)["id"])

    def open(self, id: str) -> dict[str, Any]:
        """Opens a checkpoint for restoring."""
        return self._call("open", id=id)

    def want(self, tensors: list[dict[str, Any]]) -> dict[str, Any]:
        """Says what of the open checkpoint is wanted; where it lies. An agent that dies in between takes the restore with it."""
        return self._of_open("want", tensors=tensors)

    def next(self) -> dict[str, Any]:
        """The next window of what is wanted."""
        return self._of_open("next")

    def _of_open(self, do: str, **fields: Any) -> dict[str, Any]:
        if self._connection is None:
            raise ConnectionLost("the agent was lost")
        return self._answer(self._connection, do, None, fields)

    def done(self) -> None:
        if self._connection is not None:
            try:
                self._connection.request("done", 60.0)
            except ConnectionLost:
                self._connection = None

    # Saving

    def register(self, plan: Plan, tensors: list[Any], state_bytes: int, seconds: float) -> None:
        """Gets a segment for a plan, and captures what is frozen; the segment before lives on in the agent until its generations are committed."""
        self._release()
        pieces = [
            {"component": p.component, "name": p.name, "dtype": p.dtype, "shape": list(p.shape)}
            | ({"offset": list(p.offset), "extent": list(p.extent)} if p.extent != p.shape else {})
            | ({"frozen": True} if p.frozen else {})
            for p in plan.pieces
        ]
        answer = self._call(
            "register",
            seconds + 600.0,
            pieces=pieces,
            state=plan.template,
            state_bytes=state_bytes,
            slots=SLOTS,
            budget=self._budget,
            limit_rate=None,
            configs=plan.configs,
            provenance=self._provenance.found(),
            timeout_ms=int(seconds * 1000),
        )
        segment = Segment(answer["segment"])
        self._generation = 0
        self._layout = answer["layout"]
        self._capture = Capture(segment, plan.pieces, answer["at"])
        segment.populated()
        self._capture.fill_constants(answer.get("constant_offset", 0), tensors)
        self._segment, self.plan = segment, plan
        self._told = self.news()  # answers to seals of the layout before
        self.replan = False
        self.state_capacity = answer["state_capacity"]

    def moved(self, tensors: list[Any]) -> bool:
        """Whether a frozen tensor lies elsewhere than when it was captured. Refuses one that was written to."""
        return self._capture is not None and self._capture.moved(tensors)

    def rebind(self, plan: Plan) -> None:
        """Another plan of the layout that is registered already."""
        self.plan = plan

    def refuse(self, step: int, why: str, detail: str) -> None:
        """Tells that this rank does not save a step, so that its attempt ends for all ranks at once."""
        if self._start is not None:
            self._call("refuse", 60.0, step=step, why=why, detail=detail)

    def due(self, step: int) -> int:
        """Tells the agent how many steps are done, and gives the step that all ranks are to save because somebody asked, or 0."""
        if self._segment is None:
            return 0
        self._segment.progress(step)
        return self._segment.due()

    def preempt(self, step: int, **why: Any) -> int:
        """Asks for a step that all ranks save; gives its number."""
        return int(self._call("preempt", 60.0, step=step, **why)["due"])

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
        if self._segment is not None:
            self._segment.close()
        self._capture = self._segment = self.plan = None

    def lend(self, seconds: float) -> tuple[int, int]:
        """Slot and generation to write next; without a round trip where the agent has lent ahead. `Busy` after `seconds`."""
        assert self._segment is not None
        lent = self._segment.lent()
        if lent is None or lent[1] <= self._generation:
            self._told += self.news(
                wait=True
            )  # the agent answers a seal at once, and has lent the next slot by then if one is free
            lent = self._segment.lent()
        if lent is None or lent[1] <= self._generation or self._connection is None:
            answer = self._call("lend", seconds + 60.0, timeout_ms=int(seconds * 1000))
            lent = (answer["slot"], answer["generation"])
            if lent[1] <= self._generation:
                raise Busy("the agent lent a generation that is sealed already", self._segment.path, "try again")
        return lent

    def write(self, slot: int, generation: int, step: int, tensors: list[Any], state: bytes, since_ns: int) -> int:
        """Copies, seals, and tells the agent without waiting for it; returns the stall in nanoseconds."""
        assert self._segment is not None and self._capture is not None
        self._segment.write_state(slot, state)
        self._capture.copy(slot, tensors)
        stall = time.perf_counter_ns() - since_ns
        self._segment.seal(slot, generation, step, state, stall)
        self._generation = generation
        return stall

    def announce(self, slot: int, generation: int, step: int) -> None:
        """Tells of a seal; a new agent learns of it from the greeting instead."""
        if self._connection is None:
            self._again()
            return
        try:
            self._connection.post("sealed", layout=self._layout, slot=slot, generation=generation, step=step)
        except ConnectionLost:
            self._again()

    def wait(self, id: Optional[str], seconds: float) -> list[dict[str, Any]]:
        """Waits until an id (None: all) has ended, and returns what ended; `Busy` after `seconds`."""
        answer = self._call("wait", seconds + 60.0, id=id, timeout_ms=int(seconds * 1000))
        return self.news() + list(answer.get("ended", []))

    def close(self) -> None:
        """Ends the conversation; the agent frees the segment when what lies in it is durable."""
        self._release()
        if self._connection is not None:
            with contextlib.suppress(ConnectionLost, KeepstoneError):
                self._connection.request("close", 60.0)
            self._connection.close()
            self._connection = None
        self._client.close()

    def forget(self) -> None:
        """In a forked child: lets go of what belongs to the parent, without a word to the agent."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._client.close()


def _other_store(words: list[str]) -> str:
    """Which rank's agent sees another run or start than rank 0's."""
    first, node = json.loads(words[0])
    for rank, word in enumerate(words):
        seen, place = json.loads(word)
        if seen != first:
            return f"rank {rank} on {place} does not see what rank 0 on {node} wrote there"
    return ""
