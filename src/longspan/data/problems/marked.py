"""The marked symbol: a problem whose memory span is known exactly, to test with it what measures memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longspan.core.checks import whole
from longspan.data.problems.base import Answer, Examples

__all__ = ["MarkedSymbol"]


@dataclass(frozen=True)
class MarkedSymbol:
    """The label is the symbol that stands under the mark, ``lag`` steps before the last one.

    Every step shows one of K random symbols, one-hot; one more channel is 1 at the marked step and 0
    elsewhere. All other symbols are distractors. Lengths are drawn from ``lag + 1`` to
    ``lag + lag // 2 + 4``, so neither the length nor the place tells the answer, and what is older than
    ``lag`` steps means nothing.

    Args:
        lag: steps between the mark and the end, at least 1.
        symbols: K, at least 2.
    """

    lag: int
    symbols: int = 4

    def __post_init__(self) -> None:
        whole(self.lag, "lag", "MarkedSymbol", minimum=1)
        whole(self.symbols, "symbols", "MarkedSymbol", minimum=2)

    @property
    def input_size(self) -> int:
        """K symbols and the mark."""
        return self.symbols + 1

    @property
    def output_size(self) -> int:
        """K."""
        return self.symbols

    @property
    def answer(self) -> Answer:
        """One of K classes."""
        return "class"

    @property
    def every_step(self) -> bool:
        """The answer is asked for at the end."""
        return False

    @property
    def longest(self) -> int:
        """T, the most steps of a sequence."""
        return self.lag + self.lag // 2 + 4

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` examples: x (count, T, K + 1), target and lengths (count,)."""
        rows = np.arange(count)
        lengths = draws.integers(self.lag + 1, self.longest + 1, count)
        symbols = draws.integers(0, self.symbols, (count, self.longest))
        x = np.zeros((count, self.longest, self.input_size), dtype=np.float32)
        x[rows[:, None], np.arange(self.longest), symbols] = 1.0
        marked = lengths - 1 - self.lag
        x[rows, marked, self.symbols] = 1.0
        x[np.arange(self.longest) >= lengths[:, None]] = 0.0
        return Examples(x, symbols[rows, marked], lengths)
