"""Can its forecasts be trusted: verdicts, coverage, false claims, leaks, and the time that it all takes.

    python benchmarks/trust.py all                  every section, each of its parts kept when it is done
    python benchmarks/trust.py verdicts walks       two of them
    python benchmarks/trust.py all --missing        only the parts that results/trust.json lacks
    python benchmarks/trust.py all --smoke          a few steps; nothing is kept

Sections: verdicts (five series, held to what ``by_hand.py`` computes without longspan), sp500, coverage (M4
Hourly, the official test part), walks (100 random walks), leaks (six kinds, ten seeds), time (ETTh1).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

import by_hand
from machine import ROOT, THREADS, GateError, Kept, bar, gate, measured, show_bars, show_machine
from trust_leaks import PLANTED, SEEDS, clean, planted

Array = NDArray[np.float64]
Record = dict[str, Any]
Part = Callable[["Setting"], Record]


@dataclass(frozen=True)
class Setting:
    """How to run.

    Attributes:
        threads: of torch. smoke: a few steps only. part: of the sections, None for all.
    """

    threads: int
    smoke: bool
    part: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Options of ``fit`` that a smoke run adds."""
        return {"steps": 10, "validate_every": 10, "seeds": 2} if self.smoke else {}


@contextmanager
def watched() -> Iterator[list[Any]]:
    """Every backtest of the fits inside, which a model does not keep: what each method forecast."""
    course: Any = import_module("longspan.models.course")
    real, found = course.run_backtest, []

    def kept(*given: Any, **named: Any) -> Any:
        tested = real(*given, **named)
        found.append(tested.backtest)
        return tested

    course.run_backtest = kept
    try:
        yield found
    finally:
        course.run_backtest = real


def fit(data: Any, setting: Setting, **options: Any) -> tuple[Any, Any, Record]:
    """The model, its backtest, and what is kept of them."""
    import longspan

    began = time.perf_counter()
    with watched() as found:
        model: Any = longspan.fit(
            "forecast", data, device="cpu", progress=False, **setting.options, **options
        )
    kept = model.work.record["backtest"]
    record = {key: kept.get(key) for key in ("verdict", "table", "origins", "season", "notes")}
    record |= {"options": setting.options | options, "fit_seconds": time.perf_counter() - began}
    return model, found[0] if found else None, record


def by_series(backtest: Any, values: Array) -> Array:
    """(n, H) → (series, origins, H), oldest first."""
    order = np.lexsort((backtest.origin, backtest.series))
    return values[order].reshape(len(np.unique(backtest.series)), -1, backtest.horizon)


def judge(
    backtest: Any, errors: Callable[[Array], Array], names: tuple[str, ...] = ()
) -> tuple[str, str, float]:
    """Outcome, method to beat and adjusted p by hand; against these methods, or all.

    Args:
        errors: of forecasts (series, origins, H).
    """

    def losses(method: Any) -> Array:
        return errors(by_series(backtest, backtest.whole(method.median, method.rows)))

    rivals = {each.name: losses(each) for each in backtest.baselines if not names or each.name in names}
    first = backtest.series == backtest.series[0]
    stride = int(np.diff(np.sort(backtest.origin[first])).min())
    ours = np.mean([losses(each) for each in backtest.model], axis=0)
    return by_hand.verdict(ours, rivals, int(backtest.calibrates[first].sum()), stride)


# Five series: the simple methods' figures and the verdict are what a person computes.


def _series(name: str) -> tuple[Any, dict[str, Any]]:
    """The table as a user would give it, and what has to be said of it."""
    from longspan.data import registry

    if name == "exchange":
        wide = registry.load("exchange-rate")
        return wide.unpivot(variable_name="currency", value_name="rate"), {"series": "currency"}
    return registry.load(name), {"target": "OT"} if name == "etth1" else {}


