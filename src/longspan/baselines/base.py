"""What a baseline is: a name, a title for people, and a way from past to forecast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from longspan.core.errors import InputError, LongspanError

__all__ = [
    "Baseline",
    "Fit",
    "Kind",
    "Origins",
    "OverOrigins",
    "Run",
    "SeriesForecast",
    "Unsuited",
    "Values",
    "refusing",
]

Values = NDArray[np.float64]
Origins = NDArray[np.int64]
Kind = Literal["window", "learned", "series"]
Run = Callable[[Values, int, int], Values]
"""(past (B, C), horizon H, season) → forecast (B, H); NaN in the past is missing."""
Fit = Callable[[Values, Values, int], Run]
"""(training past (W, C), training future (W, H), season) → the run that was learned."""


class Unsuited(LongspanError, ValueError):  # noqa: N818 - no error of the caller: this series suits no model
    """A series from which a method fitted to each series cannot forecast; the message is the reason."""


class SeriesForecast(NamedTuple):
    """Forecasts of one series from k origins.

    Args:
        values: (k, H), in the order of the origins; a row is NaN where the model gave no finite number, and a
            note says so.
        form: the model that was chosen: ``ETS(A,Ad,N) on the last 1,000 values``.
        notes: what a reader should know: gaps filled, a season left out, warnings of the optimiser.
    """

    values: Values
    form: str
    notes: tuple[str, ...]


OverOrigins = Callable[[Values, Origins, int, int], SeriesForecast]
"""(history (N,), origins int64 (k,), horizon, season) → forecasts from every origin.

An origin is the number of values known at it. What is learned is learned from the values before the least of
the origins, and a forecast reads the values up to its own: what comes later changes no bit of it. It raises
`Unsuited` where the series cannot be forecast.
"""


def refusing(where: str, reason: str) -> Run:
    """A run for the table, of a method that cannot run yet: it says why and what to call."""

    def run(_past: Values, _horizon: int, _season: int) -> Values:
        raise InputError(f"{where}: {reason}")

    return run


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
        over_origins: for methods that are fitted to each series alone; None elsewhere. Their `run` refuses.
            They are slow: `longspan.baselines.sampling` says on which series they run.
    """

    name: str
    title: str
    run: Run
    needs_season: bool
    source: str
    fit: Fit | None = None
    over_origins: OverOrigins | None = None

    def __post_init__(self) -> None:
        if self.fit is not None and self.over_origins is not None:
            raise InputError(f"Baseline {self.name!r}: expected fit or over_origins, got both")

    @property
    def kind(self) -> Kind:
        """``window``: runs at once; ``learned``: over training windows first; ``series``: for each series."""
        if self.over_origins is not None:
            return "series"
        return "window" if self.fit is None else "learned"

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
