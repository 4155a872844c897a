"""What every ``compare`` takes besides the options of its task; light, since the command line reads it."""

from __future__ import annotations

from longspan.tasks.base import option
from longspan.tasks.settings import FitSettings

__all__ = ["SHARES", "CompareSettings"]

SHARES = (0.1, 0.3, 1.0)
"""Shares of the training data on a learning curve."""


class CompareSettings(FitSettings):
    """What every ``compare`` takes besides the options of its task."""

    out: str | None = option(None, "folder to write the page and the figures to", min_length=1)
    time_budget: float | None = option(
        None, "longest time for the whole comparison, split equally, in seconds or as 90s, 15m, 2h"
    )
    force: bool = option(False, "replace the comparison at out")
    encoders: tuple[str, ...] = option(
        (), "encoders to compare; all that there are", group="Comparison", metavar="NAME"
    )
    seeds: int = option(
        3, "trainings of each encoder, each with a seed of its own", group="Comparison", ge=1, le=100
    )
    learning_curve: bool = option(False, "the same with 10 and 30 % of the training data", group="Comparison")

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares of the training data, the whole last."""
        return SHARES if self.learning_curve else SHARES[-1:]
