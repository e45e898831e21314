"""Keepstone's client for Python trainers.

`Checkpointer` hands training state to the node's agent through shared memory and takes it back; `Loader` keeps a data loader's position; `load` reads a
checkpoint as it lies. No mandatory dependency: torch and NumPy are used where the trainer uses them.
"""

from ._errors import (
    AgentUnavailable,
    Busy,
    Failed,
    Fenced,
    IntegrityError,
    KeepstoneError,
    NoSpace,
    NotFound,
    Refused,
)
from ._load import load
from ._loader import Loader
from ._results import Restored, Saved
from ._shards import Piece
from ._state import Opaque
from ._version import __version__
from .checkpointer import Checkpointer

__all__ = [
    "AgentUnavailable",
    "Busy",
    "Checkpointer",
    "Failed",
    "Fenced",
    "IntegrityError",
    "KeepstoneError",
    "Loader",
    "NoSpace",
    "NotFound",
    "Opaque",
    "Piece",
    "Refused",
    "Restored",
    "Saved",
    "__version__",
    "load",
]

# Tracebacks and pickles name what users import, not the file it happens to live in.
for _public in (
    AgentUnavailable, Busy, Failed, Fenced, IntegrityError, KeepstoneError, NoSpace, NotFound, Refused,
    Checkpointer, Loader, Opaque, Piece, Restored, Saved,
):  # fmt: skip
    _public.__module__ = __name__
del _public
