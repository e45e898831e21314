"""What the trainer declared frozen: which tensors that is, and whether they were left alone."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from typing import Any, Optional, Union

from . import _dtypes
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


class Marks:
    """What the frozen tensors looked like when they were captured. Looking again costs a fraction of a microsecond for each."""

    def __init__(self, names: dict[int, str], tensors: list[Any]) -> None:
        self._names = names
        self._indexes = list(names)
        found = self._of(tensors)
        self._pointers, self._versions = _pointers(found), _versions(found)

    def _of(self, tensors: list[Any]) -> list[Any]:
        return [tensors[index] for index in self._indexes]

    def moved(self, tensors: list[Any]) -> bool:
        """Whether a frozen tensor lies elsewhere now, so that it has to be captured again. Refuses one that was written to, by name."""
        found = self._of(tensors)
        pointers, versions = _pointers(found), _versions(found)
        if versions != self._versions:
            for place, index in enumerate(self._indexes):
                if versions[place] != self._versions[place] and pointers[place] == self._pointers[place]:
                    raise Refused(
                        "the tensor was declared frozen and has been written to since it was first saved",
                        self._names[index],
                        "leave it out of frozen=, or find what trains it (requires_grad, the optimizer's parameters)",
                    )
        return pointers != self._pointers


def _pointers(tensors: list[Any]) -> list[int]:
    return list(map(_dtypes.torch().Tensor.data_ptr, tensors))


def _versions(tensors: list[Any]) -> list[Optional[int]]:
    try:
        return [tensor._version for tensor in tensors]
    except RuntimeError:  # tensors of inference mode count no writes
        return [None if tensor.is_inference() else tensor._version for tensor in tensors]
