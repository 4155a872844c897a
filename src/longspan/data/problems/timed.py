"""Spikes whose distance in time is all that matters: to be measured, or to be made.

After Gers, Schraudolph & Schmidhuber 2002, Learning precise timing with LSTM recurrent networks, JMLR 3,
115-143. The distance of two spikes is F or F + 1 steps, so one step is the whole difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longspan.core.checks import whole
from longspan.data.problems.base import Answer, Examples

__all__ = ["GeneratedSpikes", "MeasuredSpikes"]


@dataclass(frozen=True)
class _Spikes:
    """What both tasks are: a stream of spikes, F or F + 1 steps apart as a fair coin falls.

    Args:
        least: F, steps between two spikes at the least.
        spikes: N of a stream, after the one at its first step.
    """

    least: int
    spikes: int

    input_size = output_size = 1
    every_step = True

    def __post_init__(self) -> None:
        whole(self.least, "least", type(self).__name__, minimum=2)
        whole(self.spikes, "spikes", type(self).__name__, minimum=1)

    @property
    def answer(self) -> Answer:
        """Whether there is one thing: a late spike, or a spike."""
        return "set"

    @property
    def steps(self) -> int:
        """T of a stream, which holds its last spike wherever it falls."""
        return self.spikes * (self.least + 1) + 1

    def _times(self, count: int, draws: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What the coins show (count, N), and the steps of the spikes (count, N + 1), the first at 0."""
        late = draws.integers(0, 2, (count, self.spikes))
        times = np.zeros((count, self.spikes + 1), np.int64)
        times[:, 1:] = np.cumsum(self.least + late, axis=1)
        return late, times


class MeasuredSpikes(_Spikes):
    """Measuring (MSD): at each spike, was the one before it F steps ago (0), or F + 1 (1)?

    A stream ends with its last spike. The answers at other steps do not count.
    """

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` streams: x (count, T, 1), target (count, T, 1), scored (count, T)."""
        late, times = self._times(count, draws)
        rows = np.arange(count)[:, None]
        x, target = (np.zeros((count, self.steps, 1), np.float32) for _ in range(2))
        scored = np.zeros((count, self.steps), np.bool_)
        x[rows, times, 0] = 1.0
        target[rows, times[:, 1:], 0] = late
        scored[rows, times[:, 1:]] = True
        return Examples(x, target, times[:, -1] + 1, scored)


class GeneratedSpikes(_Spikes):
    """Making (GTS): a spike is due F steps after the last one, or F + 1 if the input at that one was 1.

    The input is what the coin shows, at the step of the spike that begins the interval, and 0 elsewhere: it
    tells how long to wait, and never when a spike is due. A stream begins with a spike at its first step,
    which is not asked for; the answer at every later step is 1 for a spike and 0 for none.
    """

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` streams: x (count, T, 1), target (count, T, 1), scored (count, T)."""
        late, times = self._times(count, draws)
        rows = np.arange(count)[:, None]
        x, target = (np.zeros((count, self.steps, 1), np.float32) for _ in range(2))
        scored = np.ones((count, self.steps), np.bool_)
        x[rows, times[:, :-1], 0] = late
        target[rows, times[:, 1:], 0] = 1.0
        scored[:, 0] = False
        return Examples(x, target, times[:, -1] + 1, scored)
