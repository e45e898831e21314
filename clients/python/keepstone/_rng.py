"""The random state of the process: torch (CPU and CUDA), NumPy's global generator, Python's."""

from __future__ import annotations

import hashlib
import random
import sys
from typing import Any

from . import _dtypes
from ._generators import GeneratorState


def snapshot() -> dict[str, Any]:
    """The random state now, of the libraries that are loaded."""
    state: dict[str, Any] = {"python": GeneratorState("python", random.getstate())}
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        state["numpy"] = GeneratorState("numpy", numpy_random.get_state(legacy=False))
    torch = _dtypes.torch()
    if torch is not None:
        state["torch"] = GeneratorState("torch", torch.get_rng_state().numpy().tobytes())
        if torch.cuda.is_initialized():
            state["cuda"] = [
                GeneratorState("torch", cuda.cpu().numpy().tobytes()) for cuda in torch.cuda.get_rng_state_all()
            ]
    return state


def seeded(origin: str, step: int, rank: int) -> dict[str, Any]:
    """Random state for a rank that has none of its own in the checkpoint: of `origin` (the saved state of another), step and rank, the same in every attempt.

    Leaves the process's random state as it is.
    """
    before = snapshot()
    seed = int.from_bytes(hashlib.sha256(f"{origin}:{step}:{rank}".encode()).digest()[:8], "little") >> 1
    random.seed(seed)
    if _dtypes.numpy() is not None:
        _dtypes.numpy().random.seed([seed & 0xFFFFFFFF, seed >> 32])
    torch = _dtypes.torch()
    if torch is not None:
        torch.manual_seed(seed)
    try:
        return snapshot()
    finally:
        apply(before)


def apply(state: dict[str, Any]) -> list[str]:
    """Sets the random state of the process; returns what could not be set, in words."""
    warnings = []
    torch = _dtypes.torch()
    for name, saved in state.items():
        if name == "python":
            random.setstate(_state_of(saved).value)
        elif name == "numpy" and _dtypes.numpy() is not None:
            _dtypes.numpy().random.set_state(_state_of(saved).value)
        elif name == "torch" and torch is not None:
            torch.set_rng_state(_tensor(torch, saved))
        elif name == "cuda" and torch is not None:
            if torch.cuda.is_available() and torch.cuda.device_count() >= len(saved):
                for index, one in enumerate(saved):
                    torch.cuda.set_rng_state(_tensor(torch, one), index)
            else:
                warnings.append(
                    f"random state of {len(saved)} CUDA devices was saved; this process has fewer, it is left as it is"
                )
        else:
            warnings.append(f"random state of {name} was saved, but {name} is not loaded here")
    return warnings


def _state_of(saved: Any) -> GeneratorState:
    state = GeneratorState.of_generator(saved)
    assert state is not None
    return state


def _tensor(torch: Any, saved: Any) -> Any:
    return torch.frombuffer(bytearray(_state_of(saved).value), dtype=torch.uint8)
