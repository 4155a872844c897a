"""Exponential smoothing in state-space form, fitted once to a series and updated from origin to origin.

Source: Hyndman, Koehler, Snyder and Grose, "A state space framework for automatic forecasting using
exponential smoothing methods", International Journal of Forecasting 18 (2002); the equations as in Hyndman
and Athanasopoulos, "Forecasting: Principles and Practice", 3rd edition (2021), section 8.5.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from longspan.baselines.base import Origins, SeriesForecast, Unsuited, Values
from longspan.baselines.history import History, heard, make_ready, one_thread

__all__ = ["ets"]


class _Form(NamedTuple):
    """Error (and season, of the same kind: add or mul), trend and whether there is a season."""

    error: str
    trend: bool
    damped: bool
    seasonal: bool

    @property
    def title(self) -> str:
        kind = "A" if self.error == "add" else "M"
        trend = "N" if not self.trend else "Ad" if self.damped else "A"
        return f"ETS({kind},{trend},{kind if self.seasonal else 'N'})"

    @property
    def multiplies(self) -> bool:
        """Whether the season is a factor."""
        return self.seasonal and self.error == "mul"

    def without(self, value: float, part: float) -> float:
        """What is left of a value without its season, or without its level."""
        if not self.multiplies:
            return value - part
        return value / part if part else math.nan


_TRENDS = ((False, False), (True, False), (True, True))


class _Smoother(NamedTuple):
    """A form with its parameters: level alpha, trend beta, season gamma, damping phi; its first states."""

    form: _Form
    alpha: float
    beta: float
    gamma: float
    phi: float
    level: float
    trend: float
    season: Values


def ets(history: Values, origins: Origins, horizon: int, season: int) -> SeriesForecast:
    """Forecasts of one series by the form of exponential smoothing with the least AICc.

    Compared are no trend, a trend and a damped one, each with additive error and season and, where all values
    are positive, with multiplicative ones; and with a season also two forms without. Parameters are of the
    greatest likelihood on the last 1,000 values (or ten seasons) before the first origin, in which a missing
    value takes that of a season before. The states are then carried to every later origin by the same
    parameters; at a missing value they go on by their own forecast. First states are estimated too where
    there is no season, and are those of Hyndman's heuristic where there is one; the AICc counts them either
    way.

    Args:
        history: (N,), NaN where missing. origins: int64 (k,), values known at each. horizon: H.
        season: steps of one season; 1 for none.

    Raises:
        Unsuited: too few known values, all of them equal, or no form that can be estimated.
    """
    ready = make_ready(history, origins, horizon, season, "ETS", centred=False)
    notes: list[str] = []
    with one_thread():
        smoother = _best(ready, notes)
    with np.errstate(all="ignore"):  # what is not finite is said in a note
        found = _smooth(smoother, ready, horizon)
    return ready.forecast(found, smoother.form.title, tuple(notes))


def _forms(ready: History) -> list[_Form]:
    kinds = ("add", "mul") if ready.filled[: ready.first].min() > 0 else ("add",)
    seasonal = ready.season > 1
    forms = [_Form(kind, trend, damped, seasonal) for kind in kinds for trend, damped in _TRENDS]
    if seasonal:
        forms += [_Form("add", False, False, False), _Form("add", True, True, False)]
    return forms


def _best(ready: History, notes: list[str]) -> _Smoother:
    """The form of the least AICc; its warnings go to the notes."""
    best, least, said = None, np.inf, []
    for form in _forms(ready):
        warned: list[str] = []
        with heard(warned):
            fitted = _fit(form, ready)
        if fitted is not None and _aicc(fitted, form, ready) < least:
            best, least, said = (form, fitted), _aicc(fitted, form, ready), warned
    if best is None:
        raise Unsuited(
            f"no form of ETS could be estimated from its {ready.first} values before the first origin"
        )
    notes += said
    return _smoother(*best)


def _fit(form: _Form, ready: History) -> Any | None:
    """statsmodels' results, None where the form cannot be estimated from these values."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    values = ready.filled[: ready.first]
    names: dict[str, Any] = {"error": form.error, "seasonal": form.error if form.seasonal else None}
    if form.seasonal:
        names["seasonal_periods"] = ready.season
    try:
        states: dict[str, Any] = {"initialization_method": "estimated"}
        if form.seasonal:
            begun = ETSModel(values, **names, trend="add", initialization_method="heuristic")
            states = _first_states(begun)
        model = ETSModel(
            values, **names, **states, trend="add" if form.trend else None, damped_trend=form.damped
        )
        return model.fit(disp=False)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return None


def _first_states(begun: Any) -> dict[str, Any]:
    """The heuristic's first states. Its level belongs to the first step that a moving average over a season
    reaches, half a season later, and is carried back along the trend."""
    return {
        "initialization_method": "known",
        "initial_level": begun.initial_level - begun.initial_trend * (begun.seasonal_periods // 2),
        "initial_trend": begun.initial_trend,
        "initial_seasonal": begun.initial_seasonal,
    }


def _aicc(fitted: Any, form: _Form, ready: History) -> float:
    """AICc with smoothing parameters, first states and the variance counted; inf where it says nothing."""
    states = 1 + form.trend + (ready.season - 1) * form.seasonal
    parameters = 2 + form.trend + form.damped + form.seasonal + states
    spare = ready.first - parameters - 1
    if spare <= 0 or np.isnan(fitted.llf):
        return np.inf
    return float(-2 * fitted.llf + 2 * parameters * ready.first / spare)


def _smoother(form: _Form, fitted: Any) -> _Smoother:
    return _Smoother(
        form,
        float(fitted.smoothing_level),
        float(fitted.smoothing_trend) if form.trend else 0.0,
        float(fitted.smoothing_seasonal) if form.seasonal else 0.0,
        float(fitted.damping_trend) if form.damped else 1.0,
        float(fitted.initial_level),
        float(fitted.initial_trend) if form.trend else 0.0,
        np.array(fitted.initial_seasonal if form.seasonal else [0.0], dtype=np.float64),
    )


def _smooth(smoother: _Smoother, ready: History, horizon: int) -> Values:
    """(k, H): the states are carried over the values, and a forecast is made at every origin.

    The season moves towards the value over (or less) the new level, as in statsmodels, whose likelihood the
    parameters maximise. A state that breaks down (a level of zero under a factor) is NaN from then on.
    """
    form, alpha, beta, gamma, phi, level, trend, first = smoother
    season, length, share = first.tolist(), len(first), gamma / (1 - alpha)
    wanted, found = set(ready.origins.tolist()), {}
    for step, value in enumerate([*ready.values.tolist(), math.nan]):
        if step in wanted:
            phases = np.array(season)[(step + np.arange(horizon)) % length]
            found[step] = _ahead(level, trend, phi, phases, form)
        trend *= phi
        level += trend
        if value != value:  # a missing value: the states go on by themselves
            continue
        phase = season[step % length]
        error = form.without(value, phase) - level
        level += alpha * error
        trend += beta * error
        season[step % length] = phase + share * (form.without(value, level) - phase)
    return np.stack([found[origin] for origin in ready.origins.tolist()])


def _ahead(level: float, trend: float, phi: float, phases: Values, form: _Form) -> Values:
    """(H,) the forecast from one state; phases (H,) is the season from the next step on."""
    line = level + trend * np.cumsum(phi ** np.arange(1, len(phases) + 1))
    result: Values = line * phases if form.multiplies else line + phases
    return result
