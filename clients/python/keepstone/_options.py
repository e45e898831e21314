"""What a Checkpointer is told: checked, and foreign spellings answered with ours."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable
from typing import Any, Optional, Union

from ._errors import Refused

_FOREIGN = {
    "save_total_limit": "keep_last",
    "max_to_keep": "keep_last",
    "keep": "keep_last",
    "keep_latest_k": "keep_last",
    "num_to_keep": "keep_last",
    "num_checkpoints_to_keep": "keep_last",
    "most_recent_k": "keep_last",
    "total_limit": "keep_last",
    "keep_period": "keep_every",
    "keep_time_interval": "keep_every",
    "save_retain_interval": "keep_every",
    "save_top_k": "keep_best",
    "save_best_only": "keep_best",
    "load_best_model_at_end": "keep_best",
    "metric_for_best_model": "monitor",
    "checkpoint_score_attribute": "monitor",
    "best_fn": "monitor",
    "greater_is_better": "mode",
    "best_mode": "mode",
    "checkpoint_score_order": "mode",
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


_ALL = "all"
_MOST = 2**31 - 1
_DISTANCE = re.compile(r"\s*[1-9][0-9]{0,11}\s*(?:steps?|s|m|min|h|d)\s*")


def policy(
    keep_last: Union[int, str],
    keep_every: Union[str, Iterable[str], None],
    keep_best: int,
    monitor: Optional[str],
    mode: Optional[str],
) -> dict[str, Any]:
    """The retention rules as the agent, the store and the commands have them; a checkpoint stays where any of them keeps it."""
    if keep_last != _ALL and (
        isinstance(keep_last, bool) or not isinstance(keep_last, int) or not 1 <= keep_last <= _MOST
    ):
        raise Refused("keep_last must be at least 1", repr(keep_last), 'keep_last="all" keeps every checkpoint')
    rules: dict[str, Any] = {"keep_last": keep_last}
    distances = [keep_every] if isinstance(keep_every, str) else list(keep_every or ())
    for distance in distances:
        if not isinstance(distance, str) or _DISTANCE.fullmatch(distance) is None:
            raise Refused(
                "keep_every is steps or a time",
                repr(distance),
                'for example keep_every="1000steps", or ["1000steps", "6h"]',
            )
    if distances:
        rules["keep_every"] = distances
    if isinstance(keep_best, bool) or not isinstance(keep_best, int) or not 0 <= keep_best <= _MOST:
        raise Refused("keep_best is a number, 0 for none", repr(keep_best))
    if monitor is None:
        if keep_best or mode is not None:
            raise Refused(
                "keep_best and mode need a monitor",
                repr(mode or keep_best),
                'for example monitor="val_loss", mode="min"',
            )
        return rules
    if mode not in ("min", "max"):
        raise Refused(
            "mode is min or max: which value of the monitor is the better one", repr(mode), 'for example mode="min"'
        )
    return {**rules, "keep_best": keep_best, "monitor": monitor, "mode": mode}


def choice(name: str, value: str, choices: Iterable[str]) -> str:
    """The value, if it is one of the choices."""
    if value not in choices:
        raise Refused(f"{name} is one of {', '.join(choices)}", repr(value))
    return value


def refuse_foreign(names: Iterable[str]) -> None:
    """Keywords that other libraries would understand, answered with ours."""
    for name in names:
        hint = f"{name} is {_FOREIGN[name]} here" if name in _FOREIGN else f"Checkpointer has no {name}"
        raise TypeError(f"{hint}: Checkpointer(store, run, every=, keep_last=, keep_every=, keep_best=, resume=, …)")


def failures(on_save_error: str) -> Optional[int]:
    """How many saves may fail one after another before that is raised; None: any number."""
    found = re.fullmatch(r"fail_after_n:([1-9][0-9]{0,8})", str(on_save_error))
    if found is not None:
        return int(found[1])
    choice("on_save_error", on_save_error, ("warn", "fail", "fail_after_n:3"))
    return None if on_save_error == "warn" else 1


def seconds(name: str, value: float) -> float:
    """A timeout."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
        raise Refused(f"{name} is a number of seconds above 0", repr(value))
    return float(value)


def signal_number(name: Union[str, int, None]) -> Optional[int]:
    """The number of a signal, given by name ("SIGUSR1") or number."""
    if name is None:
        return None
    try:
        return int(signal.Signals[name] if isinstance(name, str) else signal.Signals(name))
    except (KeyError, ValueError):
        raise Refused("on_signal is the name of a signal", repr(name), 'for example on_signal="SIGUSR1"') from None
