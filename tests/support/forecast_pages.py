"""Reports of forecasters that nobody trained: records made up from a seed, by which every part is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel
from longspan.evaluation.audit import Audit, Finding
from longspan.evaluation.backtest import Backtest, Method
from longspan.evaluation.conformal import calibration_of
from longspan.evaluation.verdict import judge
from longspan.metrics.point import seasonal_scale
from longspan.models.design import Design
from longspan.models.forecasting import Forecasts
from longspan.tasks.forecast_report import forecast_report
from longspan.training.history import History, Record

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
NORMAL = np.array([-1.96, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.96])
SEASON = 24
CLEAN = Audit((), ("noise after the cut: 14 numbers, 2,048 windows", "the last observation changed"), 1.2)
LEAKS = Audit(
    (
        Finding(
            "the target shifted",
            "column 'load_next'",
            "column 'load_next' is the target 3 steps later, times 2.1. Leave the column out",
        ),
        Finding(
            "same series on both sides",
            "series 'north', series 'south'",
            "values 101 to 196 of series 'north', tested in part, are values 5 to 100 of series 'south', "
            "learned from. Leave one of them out, or scores tell how well was copied",
        ),
    ),
    CLEAN.checks,
    1.2,
)
TRIALS = tuple(
    {
        "trial": number,
        "loss": None if number == 3 else 0.21 + 0.013 * (number - 4) ** 2,
        "hidden_size": 16 * number,
        "num_layers": 1 + number % 2,
        "dropout": 0.1,
        "context": 48 * number,
        "learning_rate": 0.0012345 * number,
        "batch_size": 64,
        "steps": 400 + number,
        "seconds": 12.345,
    }
    for number in range(1, 7)
)


def panel_of(series: int = 1, length: int = 600, target: str = "load", *, dated: bool = True) -> Panel:
    """Hourly series with a daily season; their names are Chinese where the target's is."""
    draw = np.random.default_rng(series)
    steps = np.arange(length)
    day = np.sin(2 * np.pi * steps / SEASON)
    values = [100 * (n + 1) + 30 * day + draw.normal(0, 5, length) for n in range(series)]
    where = "区域" if target > "ÿ" else "area"
    columns: dict[str, Any] = {target: np.concatenate(values)}
    if dated:
        hours = np.datetime64("2024-03-01T00", "us") + steps * np.timedelta64(1, "h")
        columns["time"] = np.tile(hours, series)
    if series > 1:
        columns[where] = np.repeat([f"{where} {n + 1}" for n in range(series)], length)
    roles = Roles(target=target, time="time" if dated else None, series=(where,) if series > 1 else ())
    return read_panel(pl.DataFrame(columns), roles, seasons=(SEASON,))


