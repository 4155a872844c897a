"""Accuracy of ``longspan.fit("forecast", …)`` on the sine, M4 Hourly and ETTh1, on the named test parts.

Everything goes through the public door: fit, predict, evaluate. Nothing is chosen on a test part; the splits
and the scores are held to known numbers of simple methods before a result is shown.

    python benchmarks/forecast_accuracy.py all            sine m4 etth1, each kept when it is done
    python benchmarks/forecast_accuracy.py m4 --seeds 3   mean ± spread over three seeds
    python benchmarks/forecast_accuracy.py all --missing  only what results/forecast_accuracy.json lacks
    python benchmarks/forecast_accuracy.py all --smoke    a few steps, nothing kept
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from machine import ROOT, THREADS, Kept, bar, gate, measured, show_bars, show_machine

Array = NDArray[np.float64]
Scores = dict[str, float]
_SMOKE = {"steps": 20, "validate_every": 20}


@dataclass(frozen=True)
class Setting:
    """How to run.

    Attributes:
        seeds: of the fits; bars are held by the first.
        smoke: a few steps only.
    """

    seeds: tuple[int, ...]
    smoke: bool

    @property
    def options(self) -> dict[str, Any]:
        """Options of ``fit`` that a smoke run adds."""
        return dict(_SMOKE) if self.smoke else {}


def fit(data: Any, seed: int, **options: Any) -> tuple[Any, dict[str, Any]]:
    """A model, and the wall times of its making: the whole call, and the training in it."""
    import longspan

    began = time.perf_counter()
    # The test part below says how good it is: no backtest, so that the time is that of one training.
    model = longspan.fit("forecast", data, seed=seed, device="cpu", progress=False, backtest=0, **options)
    wall = time.perf_counter() - began
    info = model.info()
    training = info["training"]
    return model, {
        "seed": seed,
        "fit_seconds": wall,
        "training_seconds": training["seconds"],
        "steps": training["steps"],
        "best_step": training["best_step"],
        "stopped_by": training["stopped_by"],
        "parameters": info["sizes"]["parameters"],
    }


def over_seeds(setting: Setting, one: Callable[[int], tuple[Scores, dict[str, Any]]]) -> dict[str, Any]:
    """Scores and wall times of every seed, and over several of them mean and standard deviation."""
    runs = []
    for seed in setting.seeds:
        scores, run = one(seed)
        runs.append(run | {"scores": scores})
        shown = ", ".join(f"{name} {value:.5g}" for name, value in scores.items())
        print(
            f"  seed {seed}: {shown}; fit {run['fit_seconds']:.1f} s, of it training "
            f"{run['training_seconds']:.1f} s"
        )
    found: dict[str, Any] = {"runs": runs}
    if len(runs) > 1:
        for name in runs[0]["scores"]:
            values = [run["scores"][name] for run in runs]
            found.setdefault("spread", {})[name] = {
                "mean": statistics.mean(values),
                "sd": statistics.stdev(values),
            }
            print(f"  {name}: {statistics.mean(values):.5g} ± {statistics.stdev(values):.2g}")
    return found


def show_methods(rows: dict[str, Scores]) -> None:
    """Print scores of methods beside each other."""
    names = list(next(iter(rows.values())))
    width = max(map(len, rows))
    print(f"  {'':<{width}}" + "".join(f"  {name:>12}" for name in names))
    for method, scores in rows.items():
        print(f"  {method:<{width}}" + "".join(f"  {scores[name]:>12.5g}" for name in names))


# The sine: 500 points in one go, by the LSTM alone.


def sine(setting: Setting) -> dict[str, Any]:
    """The last 500 points without season, anchor or linear map; the seasonal naive beside them."""
    from longspan.baselines.table import BASELINES
    from longspan.data import registry
    from longspan.data.inference import Roles, read_panel
    from longspan.metrics.point import rmse

    test = 500
    table = pl.read_csv(registry.path("sine"))
    column = table.columns[0]
    values = table[column].to_numpy().astype(np.float64)
    past, actual = values[None, :-test], values[None, -test:]
    season = 100  # the exact period of this series, in samples
    methods = {
        BASELINES[name].title: {"rmse": rmse(actual, BASELINES[name].run(past, test, season))}
        for name in ("last_value", "drift", "seasonal_mean", "seasonal_naive")
    }
    # The file has nine decimals, so exact is a few units of the ninth.
    gate("1 + RMSE of the seasonal naive on the sine", 1.0, 1 + methods["seasonal naive"]["rmse"], 1e-6)
    found_season = next(iter(read_panel(table[:-test], Roles(target=column)).schema.seasons), 0)
    gate("season that longspan finds in the sine by itself", season, found_season, 0)

    def one(seed: int) -> tuple[Scores, dict[str, Any]]:
        model, run = fit(
            table[:-test],
            seed,
            target=column,
            horizon=test,
            season=(0,),
            shortcut=False,
            anchor=0,
            **setting.options,
        )
        forecast = model.predict(table[:-test])["mean"].to_numpy()
        scores = model.evaluate(table, last=test)
        found = rmse(actual, forecast[None])
        gate("RMSE of evaluate against that of predict", found, scores["model"]["rmse"], 1e-6)
        return {"rmse": found}, run

    found = over_seeds(setting, one)
    reached = found["runs"][0]["scores"]["rmse"]
    show_methods({"LSTM alone": {"rmse": reached}} | methods)
    return found | {"methods": methods, "bars": [bar("RMSE, 500 points in one go", 0.02, reached)]}


# M4 Hourly: default settings, the official test part.

_M4_PERIOD, _M4_HORIZON = 24, 48
_M4_CAP = 15 * 60.0
_M4_OTHERS = {
    "a 60-line LSTM": {"smape": 10.11, "mase": 0.841},
    "winner of the competition": {"smape": 9.328, "mase": 0.893},
}


def m4(setting: Setting) -> dict[str, Any]:
    """414 series with nothing but the horizon said; sMAPE and MASE as the competition computes them."""
    from longspan.data import registry

    train_file = registry.path("m4-hourly", "Hourly-train.csv.gz")
    test_file = registry.path("m4-hourly", "Hourly-test.csv")
    names, train = _m4_rows(train_file)
    test_names, test = _m4_rows(test_file)
    if names != test_names:
        raise ValueError("M4 Hourly: expected the same series in the same order in both files")
    actual = np.stack(test)
    naive = np.stack([np.tile(each[-_M4_PERIOD:], 2) for each in train])
    methods = {"seasonal naive": _m4_scores(train, actual, naive)}
    gate("sMAPE of the seasonal naive on M4 Hourly", 13.912, methods["seasonal naive"]["smape"], 1e-4)
    gate("MASE of the seasonal naive on M4 Hourly", 1.193, methods["seasonal naive"]["mase"], 1e-3)
    intervals: dict[str, Any] = {}

    def one(seed: int) -> tuple[Scores, dict[str, Any]]:
        model, run = fit(str(train_file), seed, horizon=_M4_HORIZON, **setting.options)
        table = model.predict(str(train_file))
        forecast = _in_order(table, names)
        scores = _m4_scores(train, actual, forecast)
        evaluated = model.evaluate(str(test_file), history=str(train_file))["model"]
        for name, score in scores.items():
            gate(f"{name} of evaluate against that of predict", score, evaluated[name], 1e-4)
        if not intervals:
            intervals.update(_m4_intervals(train, actual, forecast))
        return scores, run

    found = over_seeds(setting, one)
    first = found["runs"][0]
    show_methods({"longspan": first["scores"]} | methods | _M4_OTHERS)
    for name, (low, high) in intervals.items():
        print(f"  {name} of the first seed, 95 % over series: {low:.4g} to {high:.4g}")
    bars = [
        bar("sMAPE", 10.5, first["scores"]["smape"]),
        bar("MASE", 0.90, first["scores"]["mase"]),
    ]
    timed = {"what": "seconds of one whole fit", "cap": _M4_CAP, "reached": first["fit_seconds"]}
    return found | {
        "methods": methods | _M4_OTHERS,
        "intervals": intervals,
        "bars": bars,
        "timed": timed,
    }


def _m4_rows(path: Any) -> tuple[list[str], list[Array]]:
    """Names and values of one row a series, padded with blanks on the right."""
    table = pl.read_csv(path, infer_schema=False)
    names = table[table.columns[0]].to_list()
    block = table.drop(table.columns[0]).cast(pl.Float64).to_numpy()
    return names, [row[~np.isnan(row)] for row in block]


def _in_order(table: pl.DataFrame, names: list[str]) -> Array:
    """(series, horizon) the medians, in the order of ``names``."""
    column = table.columns[0]
    by_name = {
        key[0]: part["forecast"].to_numpy() for key, part in table.group_by(column, maintain_order=True)
    }
    return np.stack([by_name[name] for name in names])


def _m4_each(train: list[Array], actual: Array, forecast: Array) -> dict[str, Array]:
    """Scores of each series, from their definitions (Makridakis et al. 2020, section 2)."""
    error = np.abs(actual - forecast)
    scale = np.array([np.abs(each[_M4_PERIOD:] - each[:-_M4_PERIOD]).mean() for each in train])
    return {
        "smape": (200 * error / (np.abs(actual) + np.abs(forecast))).mean(axis=1),
        "mase": error.mean(axis=1) / scale,
    }


def _m4_scores(train: list[Array], actual: Array, forecast: Array) -> Scores:
    return {name: float(each.mean()) for name, each in _m4_each(train, actual, forecast).items()}


def _m4_intervals(train: list[Array], actual: Array, forecast: Array) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals over series."""
    rows = np.random.default_rng(0).integers(len(train), size=(2000, len(train)))
    found = {}
    for name, each in _m4_each(train, actual, forecast).items():
        low, high = np.quantile(each[rows].mean(axis=1), (0.025, 0.975))
        found[name] = (float(low), float(high))
    return found


