"""What produced a checkpoint: who saved, with which command, from which revision, with which packages."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
import socket
import subprocess
import sys
import threading
from typing import Any, Optional

from . import _agent, _dtypes

# What a name must hold for its value to be hidden. A word that only might be one is hidden too: nobody misses it in a lineage.
_SECRET = re.compile(r"token|secret|passw|passwd|api[-_]?key|access[-_]?key|private[-_]?key|credential|auth|bearer", re.I)
# Values that are secrets by their looks, whatever they are called: known prefixes, URLs with a password, long runs of mixed characters.
_LOOKS = re.compile(
    r"\b(?:hf_|ghp_|gho_|ghs_|github_pat_|glpat-|sk-|xox[abprs]-|AKIA|ASIA|AIza|ya29\.|eyJ)[A-Za-z0-9_\-./+=]{8,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?<![A-Za-z0-9_./-])(?=[A-Za-z0-9+=]*[0-9])(?=[A-Za-z0-9+=]*[a-z])(?=[A-Za-z0-9+=]*[A-Z])[A-Za-z0-9+=]{32,}(?![A-Za-z0-9_./-])"
)
_HIDDEN = "***"
_MARK = "__keepstone_hidden__"  # stands for it while words are quoted: stars would be taken for a pattern
_MOST_COMMAND = 4096
_PACKAGES = ("torch", "numpy", "jax", "transformers", "accelerate", "deepspeed", "lightning", "datasets", "safetensors")
_GIT_SECONDS = 5.0


def launch_command(words: list[str]) -> str:
    """The command as it could be typed, with what looks like a secret replaced."""
    shown: list[str] = []
    hide_next = False
    for word in words:
        name, equals, _ = word.partition("=")
        if hide_next and not word.startswith("-"):
            shown.append(_MARK)
            hide_next = False
            continue
        hide_next = False
        if equals and _SECRET.search(name):
            shown.append(f"{name}={_MARK}")
            continue
        if word.startswith("-") and not equals and _SECRET.search(word):
            hide_next = True
        shown.append(_LOOKS.sub(_MARK, word))
    return shlex.join(shown).replace(_MARK, _HIDDEN)[:_MOST_COMMAND]


def revision(directory: str) -> Optional[dict[str, Any]]:
    """Commit and dirty flag of the checkout that holds `directory`; None where there is none, or no git, or git takes too long."""

    def git(*words: str) -> str:
        environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
        done = subprocess.run(
            ["git", "-C", directory, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=_GIT_SECONDS,
            check=True,
        )
        return done.stdout.decode("utf-8", "replace").strip()

    try:
        commit = git("rev-parse", "--verify", "HEAD")
        return {"commit": commit, "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def packages() -> dict[str, str]:
    """Versions of the packages that make a difference, where they are installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


class Provenance:
    """Gathers in the background from the moment it is made, once per start: git may take seconds on a cold network file system, and no save waits for it."""

    def __init__(self) -> None:
        self._late: dict[str, Any] = {}
        main = getattr(sys.modules.get("__main__"), "__file__", None)
        # The script's own checkout; where a launcher of an installed package is the script, that of the folder it runs in.
        self._directories = [os.path.dirname(os.path.abspath(main))] if main else []
        self._directories.append(os.getcwd())
        self._words = list(getattr(sys, "orig_argv", None) or [sys.executable, *sys.argv])
        self._thread = threading.Thread(target=self._gather, name="keepstone-provenance", daemon=True)
        self._thread.start()

    def _gather(self) -> None:
        late: dict[str, Any] = {}
        for directory in self._directories:
            found = revision(directory)
            if found is not None:
                late["git"] = found
                break
        late["packages"] = packages()
        self._late = late

    def found(self) -> dict[str, Any]:
        """All that is known by now; waits a little for the rest, for registering a layout is no stall."""
        self._thread.join(1.0)
        found: dict[str, Any] = {
            "client": _agent.VERSION,
            "python": platform.python_version(),
            "host": socket.gethostname(),
            "command": launch_command(self._words),
        }
        torch, numpy = _dtypes.torch(), _dtypes.numpy()
        if torch is not None:
            found["framework"] = f"torch {torch.__version__}"
        if numpy is not None:
            found["numpy"] = str(numpy.__version__)
        return {**found, **self._late}