def verdicts(name: str, setting: Setting) -> Record:
    """One series by default settings; its record beside the figures made by hand."""
    case = by_hand.CASES[name]
    data, said = _series(name)
    _, backtest, record = fit(data, setting, horizon=case.horizon, **said)
    expected = {"calibrating": 8, "testing": 8, "stride": case.stride}
    if not expected.items() <= (record["origins"] or {}).items() or record["season"] != case.season:
        raise GateError(
            f"{name}: expected {expected} and season {case.season}, got {record['origins']} and season "
            f"{record['season']}"
        )
    hand = by_hand.by_hand(name)
    theirs = {method: float(each[:, 8:].mean()) for method, each in hand.items()}
    ours = {row["name"]: _score(row) for row in record["table"]}
    exact = [method for method in hand if method != "ridge"]  # its penalty is chosen otherwise
    apart = max(_apart(ours[method], theirs[method]) for method in exact)
    outcome, baseline, p = judge(backtest, partial(by_hand.losses, by_hand.read(name), case))
    found = record["verdict"]
    whole = found["comparisons"][0]
    agree = (outcome, baseline) == (found["outcome"], found["baseline"])
    if whole["test"].startswith("Diebold"):  # by hand several series are tested in no other way
        agree = agree and _apart(whole["adjusted"], p) < 1e-6
    print(f"  {'':<24}  {found['measure']:>12}  {'by hand':>12}")
    for row in record["table"]:
        shown = f"{theirs[row['name']]:.6g}" if row["name"] in theirs else ""
        print(f"  {row['title'][:24]:<24}  {ours[row['name']]:>12.6g}  {shown:>12}")
    print(f"  {found['words']}")
    print(f"  by hand: {outcome}, against {baseline}, adjusted p {p:.3g}")
    return record | {
        "by_hand": {"scores": theirs, "outcome": outcome, "baseline": baseline, "adjusted": p},
        "bars": [
            bar(f"{name}: simple methods, relative difference", 1e-6, apart),
            bar(f"{name}: verdict agrees with the one by hand", 1, agree, at_least=True),
        ],
    }


def _score(row: Record) -> float:
    """MASE, or MAE where the series has no scale."""
    mase = row["scores"]["mase"]
    return float(row["scores"]["mae"] if mase is None else mase)


def _apart(one: float, other: float) -> float:
    return 0.0 if one == other else abs(one - other) / abs(other) if other else float("inf")


# sp500: nothing beats the last value, and if it is claimed then with a p that says so.


def sp500(horizon: int, setting: Setting) -> Record:
    """The verdict on Close, and the LSTM against the better of last value and drift alone."""
    from longspan.data import registry

    _, backtest, record = fit(str(registry.path("sp500")), setting, target="Close", horizon=horizon)
    actual = by_series(backtest, backtest.actual)
    outcome, baseline, p = judge(backtest, lambda found: np.abs(actual - found), ("last_value", "drift"))
    for row in record["table"]:
        print(f"  {row['title']:<32}  {_score(row):>10.5g}")
    print(f"  {record['verdict']['words']}")
    print(f"  against last value and drift alone: {outcome}, {baseline}, adjusted p {p:.3g}")
    whole = record["verdict"]["comparisons"][0]
    claimed = record["verdict"]["outcome"] == "better"
    unproved = claimed and (whole["adjusted"] is None or whole["adjusted"] >= 0.05 or outcome != "better")
    return record | {
        "against_last_value_and_drift": {"outcome": outcome, "baseline": baseline, "adjusted": p},
        "bars": [bar(f"sp500, {horizon} ahead: claims without p < 0.05", 0, unproved)],
    }


# M4 Hourly: of the official test part so much lies in the intervals as they say.