# ETTh1: the target OT, windows whose forecast lies in the third part.

_FIRST, _PART, _REACH = 8640, 2880, 336
_ETT_BARS = {24: 0.027, 96: 0.056}
_ETT_KNOWN = {24: {"ridge": 0.0260, "last value": 0.0343}, 96: {"ridge": 0.0537, "last value": 0.0693}}
# LSTMa in the univariate table of Informer (Zhou et al., AAAI 2021), which has no row for 96.
_ETT_PUBLISHED = {24: 0.114}


def etth1(setting: Setting) -> dict[str, Any]:
    """OT 24 and 96 hours ahead, in units standardised on the first 8,640 rows."""
    from longspan.data import registry

    table = pl.read_csv(registry.path("etth1"))[: _FIRST + 2 * _PART]
    values = table["OT"].to_numpy().astype(np.float64)
    mean, spread = values[:_FIRST].mean(), values[:_FIRST].std()
    standard = (values - mean) / spread
    found: dict[str, Any] = {"bars": []}
    for horizon, limit in _ETT_BARS.items():
        methods = {name: {"mse": score} for name, score in _ett_simple(standard, horizon).items()}
        for name, known in _ETT_KNOWN[horizon].items():
            tolerance = (
                0.02 if name == "ridge" else 0.002
            )  # ridge has a penalty to choose, the last value none
            gate(f"MSE of {name}, ETTh1 {horizon} ahead", known, methods[name]["mse"], tolerance)
        print(f"  {horizon} hours ahead")
        part = over_seeds(setting, partial(_ett_one, table, horizon, spread, setting))
        reached = part["runs"][0]["scores"]["mse"]
        published = (
            {"a published LSTM": {"mse": _ETT_PUBLISHED[horizon]}} if horizon in _ETT_PUBLISHED else {}
        )
        show_methods({"longspan": {"mse": reached}} | methods | published)
        found[str(horizon)] = part | {"methods": methods | published}
        found["bars"].append(bar(f"MSE {horizon} ahead", limit, reached))
    return found