def backtest_of(
    panel: Panel,
    horizon: int = 24,
    *,
    error: float = 5.0,
    simple: float = 10.0,
    seeds: int = 3,
    origins: int | None = None,
    stride: int | None = None,
    slow: int | None = None,
    narrow: float = 0.6,
) -> Backtest:
    """A backtest whose methods know the future but for noise of the sizes ``error`` and ``simple``.

    Args:
        panel: of `panel_of`. horizon: H.
        error, simple: standard deviation of what the networks and the baselines miss by.
        seeds: networks. origins: of each series, half of them calibrate. stride: between them.
        slow: series that ETS ran on, None for all.
        narrow: width of the networks' intervals, of what it should be.
    """
    count = (4 if len(panel) >= 30 else 16) if origins is None else origins
    step = stride or horizon
    length = int(panel.observed[0])
    cuts = length - horizon - step * np.arange(count)[::-1]
    series, origin = np.repeat(np.arange(len(panel)), count), np.tile(cuts, len(panel))
    actual = np.stack([panel.values(int(n))[o : o + horizon] for n, o in zip(series, origin, strict=True)])
    draw = np.random.default_rng(horizon)

    def method(name: str, title: str, size: float, rows: Any = None, quantiles: bool = False) -> Method:
        true = actual if rows is None else actual[rows]
        grown = size * (0.7 + 0.6 * np.arange(horizon) / horizon)
        median = true + grown * draw.normal(size=true.shape)
        around = narrow * grown[:, None] * NORMAL + np.zeros((len(true), 1, 1)) if quantiles else None
        return Method(
            name, title, median, median, None if around is None else median[..., None] + around, rows, 3.0
        )

    some = None if slow is None else np.flatnonzero(np.isin(series, np.arange(slow)))
    scale = [seasonal_scale(panel.values(n)[: int(cuts[0])], SEASON) for n in range(len(panel))]
    return Backtest(
        series=series.astype(np.int64),
        origin=origin.astype(np.int64),
        actual=actual,
        scale=np.array(scale, dtype=np.float64).reshape(-1)[series],
        calibrates=np.tile(np.arange(count) < count // 2, len(panel)),
        season=SEASON,
        levels=LEVELS,
        model=tuple(method("model", "LSTM", error, quantiles=True) for _ in range(seeds)),
        baselines=(
            method("last_value", "last value", 3 * simple),
            method("drift", "drift", 3.1 * simple),
            method("seasonal_naive", "seasonal naive", simple),
            method("seasonal_mean", "seasonal mean", 1.1 * simple),
            method("ridge", "ridge on the window", 1.05 * simple),
            method("ets", "ETS", 1.2 * simple, some),
            method("arima", "ARIMA on the STL-adjusted series", 1.3 * simple, some),
        ),
    )


def history_of(seed: int = 0, count: int = 12) -> History:
    """A training that goes well."""
    draw = np.random.default_rng(seed)
    steps = 50 * np.arange(1, count + 1)
    loss = 0.2 + 1 / (1 + steps / 60) + 0.01 * draw.normal(size=count)
    records = [
        Record(int(step), None if step == 50 else float(each) * 0.9, float(each), 1e-3, float(step) / 10)
        for step, each in zip(steps, loss, strict=True)
    ]
    best = int(np.argmin(loss))
    return History(records, int(steps[best]), float(loss[best]), int(steps[-1]), 60.0, "patience")


def forecasts_of(panel: Panel, horizon: int, *, ahead: bool) -> Forecasts:
    """One window a series: from its end, or a horizon before it."""
    n, reach = len(panel), 2 * SEASON
    cut = panel.observed - (0 if ahead else horizon)
    past = np.stack([panel.values(i)[cut[i] - reach : cut[i]] for i in range(n)])
    actual = np.full((n, horizon), np.nan)
    if not ahead:
        actual = np.stack([panel.values(i)[cut[i] :] for i in range(n)])
    median = np.tile(past[:, -SEASON:], (1, horizon // SEASON + 1))[:, :horizon]
    width = 4 + np.arange(horizon) / 6
    quantiles = median[..., None] + width[:, None] * NORMAL
    return Forecasts(np.arange(n), cut, past, actual, median, quantiles, LEVELS)


def report_of(
    panel: Panel, backtest: Backtest | None = None, horizon: int = 24, *, ensemble: bool = False, **given: Any
) -> str:
    """The page, with everything that there may be on it where there is a backtest."""
    error = {"mase": 0.8, "smape": 9.0, "mae": 3.0, "rmse": 4.0, "mse": 16.0}
    record = {
        "data": {"source": "load.csv", "sha256": "0123456789abcdef" * 4, "rows": {}},
        "validation": {
            "model": error,
            "baselines": {"last_value": error, "seasonal_naive": error},
            "strongest": "seasonal_naive",
            "season": SEASON,
        },
        "notes": ["3 values are missing and masked"],
        "steps": 72,
        "backtest": {"ensemble": ensemble},
    }
    design = Design(context=48, horizon=horizon, seasons=(SEASON,), anchor=SEASON, step_size=3, future_size=2)
    more: dict[str, Any] = {"audit": CLEAN}
    if backtest is not None:
        bands = all(each.quantiles is not None for each in backtest.model)
        more |= {
            "backtest": backtest,
            "verdict": judge(backtest, together=ensemble),
            "calibration": calibration_of(backtest, every=True, together=ensemble) if bands else None,
            "tuning": TRIALS,
            "histories": {f"seed {n}": history_of(n + 1, 10) for n in range(len(backtest.model))},
            "notes": ["ETS ran on a sample of the series, drawn from the seed"],
            "made": {"seed": 0, "command": f"longspan fit forecast load.csv --target {panel.schema.target}"},
        }
    return forecast_report(
        panel,
        design,
        history_of(),
        record,
        forecasts_of(panel, horizon, ahead=False),
        forecasts_of(panel, horizon, ahead=True),
        **(more | given),
    )