def coverage(setting: Setting) -> Record:
    """Coverage of the 80 % and 95 % intervals of all 414 series × 48 hours, in points."""
    from longspan.data import registry

    train = str(registry.path("m4-hourly", "Hourly-train.csv.gz"))
    test = pl.read_csv(registry.path("m4-hourly", "Hourly-test.csv"), infer_schema_length=None)
    model, _, record = fit(train, setting, horizon=48)
    table = model.predict(train)
    names, block = test[test.columns[0]].to_list(), test.drop(test.columns[0]).to_numpy()
    by_name = dict(zip(names, block, strict=True))
    parts = {key[0]: part for key, part in table.group_by(table.columns[0], maintain_order=True)}
    actual = np.concatenate([by_name[name] for name in parts])
    found: Record = {}
    bars = []
    for nominal, low, high in ((80, 0.1, 0.9), (95, 0.025, 0.975)):
        below, above = (
            np.concatenate([part[f"q{level:g}"].to_numpy() for part in parts.values()])
            for level in (low, high)
        )
        inside = ((actual >= below) & (actual <= above)).reshape(len(parts), -1)
        reached = 100 * float(inside.mean())
        found[str(nominal)] = {"coverage": reached, "interval": _over_series(inside)}
        bars.append(bar(f"M4 Hourly: points from {nominal} %", 3, abs(reached - nominal)))
        low_share, high_share = found[str(nominal)]["interval"]
        print(f"  {nominal} %: {reached:.2f} % (95 % over series: {low_share:.1f} to {high_share:.1f})")
    evaluated = model.evaluate(str(registry.path("m4-hourly", "Hourly-test.csv")), history=train)["model"]
    for name, each in found.items():
        gate(f"coverage {name} of evaluate", each["coverage"], 100 * evaluated[f"coverage_{name}"], 1e-6)
    calibration = model.info()["calibration"]
    print(f"  {calibration}\n  {record['verdict']['words']}")
    return record | {"coverage": found, "calibration": calibration, "scores": evaluated, "bars": bars}


def _over_series(inside: NDArray[np.bool_]) -> list[float]:
    """95 % bootstrap interval over series, in %."""
    shares = inside.mean(axis=1)
    rows = np.random.default_rng(0).integers(len(shares), size=(2000, len(shares)))
    return [100 * float(each) for each in np.quantile(shares[rows].mean(axis=1), (0.025, 0.975))]


# Random walks: there is nothing to learn, so that every "better" is false.

_WALKS, _BLOCK = 100, 10
_WALK = {"horizon": 10, "hidden": 8, "context": 24, "steps": 200, "validate_every": 50, "seeds": 2}
# Without ETS and ARIMA there is less that may err less than the network, so that "better" is said sooner.
_WALK_BASELINES = ("last_value", "drift", "ridge")


def walks(first: int, setting: Setting) -> Record:
    """Verdicts on ten walks of 600 values, each by a small network (`_WALK`), the report not drawn."""
    from longspan.data.inference import Roles, read_panel
    from longspan.data.synthetic import random_walk
    from longspan.models.course import plan_course, run_course
    from longspan.models.session import Session
    from longspan.tasks.base import Run
    from longspan.tasks.forecast_options import ForecastFit

    options = ForecastFit(**(_WALK | {"baselines": _WALK_BASELINES} | setting.options))
    found = []
    for seed in range(first, first + (2 if setting.smoke else _BLOCK)):
        panel = read_panel(random_walk(600, seed=seed), Roles())
        asked = options.asked()
        made = run_course(
            plan_course(panel, options.recipe(Run(seed=seed, device="cpu")), asked), asked, Session(seed)
        )
        whole = made.verdict.comparisons[0]
        found.append(
            {
                "seed": seed,
                "outcome": made.verdict.outcome,
                "baseline": made.verdict.baseline,
                "effect": whole.effect,
                "p": whole.p,
                "adjusted": whole.adjusted,
                "leaks": len(made.audit.findings),
            }
        )
    better = sum(each["outcome"] == "better" for each in found)
    print(f"  walks {first} to {first + len(found) - 1}: {better} of {len(found)} better")
    return {"options": _WALK | setting.options, "baselines": _WALK_BASELINES, "walks": found, "bars": []}


def all_walks(parts: list[Record]) -> Record:
    """The share of false claims of all walks."""
    every = [each for part in parts for each in part["walks"]]
    counts = {
        outcome: sum(each["outcome"] == outcome for each in every)
        for outcome in ("better", "no difference", "worse", "cannot tell", "not tested")
    }
    print(f"  {', '.join(f'{outcome} {count}' for outcome, count in counts.items())}")
    share = 100 * counts["better"] / len(every)
    return {"outcomes": counts, "bars": [bar(f"{len(every)} random walks: % claimed better", 5, share)]}


