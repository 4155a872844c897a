"""M4 Hourly: the published scores of the seasonal naive, and calibrated coverage on the test part."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from longspan.evaluation.backtest import Backtest, Method, score_table
from longspan.evaluation.conformal import calibrated, calibration_of
from longspan.evaluation.verdict import judge

pytestmark = pytest.mark.data

Array = NDArray[np.float64]
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
HORIZON, DAY = 48, 24


def read(lines: Iterable[str]) -> dict[str, Array]:
    rows = list(csv.reader(lines))[1:]
    return {row[0]: np.array([float(each) for each in row[1:] if each]) for row in rows}


@pytest.fixture(scope="module")
def hourly(shared_data: Path) -> Backtest:
    """Three origins a series, the last before the official test part, the earlier two calibrate.

    The model is the seasonal naive with intervals of one width, from its errors in the last two weeks.
    """
    folder = shared_data / "timeseries" / "m4"
    with (
        gzip.open(folder / "Hourly-train.csv.gz", "rt") as train,
        (folder / "Hourly-test.csv").open() as test,
    ):
        before, after = read(train), read(test)
    series, origin, actual, scale, naive, last, quantiles = [], [], [], [], [], [], []
    for number, (name, values) in enumerate(before.items()):
        whole = np.concatenate([values, after[name]])
        for back in (3, 2, 1):
            cut = len(whole) - back * HORIZON
            past = whole[:cut]
            steps = past[DAY:] - past[:-DAY]
            series.append(number)
            origin.append(cut)
            actual.append(whole[cut : cut + HORIZON])
            scale.append(np.abs(steps).mean())
            naive.append(np.tile(past[-DAY:], HORIZON // DAY))
            last.append(np.full(HORIZON, past[-1]))
            quantiles.append(naive[-1][:, None] + np.quantile(steps[-14 * DAY :], LEVELS))
    points = [
        Method(name, name, np.array(each), np.array(each), None, None, 0.0)
        for name, each in (("last_value", last), ("seasonal_naive", naive))
    ]
    spread = np.array(quantiles)
    model = Method("model", "shifted", spread[..., 2], spread[..., 2], spread, None, 0.0)
    return Backtest(
        np.array(series),
        np.array(origin),
        np.array(actual),
        np.array(scale),
        np.array(origin) < np.array([len(before[n]) for n in before])[np.array(series)],
        DAY,
        LEVELS,
        (model,),
        tuple(points),
    )


def test_the_seasonal_naive_scores_what_the_competition_published(hourly: Backtest) -> None:
    naive = score_table(hourly)[-1]
    assert (naive.name, naive.origins, naive.series) == ("seasonal_naive", 414, 414)
    assert naive.scores["smape"] == pytest.approx(13.912, abs=0.001)
    assert naive.scores["mase"] == pytest.approx(1.193, abs=0.001)


def test_calibrated_intervals_cover_the_official_test_part(hourly: Backtest) -> None:
    calibration = calibration_of(hourly, every=False, together=False)
    before, after = (score_table(each)[0].scores for each in (hourly, calibrated(hourly, calibration)))
    assert before["coverage_80"] < 0.77
    assert before["coverage_95"] < 0.92
    assert after["coverage_80"] == pytest.approx(0.80, abs=0.03)
    assert after["coverage_95"] == pytest.approx(0.95, abs=0.03)
    assert 2 * 414 < calibration.n < 2 * 414 * HORIZON  # not one a value, and more than one an origin


def test_the_verdict_is_against_the_seasonal_naive(hourly: Backtest) -> None:
    found = judge(hourly)
    assert found.baseline == "seasonal_naive"
    assert found.comparisons[0].baseline == pytest.approx(1.193, abs=0.001)
