"""Random generators of torch, NumPy and Python: their states as plain values."""

from __future__ import annotations

import random
from typing import Any, Optional

from . import _dtypes


class GeneratorState:
    """The state of a random generator without the generator: `of` is torch, numpy or python."""

    __slots__ = ("of", "value")

    def __init__(self, of: str, value: Any) -> None:
        self.of, self.value = of, value

    @staticmethod
    def of_generator(generator: Any) -> Optional[GeneratorState]:
        """The state of this object if it is a generator of the three libraries, else None."""
        if isinstance(generator, GeneratorState):
            return generator
        if isinstance(generator, random.Random):
            return GeneratorState("python", generator.getstate())
        torch, numpy = _dtypes.torch(), _dtypes.numpy()
        if torch is not None and isinstance(generator, torch.Generator):
            return GeneratorState("torch", generator.get_state().numpy().tobytes())
        if numpy is not None and isinstance(generator, numpy.random.Generator):
            return GeneratorState("numpy", generator.bit_generator.state)
        if numpy is not None and isinstance(generator, numpy.random.RandomState):
            return GeneratorState("numpy", generator.get_state(legacy=False))
        return None

    @staticmethod
    def is_generator(value: Any) -> bool:
        """Whether this is a generator of the three libraries."""
        torch, numpy = _dtypes.torch(), _dtypes.numpy()
        return (
            isinstance(value, (random.Random, GeneratorState))
            or (torch is not None and isinstance(value, torch.Generator))
            or (numpy is not None and isinstance(value, (numpy.random.Generator, numpy.random.RandomState)))
        )

    def into(self, generator: Any) -> bool:
        """Sets a live generator to this state; False where it is of another kind."""
        torch, numpy = _dtypes.torch(), _dtypes.numpy()
        if self.of == "python" and isinstance(generator, random.Random):
            generator.setstate(self.value)
            return True
        if self.of == "torch" and torch is not None and isinstance(generator, torch.Generator):
            generator.set_state(torch.frombuffer(bytearray(self.value), dtype=torch.uint8))
            return True
        if self.of == "numpy" and numpy is not None:
            if isinstance(generator, numpy.random.RandomState):
                generator.set_state(self.value)
                return True
            if isinstance(generator, numpy.random.Generator):
                if self.value.get("bit_generator") != type(generator.bit_generator).__name__:
                    return False
                generator.bit_generator.state = self.value
                return True
        return False

    def make(self) -> Any:
        """A new generator in this state; the state itself where the library is not loaded."""
        torch, numpy = _dtypes.torch(), _dtypes.numpy()
        generator: Any = None
        if self.of == "python":
            generator = random.Random()
        elif self.of == "torch" and torch is not None:
            generator = torch.Generator()
        elif self.of == "numpy" and numpy is not None:
            kind = self.value.get("bit_generator")
            if "has_gauss" in self.value:
                generator = numpy.random.RandomState()
            elif kind in ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"):
                generator = numpy.random.Generator(getattr(numpy.random, kind)())
        return generator if generator is not None and self.into(generator) else self