def _leaks(kind: str, setting: Setting) -> Record:
    """One kind, or the clean data, with all its seeds."""
    seeds = 1 if setting.smoke else SEEDS
    return planted(kind, seeds) if kind in PLANTED else clean(seeds)


# Time: the whole of fit from the shell.

_CAP = 6 * 60.0


def whole_fit(setting: Setting) -> Record:
    """ETTh1 by default settings: audit, three seeds, all baselines, final training, report; wall seconds."""
    from longspan.data import registry

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model"
        words = ["fit", "forecast", str(registry.path("etth1")), "--target", "OT", "--horizon", "24"]
        words += ["--device", "cpu", "--out", str(out), "--quiet"]
        words += [f"--{name.replace('_', '-')}={value}" for name, value in setting.options.items()]
        threads = str(setting.threads)
        environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        began = time.perf_counter()
        command = [sys.executable, "-m", "longspan", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        wall = time.perf_counter() - began
        if done.returncode != 0:
            raise RuntimeError(f"longspan {' '.join(words)} failed: {done.stderr[-3000:]}")
        page = (out / "report.html").read_text(encoding="utf-8")
    if "<svg" not in page:
        raise GateError("expected a report with figures, got none")
    print(f"  {wall:.1f} s, the report {len(page) / 1e6:.2f} MB")
    return {
        "seconds": wall,
        "report_bytes": len(page),
        "timed": {"what": "seconds of one whole fit", "cap": _CAP, "reached": wall},
        "bars": [],
    }


SECTIONS: dict[str, dict[str, Part]] = {
    "verdicts": {name: partial(verdicts, name) for name in by_hand.CASES},
    "sp500": {f"{horizon} ahead": partial(sp500, horizon) for horizon in (1, 20)},
    "coverage": {"M4 Hourly": coverage},
    "walks": {f"from {first}": partial(walks, first) for first in range(0, _WALKS, _BLOCK)},
    "leaks": {name: partial(_leaks, name) for name in (*PLANTED, "clean data")},
    "time": {"ETTh1": whole_fit},
}
TOTALS: dict[str, Callable[[list[Record]], Record]] = {"walks": all_walks}


def run(section: str, kept: Kept, setting: Setting, *, missing: bool) -> None:
    """Every part of a section, kept as it is done; then what is concluded from all of them."""
    for name, work in SECTIONS[section].items():
        key = f"{section}: {name}"
        if setting.part not in (None, name):
            continue
        print(key)
        if missing and key in kept.read():
            print("  kept already")
            continue
        record: Record = {"threads": setting.threads}
        with measured(record):
            record |= work(setting)
        if "timed" in record:
            timed = record.pop("timed")
            cap = timed["cap"] * record["cap_factor"]
            record["bars"] = [*record["bars"], bar(f"{timed['what']}, cap scaled", cap, timed["reached"])]
        show_bars(record["bars"])
        show_machine(record)
        kept.add(key, record)
    if section in TOTALS:
        every = kept.fresh if setting.smoke else kept.read()
        keys = [f"{section}: {name}" for name in SECTIONS[section]]
        if all(key in every for key in keys):
            total = TOTALS[section]([every[key] for key in keys])
            show_bars(total["bars"])
            kept.add(section, total)


def main() -> int:
    """Run the sections asked for; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("section", choices=[*SECTIONS, "all"], nargs="+")
    parser.add_argument("--part", help="only this one, as it is printed after the colon")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--missing", action="store_true", help="leave out parts that are kept already")
    parser.add_argument("--smoke", action="store_true", help="a few steps; nothing is kept")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(given.threads)
    os.chdir(ROOT)  # the registry looks for a mirror beside the working folder
    kept, setting = Kept("trust", smoke=given.smoke), Setting(given.threads, given.smoke, given.part)
    for section in SECTIONS if "all" in given.section else given.section:
        run(section, kept, setting, missing=given.missing)
    return kept.finish()


if __name__ == "__main__":
    raise SystemExit(main())
