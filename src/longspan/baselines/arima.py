"""ARIMA on the seasonally adjusted series, fitted once to a series and updated from origin to origin.

Sources: the season is removed by STL (Cleveland, Cleveland, McRae and Terpenning, "STL: A seasonal-trend
decomposition procedure based on loess", Journal of Official Statistics 6, 1990); differences by repeated KPSS
tests and the order by AICc, as in Hyndman and Khandakar, "Automatic time series forecasting: the forecast
package for R", Journal of Statistical Software 27:3 (2008).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from longspan.baselines.base import Origins, SeriesForecast, Unsuited, Values
from longspan.baselines.history import History, heard, make_ready, one_thread
from longspan.baselines.naive import drift

__all__ = ["arima"]

_ORDERS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (2, 1), (1, 2))  # (p, q)
_CYCLES = 11  # width of STL's seasonal smoother, as in R's stlf
_LEVEL = 0.05  # of the KPSS test
_STRAIGHT = 1e-8  # of a standard deviation: a line that differs by less from one is one


class _Model(NamedTuple):
    order: tuple[int, int, int]
    trend: str
    results: Any

    @property
    def title(self) -> str:
        p, d, q = self.order
        return f"ARIMA({p},{d},{q})" + {"n": "", "c": " with a mean", "t": " with drift"}[self.trend]


def arima(history: Values, origins: Origins, horizon: int, season: int) -> SeriesForecast:
    """Forecasts of one series: ARIMA on what is left without the season, whose last cycle is added back.

    The order is chosen once, on the last 1,000 values (or ten seasons) before the first origin: differences
    (at most two) until a KPSS test at 5 % finds the level steady, then p and q of at most 2 (together at most
    3) and, after one difference, a drift by AICc. At every origin STL is run on the values up to it, and the
    model, with the parameters that it has, is filtered over what is left. A missing value stays missing for
    ARIMA; for STL it takes that of a season before. Where the adjusted series is a straight line, that is
    continued.

    Args:
        history: (N,), NaN where missing. origins: int64 (k,), values known at each. horizon: H.
        season: steps of one season; 1 for none, and then nothing is adjusted.

    Raises:
        Unsuited: too few known values, all of them equal, or no order that can be estimated.
    """
    ready = make_ready(history, origins, horizon, season, "ARIMA", centred=True)
    notes: list[str] = []
    with one_thread():
        model = _chosen(ready, notes)
        with heard(notes):
            found = [_ahead(model, ready, int(origin), horizon) for origin in ready.origins]
    form = "a straight line" if model is None else model.title
    if ready.season > 1:
        form += f" after STL of {ready.season} steps"
    return ready.forecast(np.stack(found), form, tuple(notes))


def _chosen(ready: History, notes: list[str]) -> _Model | None:
    """The model of the values before the first origin; None where without their season they are a line."""
    season = _season(ready, ready.first)
    adjusted = ready.values[: ready.first] - season
    if _straight(adjusted):
        return None
    return _best(adjusted, ready.filled[: ready.first] - season, notes)


def _season(ready: History, origin: int) -> Values:
    """(origin,) the seasonal part of the values up to an origin, zeros where there is no season.

    Trend and low-pass filter are computed ten times a season and joined by lines, as R's stl does.
    """
    if ready.season == 1:
        return np.zeros(origin)
    from statsmodels.tsa.seasonal import STL

    jump = math.ceil(ready.season / 10)
    stl = STL(
        ready.filled[:origin], period=ready.season, seasonal=_CYCLES, trend_jump=jump, low_pass_jump=jump
    )
    season: Values = stl.fit().seasonal
    return season


def _ahead(model: _Model | None, ready: History, origin: int, horizon: int) -> Values:
    """(H,) from one origin; without a model the line through what is left is continued."""
    season = _season(ready, origin)
    adjusted = ready.values[:origin] - season
    cycle = np.resize(season[-ready.season :], horizon)
    if model is None:
        rest: Values = drift(adjusted[None], horizon)[0]
    else:
        rest = model.results.apply(adjusted, refit=False).forecast(horizon)
    return rest + cycle


def _straight(values: Values) -> bool:
    known = np.flatnonzero(~np.isnan(values))
    line = np.interp(known, known[[0, -1]], values[known[[0, -1]]])
    return bool(np.abs(values[known] - line).max() <= _STRAIGHT)


def _best(adjusted: Values, filled: Values, notes: list[str]) -> _Model:
    """The order of the least AICc; its warnings go to the notes.

    Args:
        adjusted: (M,), NaN where missing. filled: (M,), the same with gaps filled, for the test.
    """
    d = _differences(filled)
    tried = [_fit(adjusted, (p, d, q), "c" if d == 0 else "n") for p, q in _ORDERS]
    fitted = [each for each in tried if each is not None]
    if not fitted:
        raise Unsuited(f"no ARIMA could be estimated from its {len(adjusted)} values before the first origin")
    best = min(fitted, key=_aicc)
    drifting = _fit(adjusted, best[0].order, "t") if d == 1 else None
    if drifting is not None:
        best = min(best, drifting, key=_aicc)
    notes += best[1]
    return best[0]


def _aicc(fitted: tuple[_Model, list[str]]) -> float:
    return float(fitted[0].results.aicc)


def _fit(adjusted: Values, order: tuple[int, int, int], trend: str) -> tuple[_Model, list[str]] | None:
    """The model and its warnings; None where it cannot be estimated from these values."""
    from statsmodels.tsa.arima.model import ARIMA

    warned: list[str] = []
    try:
        with heard(warned):
            results = ARIMA(adjusted, order=order, trend=trend).fit()
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return None
    if not np.isfinite(results.aicc):
        return None
    return _Model(order, trend, results), warned


def _differences(values: Values) -> int:
    """How often to difference until a KPSS test finds the level steady; at most twice."""
    from statsmodels.tsa.stattools import kpss

    for count in range(2):
        rest = np.diff(values, count)
        if rest.std() <= _STRAIGHT:
            return count
        with heard([]):
            p = float(kpss(rest, regression="c", nlags="auto")[1])
        if p >= _LEVEL:
            return count
    return 2