def _ett_one(
    table: pl.DataFrame, horizon: int, spread: float, setting: Setting, seed: int
) -> tuple[Scores, dict[str, Any]]:
    options = {"target": "OT", "time": "date", "horizon": horizon, "validation": _PART}
    model, run = fit(table[: _FIRST + _PART], seed, **options, **setting.options)
    scores = model.evaluate(table, last=_PART)
    if scores["windows"] != _PART - horizon + 1:
        raise ValueError(f"ETTh1: expected {_PART - horizon + 1} windows, got {scores['windows']}")
    known = _ETT_KNOWN[horizon]["last value"]
    gate("last value by evaluate", known, scores["baselines"]["last_value"]["mse"] / spread**2, 0.002)
    return {"mse": scores["model"]["mse"] / spread**2}, run


def _ett_simple(standard: Array, horizon: int) -> Scores:
    """MSE of the last value, and of ridge on the last 336 values minus the last, from the first part."""
    from sklearn.linear_model import Ridge

    past, future = _differences(standard, _REACH, _FIRST - horizon, horizon)
    test_past, test_future = _differences(standard, _FIRST + _PART, len(standard) - horizon, horizon)
    ridge = Ridge(alpha=1.0).fit(past, future)
    return {
        "ridge": float(np.mean((ridge.predict(test_past) - test_future) ** 2)),
        "last value": float(np.mean(test_future**2)),
    }


def _differences(values: Array, first: int, last: int, horizon: int) -> tuple[Array, Array]:
    """Past (W, 336) and future (W, H) of every cut from first to last, both minus the last known value."""
    cuts = np.arange(first, last + 1)
    past = values[cuts[:, None] + np.arange(-_REACH, 0)]
    future = values[cuts[:, None] + np.arange(horizon)]
    return past - past[:, -1:], future - past[:, -1:]


SECTIONS: dict[str, Callable[[Setting], dict[str, Any]]] = {"sine": sine, "m4": m4, "etth1": etth1}


def main() -> int:
    """Run the sections asked for; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("section", choices=[*SECTIONS, "all"], nargs="+")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from 0 on")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--missing", action="store_true", help="leave out sections that are kept already")
    parser.add_argument("--smoke", action="store_true", help="a few steps; nothing is kept")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(given.threads)
    os.chdir(ROOT)  # the registry looks for a mirror beside the working folder
    kept = Kept("forecast_accuracy", smoke=given.smoke)
    done = kept.read() if given.missing else {}
    chosen = SECTIONS if "all" in given.section else given.section
    setting = Setting(tuple(range(given.seeds)), given.smoke)
    for name in chosen:
        if name in done:
            print(f"{name}: kept already")
            continue
        print(name)
        record: dict[str, Any] = {"threads": given.threads}
        with measured(record):
            record |= SECTIONS[name](setting)
        if "timed" in record:
            timed = record.pop("timed")
            cap = timed["cap"] * record["cap_factor"]
            record["bars"].append(bar(f"{timed['what']}, cap scaled", cap, timed["reached"]))
        show_bars(record["bars"])
        show_machine(record)
        kept.add(name, record)
    return kept.finish()


if __name__ == "__main__":
    raise SystemExit(main())
