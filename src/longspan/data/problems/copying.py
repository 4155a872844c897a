"""Copy memory: a few symbols are shown, and after a long blank are to be repeated in order.

Hochreiter & Schmidhuber 1997 in spirit; this form is of Arjovsky, Shah & Bengio 2016, Unitary evolution
recurrent neural networks, arXiv:1511.06464, and Bai, Kolter & Koltun 2018, arXiv:1803.01271.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from longspan.core.checks import whole
from longspan.data.problems.base import Answer, Examples

__all__ = ["CopyMemory"]


@dataclass(frozen=True)
class CopyMemory:
    """``kept`` random symbols, then ``lag`` - 1 blanks, then ``kept`` + 1 signs to answer.

    Inputs are one-hot: the blank, the symbols, the sign. The answer at every step is the blank, but at the
    last ``kept`` steps the symbols in their order.

    Args:
        lag: T; a sequence has T + 2 kept steps.
        symbols: to draw from. kept: how many are to be remembered.
    """

    lag: int
    symbols: int = 8
    kept: int = 10

    def __post_init__(self) -> None:
        for name, value, least in (
            ("lag", self.lag, 1),
            ("symbols", self.symbols, 2),
            ("kept", self.kept, 1),
        ):
            whole(value, name, "CopyMemory", minimum=least)

    @property
    def input_size(self) -> int:
        """The blank, the symbols and the sign."""
        return self.symbols + 2

    @property
    def output_size(self) -> int:
        """The blank and the symbols."""
        return self.symbols + 1

    @property
    def answer(self) -> Answer:
        """One of the symbols, or the blank."""
        return "class"

    @property
    def every_step(self) -> bool:
        """The blank too is an answer."""
        return True

    @property
    def steps(self) -> int:
        """Of a sequence."""
        return self.lag + 2 * self.kept

    @property
    def memoryless_loss(self) -> float:
        """Mean cross entropy, in nats, of the best that can be done without any memory of the symbols: the
        blank is always right where it is due, and each symbol is guessed.
        """
        return self.kept * math.log(self.symbols) / self.steps

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` sequences: x (count, T + 2 kept, symbols + 2), target (count, T + 2 kept)."""
        symbols = draws.integers(1, self.symbols + 1, (count, self.kept))
        tokens = np.zeros((count, self.steps), np.int64)
        tokens[:, : self.kept] = symbols
        tokens[:, -self.kept - 1 :] = self.symbols + 1
        target = np.zeros_like(tokens)
        target[:, -self.kept :] = symbols
        return Examples(np.eye(self.input_size, dtype=np.float32)[tokens], target)
