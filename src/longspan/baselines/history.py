"""One series made ready for a model fitted to it alone: checked, cut, gaps filled, on its own scale."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from longspan.baselines.base import Origins, SeriesForecast, Unsuited, Values
from longspan.baselines.naive import checked_past
from longspan.core.errors import InputError

__all__ = ["History", "heard", "make_ready", "one_thread"]

_LEAST = 10  # known values from which one level and one trend are estimated
_MOST, _MOST_SEASONS = 1000, 10  # values that a model is fitted to: the larger


@dataclass(frozen=True, eq=False)
class History:
    """The part of a series that a model sees.

    Args:
        values: (M,), centred and scaled as asked, NaN where missing; the first is known.
        filled: (M,), a missing value takes that of a season before it, at the beginning the last known one.
        origins: int64 (k,), how many of these values are known at each origin.
        season: steps of one season; 1 where there is none or the history has not two of them.
        centre, unit: values · unit + centre are the user's.
        notes: what was done, in words.
    """

    values: Values
    filled: Values
    origins: Origins
    season: int
    centre: float
    unit: float
    notes: tuple[str, ...]

    @property
    def first(self) -> int:
        """How many of the values a model may be fitted to: those before the first origin."""
        return int(self.origins.min())

    def forecast(self, values: Values, form: str, notes: tuple[str, ...] = ()) -> SeriesForecast:
        """(k, H) on this scale → in the user's units; a row with a number that is not finite is NaN."""
        finite = np.all(np.isfinite(values), axis=1)
        if not finite.all():
            notes = (*notes, f"no finite forecast from {int((~finite).sum())} of {len(values)} origins")
        found = np.where(finite[:, None], values * self.unit + self.centre, np.nan)
        form = f"{form} on the last {self.first:,} values"
        return SeriesForecast(found, form, (*self.notes, *notes))


def make_ready(
    history: Values, origins: Origins, horizon: int, season: int, where: str, *, centred: bool
) -> History:
    """Check a series and cut it to what is fitted and what follows.

    Fitted are the last 1,000 values before the first origin, or the last ten seasons where these are more.
    The scale is from these values alone.

    Args:
        history: (N,), NaN where missing. origins: int64 (k,), each in 1 … N.
        where: name of the method, for messages.
        centred: subtract the mean.

    Raises:
        InputError: arguments that no series could have.
        Unsuited: fewer than ten known values, more than half of them missing, or all equal.
    """
    values = checked_past(np.asarray(history)[None], horizon, season, where)[0]
    origins = np.asarray(origins)
    if origins.ndim != 1 or not len(origins) or origins.dtype.kind not in "iu":
        raise InputError(f"{where}: expected origins as whole numbers of shape (k,), got {origins!r}")
    if origins.min() < 1 or origins.max() > len(values):
        raise InputError(
            f"{where}: expected origins in 1 … {len(values)}, got {origins.min()} … {origins.max()}"
        )
    first = int(origins.min())
    start = max(0, first - max(_MOST, _MOST_SEASONS * season))
    known = np.flatnonzero(~np.isnan(values[start:first]))
    start += int(known[0]) if len(known) else 0
    fitted = _suitable(values[start:first])

    notes = []
    if len(known) < first - start:
        notes.append(f"{first - start - len(known):,} of {first - start:,} values are missing")
    if season > 1 and first - start < 2 * season + 1:
        notes.append(f"without a season: there are not two of {season} steps before the first origin")
        season = 1
    centre, unit = float(np.nanmean(fitted)) if centred else 0.0, float(np.nanstd(fitted))
    values = (values[start : origins.max()] - centre) / unit
    filled = _filled(values, season)
    return History(values, filled, (origins - start).astype(np.int64), season, centre, unit, tuple(notes))


@contextmanager
def heard(notes: list[str]) -> Iterator[None]:
    """Put warnings of what runs inside into `notes`, each once and on one line."""
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        yield
    for warning in caught:
        text = " ".join(str(warning.message).split())
        if text not in notes:
            notes.append(text)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep linear algebra on one thread: matrices of a few numbers gain nothing from more, and on a machine
    that is shared the threads wait for each other."""
    import scipy.linalg  # noqa: F401 - its BLAS must be loaded to be limited
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def _suitable(fitted: Values) -> Values:
    known = fitted[~np.isnan(fitted)]
    if len(known) < _LEAST:
        raise Unsuited(f"it has {len(known)} known values before the first origin, and {_LEAST} are needed")
    if len(known) < len(fitted) / 2:
        raise Unsuited(
            f"{len(fitted) - len(known):,} of its {len(fitted):,} values before the first origin are missing"
        )
    if np.ptp(known) <= 1e-12 * np.abs(known).max():
        raise Unsuited(
            f"all its values before the first origin are {known[0]:g}, and nothing can be estimated"
        )
    return fitted


def _filled(values: Values, season: int) -> Values:
    """Missing values take that of a season before; in the first season, the last known one. Nothing later is
    read."""
    filled = values.copy()
    for place in np.flatnonzero(np.isnan(values)):
        filled[place] = filled[place - season] if place >= season else filled[place - 1]
    return filled
