"""What a synthetic problem is: a law by which examples are drawn, and how an answer is scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Answer", "Examples", "Problem"]

# class: one of K; number: K real numbers; set: which of K symbols may come next.
Answer = Literal["class", "number", "set"]


@dataclass(frozen=True, eq=False)
class Examples:
    """B sequences and their answers.

    Attributes:
        x: float32 (B, T, I), zero past the end of a sequence; symbols are one-hot.
        target: the answer at the end, or at every step: int64 (B,) or (B, T) of a class; float32 (B, K) or
            (B, T, K) of numbers or of sets (0 or 1).
        lengths: int64 (B,), None where all are T steps long.
        scored: bool (B, T), the steps whose answer counts; None where all do, or for one answer at the end.
    """

    x: NDArray[np.float32]
    target: NDArray[np.int64] | NDArray[np.float32]
    lengths: NDArray[np.int64] | None = None
    scored: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.x)


class Problem(Protocol):
    """A law that draws examples."""

    @property
    def input_size(self) -> int:
        """I."""

    @property
    def output_size(self) -> int:
        """K."""

    @property
    def answer(self) -> Answer:
        """What kind of answer is asked for."""

    @property
    def every_step(self) -> bool:
        """An answer is asked for at every step; otherwise at the end."""

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` examples; the same generator state draws the same ones."""
