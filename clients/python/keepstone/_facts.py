"""Later facts of a run, read without an agent: verdicts, tags, metrics, the policy, and what snapshots call purged (docs/spec/store.md, section 10)."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Optional

from ._errors import IntegrityError

_BATCH = re.compile(r"([0-9a-f]{8})\.([1-9][0-9]*)\.json\Z")
_SNAPSHOT = re.compile(r"snapshot-([1-9][0-9]*)\.json\Z")
# A batch that is gone since it was listed is in a newer snapshot.
_LOOKS = 5

Stamp = tuple[str, str, str, int, int]


class Facts:
    """What counts of all facts, by subject."""

    def __init__(self) -> None:
        self.purged: set[str] = set()
        self._newest: dict[tuple[Any, ...], tuple[Stamp, dict[str, Any]]] = {}

    def add(self, stamp: Stamp, fact: dict[str, Any]) -> None:
        kind = fact.get("fact")
        if kind == "metrics":
            for name, value in fact["metrics"].items():
                self._keep(("metric", fact["id"], name), stamp, {"value": value})
        elif kind == "verdict":
            self._keep(("verdict", fact["id"], fact["deep"], fact["good"]), stamp, fact)
        elif kind == "tag":
            self._keep(("tag", fact["tag"]), stamp, fact)
        elif kind == "policy":
            self._keep(("policy",), stamp, fact)

    def _keep(self, subject: tuple[Any, ...], stamp: Stamp, fact: dict[str, Any]) -> None:
        known = self._newest.get(subject)
        if known is None or known[0] < stamp:
            self._newest[subject] = (stamp, fact)

    def _stamp(self, *subject: Any) -> Optional[Stamp]:
        known = self._newest.get(subject)
        return None if known is None else known[0]

    def quarantined(self, id: str) -> bool:
        """Whether a checkpoint was found bad, and not read to its last byte and found good since."""
        bad = [stamp for deep in (False, True) if (stamp := self._stamp("verdict", id, deep, False)) is not None]
        good = self._stamp("verdict", id, True, True)
        return bool(bad) and (good is None or good < max(bad))

    def tagged(self, tag: str) -> Optional[str]:
        known = self._newest.get(("tag", tag))
        return None if known is None else known[1].get("id")

    def metric(self, id: str, name: str) -> Any:
        known = self._newest.get(("metric", id, name))
        return None if known is None else known[1]["value"]

    def policy(self) -> dict[str, Any]:
        known = self._newest.get(("policy",))
        return {} if known is None else dict(known[1]["rules"])


def read_facts(directory: str, read: Callable[[str, str], dict[str, Any]]) -> Facts:
    """All facts in `directory`. `read(name, kind)` gives an object of it, checked; one that cannot be trusted counts for nothing."""
    for look in range(_LOOKS):
        try:
            return _look(directory, read)
        except FileNotFoundError:
            if look == _LOOKS - 1:
                raise
    raise AssertionError("unreachable")


def _look(directory: str, read: Callable[[str, str], dict[str, Any]]) -> Facts:
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return Facts()
    facts = Facts()
    covers: dict[str, list[list[int]]] = {}
    snapshots = sorted((int(found[1]) for name in names if (found := _SNAPSHOT.match(name))), reverse=True)
    for number in snapshots:
        try:
            snapshot = read(f"snapshot-{number}.json", "snapshot")
        except IntegrityError:
            continue
        covers = snapshot.get("covers", {})
        for start, steps in snapshot.get("purged", {}).items():
            facts.purged |= {f"{start}-{step}" for step in steps}
        for one in snapshot.get("facts", ()):
            facts.add((*_moment(one["at"]), one["writer"], one["sequence"], one["index"]), one["fact"])
        break
    for name in names:
        found = _BATCH.match(name)
        if found is None or any(first <= int(found[2]) <= last for first, last in covers.get(found[1], ())):
            continue
        try:
            batch = read(name, "facts")
        except IntegrityError:
            continue
        for index, fact in enumerate(batch["facts"]):
            facts.add((*_moment(batch["at"]), batch["writer"], batch["sequence"], index), fact)
    return facts


def _moment(at: str) -> tuple[str, str]:
    """A moment as two texts that compare as it does: seconds, and their fraction to the nanosecond."""
    seconds, _, fraction = at.rstrip("Z").partition(".")
    return seconds, fraction.ljust(9, "0")
