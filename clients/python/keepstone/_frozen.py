"""What the trainer declared frozen: which tensors that is, and whether they were left alone."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from typing import Any, NamedTuple, Optional, Union

from ._errors import Refused


class Frozen:
    """Patterns of canonical names, with `*`, `?` and `[…]` as in file names."""

    def __init__(self, patterns: Union[str, Iterable[str], None] = None) -> None:
        self.patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns or ())
        for pattern in self.patterns:
            if not isinstance(pattern, str) or not pattern:
                raise Refused("frozen is a pattern of parameter names, or a list of them", repr(pattern))
        self._matchers = [re.compile(fnmatch.translate(pattern)) for pattern in self.patterns]
        self._matched = [False] * len(self.patterns)

    def has(self, name: str) -> bool:
        """Whether a tensor of this name is frozen."""
        found = False
        for index, matcher in enumerate(self._matchers):
            if matcher.match(name):
                self._matched[index] = found = True
        return found

    def require_matches(self, names: list[str]) -> None:
        """Refuses a pattern that no name matched: what it was meant for would be copied in silence."""
        for pattern, matched in zip(self.patterns, self._matched):
            if not matched:
                shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
                raise Refused(
                    "no parameter, buffer or tensor of the state has a name that this frozen pattern matches",
                    repr(pattern),
                    f"names here: {shown or 'none'}",
                )


class Mark(NamedTuple):
    """What a frozen tensor looked like when it was captured."""

    index: int
    name: str
    pointer: int
    version: Optional[int]

    @staticmethod
    def of(index: int, name: str, tensor: Any) -> Mark:
        return Mark(index, name, tensor.data_ptr(), _version(tensor))


def moved(marks: list[Mark], tensors: list[Any]) -> bool:
    """Whether a frozen tensor lies elsewhere now, so that it has to be captured again. Refuses one that was written to, by name."""
    elsewhere = False
    for index, name, pointer, version in marks:
        tensor = tensors[index]
        if tensor.data_ptr() != pointer:
            elsewhere = True
        elif _version(tensor) != version:
            raise Refused(
                "the tensor was declared frozen and has been written to since it was first saved",
                name,
                "leave it out of frozen=, or find what trains it (requires_grad, the optimizer's parameters)",
            )
    return elsewhere


def _version(tensor: Any) -> Optional[int]:
    return None if tensor.is_inference() else int(tensor._version)
