"""The losses of the steps since the last validation."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from torch import Tensor

__all__ = ["Fault", "Losses"]


class Fault(NamedTuple):
    """A step (from 0) whose loss, or whose gradient's norm, is not finite."""

    step: int
    loss: float
    norm: float


class Losses:
    """Sum and count of the losses that were looked at, and those that were not yet.

    Args:
        read_every: steps between two looks; 1 finds a fault before the step reaches the weights.
    """

    def __init__(self, read_every: int) -> None:
        self.read_every = read_every
        self.last_good: float | None = None
        self._sum, self._count = 0.0, 0
        self._unread: list[tuple[int, Tensor, Tensor]] = []

    def add(self, step: int, loss: Tensor, norm: Tensor) -> Fault | None:
        """Take in a step's loss and gradient norm, and look at them if it is time."""
        self._unread.append((step, loss, norm))
        return self.read() if len(self._unread) >= self.read_every else None

    def read(self) -> Fault | None:
        """Look at what was not looked at; the first fault, if there is one."""
        for step, loss, norm in self._unread:
            fault = Fault(step, float(loss), float(norm))
            if not (math.isfinite(fault.loss) and math.isfinite(fault.norm)):
                return fault
            self._sum += fault.loss
            self._count += 1
            self.last_good = fault.loss
        self._unread.clear()
        return None

    def mean(self) -> float | None:
        """Of the losses looked at since `restart`, or None where there are none."""
        return self._sum / self._count if self._count else None

    def restart(self) -> None:
        """Begin a new mean."""
        self._sum, self._count = 0.0, 0

    def to_json(self) -> dict[str, Any]:
        """Plain values for a checkpoint; everything must have been read."""
        return {"sum": self._sum, "count": self._count, "last_good": self.last_good}

    def load(self, value: dict[str, Any]) -> None:
        """Go on from what `to_json` gave."""
        self._sum, self._count, self.last_good = value["sum"], value["count"], value["last_good"]
