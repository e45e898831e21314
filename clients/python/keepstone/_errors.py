"""What can go wrong, told by what the caller should do about it. The names are those of the wire (docs/spec/wire.md)."""

from __future__ import annotations

from typing import Any


class KeepstoneError(Exception):
    """A failure in three parts: what failed, on which object, what to do next."""

    def __init__(self, what: str, on: str = "", next: str = "") -> None:
        self.what, self.on, self.next = what, on, next
        lines = [what]
        if on:
            lines.append(f"  on    {on}")
        if next:
            lines.append(f"  next  {next}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> Any:
        return type(self), (self.what, self.on, self.next)


class NotFound(KeepstoneError):
    """The store, run or checkpoint does not exist."""


class IntegrityError(KeepstoneError):
    """Stored bytes are not what was written."""


class Refused(KeepstoneError):
    """The request cannot be honoured as it stands; nothing was written."""


class NoSpace(KeepstoneError):
    """Disk, quota or shared memory is full."""


class Busy(KeepstoneError):
    """Earlier saves are still on their way; nothing was written, trying again later is fine."""


class AgentUnavailable(KeepstoneError):
    """No agent runs on this node and none could be started, or it was lost."""


class Fenced(KeepstoneError):
    """A newer start of the same run exists; this trainer must end."""


class Failed(KeepstoneError):
    """Anything else that the agent reports."""


_BY_NAME: dict[str, type[KeepstoneError]] = {
    kind.__name__: kind for kind in (NotFound, IntegrityError, Refused, NoSpace, Busy, AgentUnavailable, Fenced)
}


def from_wire(error: dict[str, Any]) -> KeepstoneError:
    """The exception for the `error` object of an answer."""
    kind = _BY_NAME.get(str(error.get("type")), Failed)
    return kind(
        str(error.get("what", "the agent gave no reason")), str(error.get("on") or ""), str(error.get("next") or "")
    )
