"""The well-known case study, run: what `longspan.studies.timeseries_case` declares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.data import registry
from longspan.data.problems.base import Answer, Examples
from longspan.models.reader import Reader
from longspan.store.stage import Keeper
from longspan.studies.course import Course, Record
from longspan.studies.readers import Criterion, train_reader, widest_error
from longspan.studies.study import Bar, Chart, Figure, Findings, Line, Table, Value
from longspan.studies.timeseries_case import CASES, NETWORKS, STRIDE, WINDOW, Case, training

__all__ = ["SeriesWindows", "Split", "fed_back", "naive", "one_step", "split", "timeseries_case"]

Series = NDArray[np.float64]

WAYS = {
    "point": "point by point",
    "whole": "whole sequence",
    "multiple": f"multiple sequences of {STRIDE} steps",
}


class Split(NamedTuple):
    """A series in two parts."""

    train: Series
    test: Series


class SeriesWindows:
    """Windows from places drawn at random: all values but the last are read, and that one is asked for.

    Args:
        values: (N,), at least a window.
        relative: each window is divided by its first value, less one.
    """

    input_size = output_size = 1
    answer: Answer = "number"
    every_step = False

    def __init__(self, values: Series, relative: bool) -> None:
        self.values, self.relative = values, relative

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        """``count`` windows: x (count, 49, 1), target (count, 1)."""
        starts = draws.integers(0, len(self.values) - WINDOW + 1, count)
        windows = self.values[starts[:, None] + np.arange(WINDOW)]
        scaled = windows / windows[:, :1] - 1.0 if self.relative else windows
        scaled = scaled.astype(np.float32)
        return Examples(scaled[:, :-1, None], scaled[:, -1:])


def split(case: Case) -> Split:
    """The series of a case, from the registry of data sets."""
    values = registry.load(case.data)[case.column].to_numpy().astype(np.float64)
    cut = int(len(values) * case.train_share)
    return Split(values[:cut], values[cut:])


def fed_back(reader: Reader, starts: Series, steps: int, relative: bool) -> Series:
    """Predictions of ``steps`` steps that are read again as if they were true.

    Args:
        reader: of windows.
        starts: (B, 49), true values; each row keeps its own scale to the end, as published.
        steps: to predict.
        relative: the scale of a row is its first value.

    Returns:
        (B, steps), in the units of the series.
    """
    scale = starts[:, :1] if relative else None
    known = torch.from_numpy((starts if scale is None else starts / scale - 1.0).astype(np.float32))
    found = []
    with torch.no_grad():
        for _ in range(steps):
            found.append(reader(known[..., None]))  # (B, 1)
            known = torch.cat((known[:, 1:], found[-1]), dim=1)
    given = torch.cat(found, dim=1).double().numpy()
    return np.asarray(given if scale is None else (given + 1.0) * scale)


def one_step(reader: Reader, test: Series, relative: bool) -> Series:
    """Each value of the test part from the 49 true ones before it: (N - 49,)."""
    windows = np.lib.stride_tricks.sliding_window_view(test, WINDOW)[:, :-1]
    return fed_back(reader, windows, 1, relative)[:, 0]


def _starts(test: Series) -> tuple[NDArray[np.int64], int]:
    """Where multiple sequences begin in the test part, and how many steps they have together."""
    count = (len(test) - WINDOW + 1) // STRIDE
    return np.arange(count) * STRIDE, count * STRIDE


def _predicted(reader: Reader, case: Case, test: Series) -> dict[str, Series]:
    """Way → predictions from place 49 of the test part on."""
    known = WINDOW - 1
    starts, _ = _starts(test)
    rows = test[starts[:, None] + np.arange(known)]
    return {
        "point": one_step(reader, test, case.relative),
        "whole": fed_back(reader, test[None, :known], len(test) - known, case.relative)[0],
        "multiple": fed_back(reader, rows, STRIDE, case.relative).ravel(),
    }


def naive(parts: Split, lag: int) -> dict[str, Series]:
    """Way → of each place the newest value that was known when it was predicted and stands a whole number of
    lags before it; a lag of 1 gives the last value.

    Args:
        parts: the series; values of the training part are known.
        lag: at least 1, at most the training part.

    Returns:
        As the predictions of a network, from place 49 of the test part on.
    """
    train, test = parts
    places = np.arange(WINDOW - 1, len(test))
    starts, steps = _starts(test)
    begins = {  # the first place that was not known
        "point": places,
        "whole": np.full(len(places), WINDOW - 1),
        "multiple": np.repeat(starts + WINDOW - 1, STRIDE),
    }
    series, found = np.concatenate([train, test]), {}
    for way, begin in begins.items():
        wanted = places[:steps] if way == "multiple" else places
        back = lag * ((wanted - begin) // lag + 1)
        found[way] = series[len(train) + wanted - back]
    return found


def _error(given: Series, test: Series) -> float:
    """Root mean squared error of predictions from place 49 of the test part on."""
    return float(np.sqrt(np.mean((given - test[WINDOW - 1 :][: len(given)]) ** 2)))


def _trends(given: Series, test: Series) -> float:
    """Share of the sequences whose direction over their 50 steps is predicted."""
    starts, steps = _starts(test)
    before = test[starts + WINDOW - 2]
    wanted = test[WINDOW - 1 :][:steps].reshape(-1, STRIDE)[:, -1] - before
    return float((np.sign(given.reshape(-1, STRIDE)[:, -1] - before) == np.sign(wanted)).mean())


def timeseries_case(course: Course) -> Findings:
    """The study ``timeseries-case``."""
    figures: list[Figure] = []
    charts: list[Chart] = []
    rows: list[tuple[Value, ...]] = []
    for case in CASES:
        parts = split(case)
        parts = parts._replace(test=parts.test[: 4 * WINDOW]) if course.scale.smoke else parts
        records = {
            name: course.seeds(f"{case.key}-{name}", partial(_trained, course, case, parts, name))
            for name in NETWORKS
        }
        figures += _figures(case, parts, records)
        charts += _charts(case, parts.test, records)
        rows += _rows(case, parts, records)
    table = Table(
        "Root mean squared error in the units of the series, mean of the seeds; of the simple forecasts, "
        "which have none, the one number.",
        ("series", "forecast", *WAYS.values()),
        tuple(rows),
    )
    return Findings(tuple(figures), tuple(charts), (table,), _NOTES)


_NOTES = (
    "Point by point misleads. A prediction of one step can hardly be far off, since a day's close is "
    "near the last one; a curve that copies the last value one day late lies on the true curve at this "
    "scale, and so does the network's. Whoever could only act on the prediction would learn nothing from "
    "it.",
    "The other two ways show what the network knows by itself: how the wave goes on; of the index hardly "
    "more than that it rose in training.",
)


def _trained(course: Course, case: Case, parts: Split, name: str, seed: int, keeper: Keeper | None) -> Record:
    test = parts.test
    plan = training(name)
    found = train_reader(
        SeriesWindows(parts.train, case.relative),
        NETWORKS[name],
        plan.small() if course.scale.smoke else plan,
        Criterion(widest_error, 0.0),
        seed,
        keeper=keeper,
        hurry=course.hurry,
    )
    given = _predicted(found.reader, case, test)
    record: Record = {
        "seconds": found.seconds,
        "parameters": found.parameters,
        "errors": {way: _error(values, test) for way, values in given.items()},
        "late": _lateness(given["point"], test),
        "trends": _trends(given["multiple"], test),
        "given": {way: [float(each) for each in values] for way, values in given.items()},
    }
    errors = ", ".join(f"{WAYS[way]} {value:.4g}" for way, value in record["errors"].items())
    course.say(f"{case.title}, {name}, seed {seed}: {errors}, {found.seconds:.0f} s")
    return record


def _lateness(given: Series, test: Series) -> float:
    """Error against the value of one step before, over the error against the value that was predicted; below
    1 the predictions are nearer to what was known than to what came.
    """
    wanted, before = test[WINDOW - 1 :], test[WINDOW - 2 : -1]
    return math.sqrt(float(np.mean((given - before) ** 2) / np.mean((given - wanted) ** 2)))


def _figures(case: Case, parts: Split, records: dict[str, list[Record]]) -> list[Figure]:
    found = []
    last = {way: _error(values, parts.test) for way, values in naive(parts, 1).items()}
    for name, runs in records.items():
        who = name.upper()
        for way, title in WAYS.items():
            ratios = [each["errors"][way] / last[way] for each in runs]
            barred = name == "lstm" and (case.key, way) == ("sp500", "point")
            found.append(
                _spread(
                    f"{case.title}, {who}, {title}: error over that of the last value",
                    ratios,
                    min if barred else None,
                    Bar(at_least=0.99) if barred else None,
                )
            )
        if case.key == "sine":
            shares = [each["errors"]["whole"] / float(parts.test.std()) for each in runs]
            bar = Bar(at_most=0.5) if name == "lstm" else None
            what = f"{case.title}, {who}, whole sequence: error over the standard deviation of the wave"
            found.append(_spread(what, shares, max, bar))
        else:
            found += _index_figures(case, parts.test, who, runs)
    return found


def _index_figures(case: Case, test: Series, who: str, runs: list[Record]) -> list[Figure]:
    """Whether the predictions come a day late, and whether they know where the index goes."""
    _, steps = _starts(test)
    rising = _trends(np.full(steps, np.inf), test)
    return [
        _spread(
            f"{case.title}, {who}, point by point: error against the day before over error against the day",
            [each["late"] for each in runs],
            note="below 1: the predictions are nearer to what was known than to what came",
        ),
        _spread(
            f"{case.title}, {who}, multiple sequences: share of the {STRIDE}-day directions that are right",
            [each["trends"] for each in runs],
            note=f"to say that it rises is right in {rising:.0%}",
        ),
    ]


def _spread(
    what: str, values: Sequence[float], worst: Any = None, bar: Bar | None = None, note: str = ""
) -> Figure:
    """The mean of the seeds; the worst of them where a bar is to be met."""
    if not values:
        return Figure(what, None, bar=bar, note=note)
    ours = worst(values) if worst else sum(values) / len(values)
    named = f"{what}, {'lowest' if worst is min else 'highest'} of the seeds" if worst else what
    return Figure(named, ours, spread=(min(values), max(values)), bar=bar, note=note)


def _rows(case: Case, parts: Split, records: dict[str, list[Record]]) -> list[tuple[Value, ...]]:
    found: list[tuple[Value, ...]] = [
        (
            case.title,
            name.upper(),
            *(_rounded(np.mean([each["errors"][way] for each in runs])) for way in WAYS),
        )
        for name, runs in records.items()
        if runs
    ]
    for lag, title in ((1, "last value"), (case.season, f"value {case.season_name}")):
        simple = naive(parts, lag)
        found.append((case.title, title, *(_rounded(_error(simple[way], parts.test)) for way in WAYS)))
    return found


def _rounded(value: Any) -> float:
    return float(f"{float(value):.4g}")


def _charts(case: Case, test: Series, records: dict[str, list[Record]]) -> list[Chart]:
    """The first seed of each network in each way, beside the true values."""
    found = []
    for way, title in WAYS.items():
        shown = 200 if way == "point" else len(test)
        lines = [_line("true", 0, test[WINDOW - 1 :][:shown], shown)]
        for name, runs in records.items():
            given = runs[0]["given"][way][:shown] if runs else []
            size = STRIDE if way == "multiple" else max(1, len(given))
            lines += [
                _line(name.upper(), start, given[start : start + size], shown, name == "lstm")
                for start in range(0, len(given), size)
            ]
        found.append(
            Chart(
                f"{case.title}, {title}",
                _CAPTIONS[way],
                "steps of the test part" if case.key == "sine" else "trading days of the test part",
                case.unit or "value",
                tuple(lines),
            )
        )
    return found


def _line(name: str, start: int, values: Sequence[float] | Series, shown: int, ours: bool = False) -> Line:
    """Values from a step on; where more than 300 steps are shown, every third."""
    every = 3 if shown > 300 else 1
    x = tuple(float(step) for step in range(start, start + len(values), every))
    return Line(name, x, tuple(float(f"{each:.5g}") for each in values[::every]), ours)


_CAPTIONS = {
    "point": "Every point is predicted from 49 true values; the first points of the test part, 200 at most. "
    "Look at where the curves turn: a copy of the last value turns one step late.",
    "whole": "From the first window on the network reads its own predictions.",
    "multiple": f"The network is shown true values again every {STRIDE} steps.",
}
