"""A few telling symbols among many others: in which order did they come?

Hochreiter & Schmidhuber 1997, Long short-term memory, Neural Computation 9(8), section 5.6, tasks 6a and 6b.
"""

from __future__ import annotations

import numpy as np

from longspan.core.checks import whole
from longspan.core.errors import InputError
from longspan.data.problems.base import Answer, Examples

__all__ = ["SYMBOLS", "TemporalOrder"]

SYMBOLS = ("a", "b", "c", "d", "X", "Y", "E", "B")
_PLACES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
_LENGTHS = (100, 110)


class TemporalOrder:
    """Two or three symbols X or Y at widely separated places: 4 or 8 classes by what they are, in order.

    A sequence has 100 to 110 symbols: ``E`` first, ``B`` last, X or Y at the places (10 to 20, 50 to 60, or
    10 to 20, 33 to 43, 66 to 76), and a, b, c, d at random elsewhere; the eight are one-hot.

    Args:
        marks: how many symbols tell, 2 or 3.

    Raises:
        InputError: another number.
    """

    input_size = len(SYMBOLS)
    answer: Answer = "class"
    every_step = False

    def __init__(self, marks: int = 2) -> None:
        self.marks = whole(marks, "marks", "TemporalOrder")
        if self.marks not in _PLACES:
            raise InputError(f"TemporalOrder: expected 2 or 3 marks, got {marks}")

    @property
    def output_size(self) -> int:
        """2 to the number of marks."""
        return int(2**self.marks)

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` sequences: x (B, 110, 8) one-hot, target (B,), the marks read as binary digits, X = 0."""
        lengths = draws.integers(_LENGTHS[0], _LENGTHS[1] + 1, count)
        tokens = draws.integers(0, 4, (count, _LENGTHS[1]))
        rows, target = np.arange(count), np.zeros(count, np.int64)
        for low, high in _PLACES[self.marks]:
            which = draws.integers(0, 2, count)
            tokens[rows, draws.integers(low, high + 1, count)] = SYMBOLS.index("X") + which
            target = 2 * target + which
        tokens[:, 0], tokens[rows, lengths - 1] = SYMBOLS.index("E"), SYMBOLS.index("B")
        x = np.eye(len(SYMBOLS), dtype=np.float32)[tokens]
        x[np.arange(_LENGTHS[1]) >= lengths[:, None]] = 0.0
        return Examples(x, target, lengths)
