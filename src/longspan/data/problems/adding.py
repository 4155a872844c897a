"""Two marked numbers among many, to be added or multiplied at the end.

Hochreiter & Schmidhuber 1997, Long short-term memory, Neural Computation 9(8), sections 5.4 and 5.5; the
fixed-length form is that of Le, Jaitly & Hinton 2015 (arXiv:1504.00941) and Bai, Kolter & Koltun 2018.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from longspan.core.checks import choice, whole
from longspan.data.problems.base import Answer, Examples

__all__ = ["Adding", "Marked1997", "combined"]

_FIRST_MARK = 10  # the first marked pair is among the first ten


class Marked1997:
    """Pairs (number, marker) as in 1997: T to 1.1 T of them, the answer at the end.

    The marker is -1 at the first and the last pair, 1 at two pairs (the first of them among the first ten,
    the second before the middle), 0 elsewhere. A first pair that is to be marked keeps its -1 and counts as
    0 in a sum, 1 in a product. Numbers are in [-1, 1] for ``"sum"``, whose answer is
    0.5 + (X1 + X2) / 4, and in [0, 1] for ``"product"``, whose answer is X1 · X2.

    Args:
        length: T, at least 22, so that ten pairs lie before the middle.
        operation: sum or product.

    Raises:
        InputError: a length too small, or another operation.
    """

    input_size = 2
    output_size = 1
    answer: Answer = "number"
    every_step = False

    def __init__(self, length: int, operation: Literal["sum", "product"] = "sum") -> None:
        self.length = whole(length, "length", "Marked1997", minimum=2 * _FIRST_MARK + 2)
        self.operation = choice(operation, "operation", "Marked1997", ("sum", "product"))

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` sequences: x (B, T + T // 10, 2), target (B, 1)."""
        T = self.length
        lengths = draws.integers(T, T + T // 10 + 1, count)
        numbers = draws.uniform(-1.0 if self.operation == "sum" else 0.0, 1.0, (count, T + T // 10))
        first, second = _places(count, T, draws)
        rows = np.arange(count)
        marks = np.zeros_like(numbers)
        marks[rows, first] = marks[rows, second] = 1.0
        marks[:, 0] = marks[rows, lengths - 1] = -1.0
        x = np.stack([numbers, marks], axis=-1).astype(np.float32)
        x[np.arange(x.shape[1]) >= lengths[:, None]] = 0.0
        target = combined(x[rows, first, 0], x[rows, second, 0], first, second, self.operation)
        return Examples(x, target[:, None], lengths)


def _places(
    count: int, length: int, draws: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which two pairs are marked: one of the first ten, then one of the first T/2 - 1 that is still free."""
    first = draws.integers(0, _FIRST_MARK, count)
    second = draws.integers(0, length // 2 - 2, count)
    return first, second + (second >= first)


def combined(
    one: NDArray[np.float32],
    other: NDArray[np.float32],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    operation: str,
) -> NDArray[np.float32]:
    """The answer to marked numbers (B,) at places (B,); a number at place 0 counts as nothing."""
    neutral = np.float32(0.0 if operation == "sum" else 1.0)
    left, right = np.where(first == 0, neutral, one), np.where(second == 0, neutral, other)
    found = 0.5 + (left + right) / 4.0 if operation == "sum" else left * right
    return np.asarray(found, np.float32)


class Adding:
    """Pairs (number in [0, 1], marker 0 or 1) of one length T; the answer is the sum of the two marked, one
    in either half. To answer 1 always has a mean squared error of 1/6.

    Args:
        length: T, at least 2.

    Raises:
        InputError: a length too small.
    """

    input_size = 2
    output_size = 1
    answer: Answer = "number"
    every_step = False

    def __init__(self, length: int) -> None:
        self.length = whole(length, "length", "Adding", minimum=2)

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` sequences: x (B, T, 2), target (B, 1)."""
        T = self.length
        x = np.zeros((count, T, 2), np.float32)
        x[..., 0] = draws.random((count, T), np.float32)
        rows, half = np.arange(count), T // 2
        first, second = draws.integers(0, half, count), draws.integers(half, T, count)
        x[rows, first, 1] = x[rows, second, 1] = 1.0
        return Examples(x, (x[rows, first, 0] + x[rows, second, 0])[:, None])
