"""A symbol to be kept through a long row of others: nothing but the memory tells the answer.

Hochreiter & Schmidhuber 1997, Long short-term memory, Neural Computation 9(8), section 5.2, task 2c.
"""

from __future__ import annotations

import numpy as np

from longspan.core.checks import whole
from longspan.data.problems.base import Answer, Examples

__all__ = ["LongLag"]

_STOP = 0.1  # the chance that the row of distractors ends, at each one beyond the least


class LongLag:
    """``b``, then ``x`` or ``y``, then q + k distractors, then the trigger ``e``: which was it?

    There are p + 4 symbols, one-hot: p distractors, e, b, x, y. The number k of further distractors is drawn
    by P(k) = (1/10)(9/10)^k, so the end comes unforeseen, and each distractor is drawn at random, so there
    are no local regularities. The answer is asked for at the end only.

    Args:
        lag: q, the least number of distractors between the symbol and the trigger.
        symbols: p, of how many distractors there are.
        longest: greatest k. The law has no greatest; beyond 150 lie 1.4 sequences in ten million.

    Raises:
        InputError: a size below 1.
    """

    output_size = 2
    answer: Answer = "class"
    every_step = False

    def __init__(self, lag: int, symbols: int, longest: int = 150) -> None:
        self.lag = whole(lag, "lag", "LongLag", minimum=1)
        self.symbols = whole(symbols, "symbols", "LongLag", minimum=1)
        self.longest = whole(longest, "longest", "LongLag", minimum=0)

    @property
    def input_size(self) -> int:
        """p + 4."""
        return self.symbols + 4

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` sequences: x (B, T, p + 4) one-hot, target (B,) 0 for x and 1 for y."""
        p = self.symbols
        more = np.minimum(draws.geometric(_STOP, count) - 1, self.longest)
        target = draws.integers(0, 2, count)
        lengths = (self.lag + more + 3).astype(np.int64)
        tokens = draws.integers(0, p, (count, int(lengths.max())))
        rows = np.arange(count)
        tokens[:, 0], tokens[:, 1], tokens[rows, lengths - 1] = p + 1, p + 2 + target, p
        x = np.zeros((*tokens.shape, p + 4), np.float32)
        row, step = np.nonzero(np.arange(tokens.shape[1]) < lengths[:, None])
        x[row, step, tokens[row, step]] = 1.0
        return Examples(x, target, lengths)
