"""What a Checkpointer is told: checked, and foreign spellings answered with ours."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Union

from ._errors import Refused

_FOREIGN = {
    "save_total_limit": "keep_last",
    "max_to_keep": "keep_last",
    "keep": "keep_last",
    "save_top_k": "keep_last",
    "save_steps": "every",
    "save_interval": "every",
    "save_interval_steps": "every",
    "every_n_train_steps": "every",
    "interval": "every",
    "resume_from_checkpoint": "resume",
    "ckpt_path": "store",
    "dirpath": "store",
    "directory": "store",
    "output_dir": "store",
    "checkpoint_dir": "store",
    "run_name": "run",
    "name": "run",
    "timeout": "staging_timeout",
}


def store_path(store: Union[str, os.PathLike[str]]) -> str:
    """The absolute path of a store."""
    text = os.fspath(store)
    if re.match(r"[a-z][a-z0-9+.-]*://", text):
        raise Refused("only stores on a local or shared file system work yet", text, "give a directory")
    return os.path.abspath(text)


def steps(every: Union[str, int]) -> int:
    """N of "Nsteps"."""
    found = re.fullmatch(r"\s*([1-9][0-9]*)\s*(?:steps?)?\s*", str(every))
    if isinstance(every, bool) or found is None:
        raise Refused("every is a number of steps", repr(every), 'for example every="500steps"')
    return int(found[1])


def choice(name: str, value: str, choices: Iterable[str]) -> str:
    """The value, if it is one of the choices."""
    if value not in choices:
        raise Refused(f"{name} is one of {', '.join(choices)}", repr(value))
    return value


def refuse_foreign(names: Iterable[str]) -> None:
    """Keywords that other libraries would understand, answered with ours."""
    for name in names:
        hint = f"{name} is {_FOREIGN[name]} here" if name in _FOREIGN else f"Checkpointer has no {name}"
        raise TypeError(f"{hint}: Checkpointer(store, run, every=, keep_last=, resume=, …)")
