"""Public sets through ``fit``: seasons and dates are found as a person finds them, and forecasts follow."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import longspan
from longspan.api import Model

pytestmark = pytest.mark.data
TINY: dict[str, Any] = {"hidden": 4, "steps": 3, "batch": 16, "validation": 48, "context": 24, "backtest": 0}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def fit(path: Path, **options: Any) -> Model:
    return longspan.fit("forecast", str(path), **(TINY | options))


def test_m4_hourly_is_one_row_a_series(shared_data: Path) -> None:
    folder = shared_data / "timeseries/m4"
    train = folder / "Hourly-train.csv.gz"
    made = fit(train, horizon=48)
    found = made.info()
    assert (found["columns"]["layout"], found["columns"]["seasons"], found["data"]["rows"]["series"]) == (
        "wide", [24, 168], 414,
    )  # fmt: skip
    assert found["design"]["anchor"] in (24, 168)
    assert found["design"]["nonnegative"] is True
    table = made.predict(str(train))
    assert table.height == 414 * 48
    assert table["V1"][0] == "H1"
    assert table["step"].min() == 701
    assert table["forecast"].is_finite().all()
    scores = made.evaluate(str(folder / "Hourly-test.csv"), history=str(train))
    assert (scores["windows"], scores["series"]) == (414, 414)
    # The published seasonal naive of M4 Hourly: sMAPE 13.912, MASE 1.193.
    naive = scores["baselines"]["seasonal_naive"]
    assert naive["smape"] == pytest.approx(13.912, abs=0.001)
    assert naive["mase"] == pytest.approx(1.193, abs=0.001)


def test_etth1_is_hourly_with_a_day(shared_data: Path) -> None:
    made = fit(shared_data / "timeseries/ETTh1.csv.gz", target="OT", past=("HUFL", "HULL"), horizon=24)
    found = made.info()
    assert found["columns"]["time"] == "date"
    assert found["columns"]["seasons"] == [24]
    assert found["design"]["nonnegative"] is False
    table = made.predict(str(shared_data / "timeseries/ETTh1.csv.gz"))
    assert table["date"].to_list() == [
        dt.datetime(2018, 6, 26, 20) + dt.timedelta(hours=n) for n in range(24)
    ]


def test_sp500_dates_are_proved_to_be_day_first(shared_data: Path) -> None:
    path = shared_data / "timeseries/sp500.csv"
    made = fit(path, target="Close", horizon=5)
    found = made.info()
    assert found["columns"]["time_format"] == "%d-%m-%y"
    assert found["design"]["anchor"] == 0  # a price starts from the last one
    table = made.predict(str(path))
    days = table["Date"].to_list()
    assert days[0] == dt.date(2018, 9, 3)
    assert all(day.weekday() < 5 for day in days)
    np.testing.assert_allclose(table["forecast"].to_numpy(), 2901.5, rtol=0.05)
    assert any("steps without a row are masked" in note for note in found["notes"])


def test_exchange_rates_have_neither_header_nor_season(shared_data: Path) -> None:
    path = shared_data / "timeseries/exchange_rate.txt.gz"
    made = fit(path, target="column_8", horizon=5, header=False)
    assert made.info()["columns"]["target"] == "column_8"
    assert made.info()["columns"].get("seasons", []) == []
    assert made.info()["design"]["anchor"] == 0
    table = made.predict(str(path), header=False)
    assert table["step"].to_list() == list(range(7589, 7594))
