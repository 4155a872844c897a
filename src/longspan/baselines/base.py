"""What a baseline is: a name, a title for people, and a way from past to forecast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Baseline", "Fit", "Run", "Values"]

Values = NDArray[np.float64]
Run = Callable[[Values, int, int], Values]
"""(past (B, C), horizon H, season) → forecast (B, H); NaN in the past is missing."""
Fit = Callable[[Values, Values, int], Run]
"""(training past (W, C), training future (W, H), season) → the run that was learned."""


@dataclass(frozen=True)
class Baseline:
    """One simple method of forecasting.

    Args:
        name: key in the table.
        title: what people read, in lower case, as it stands in a sentence.
        run: past (B, C), horizon, season → (B, H). Rows do not see each other, and no value is NaN unless the
            whole past of its row is.
        needs_season: it says nothing of its own where there is no season longer than a step.
        source: the paper or book it is from.
        fit: for methods with parameters that are learned over many windows; None where `run` needs none.
            Until then `run` of such a method refuses; `fitted` gives the one that runs.
    """

    name: str
    title: str
    run: Run
    needs_season: bool
    source: str
    fit: Fit | None = None

    def fitted(self, past: Values, future: Values, season: int) -> Baseline:
        """This baseline, learned from windows of the training part; itself where there is nothing to learn.

        Args:
            past: (W, C).
            future: (W, H), what followed each past.
            season: steps of one season.
        """
        if self.fit is None:
            return self
        run = self.fit(past, future, season)
        return Baseline(self.name, self.title, run, self.needs_season, self.source)
