"""Forecasts come back in the user's columns: names, times, steps, and one row a value."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel
from longspan.data.results import forecast_table, series_column
from longspan.data.synthetic import seasonal_panel

LEVELS = (0.1, 0.5, 0.975)


def made(panel: Panel, cuts: list[int] | None = None, horizon: int = 2) -> pl.DataFrame:
    cut = panel.observed if cuts is None else np.array(cuts)
    count = len(cut)
    quantiles = np.arange(count * horizon * 3, dtype=np.float64).reshape(count, horizon, 3)
    return forecast_table(panel, np.arange(count), cut, quantiles[..., 1] + 100, quantiles, LEVELS)


def panel_of(frame: pl.DataFrame, **inference: Any) -> Panel:
    roles = Roles(**{key: inference.pop(key) for key in ("target", "series", "time") if key in inference})
    return read_panel(frame, roles, seasons=(), **inference)


def test_one_row_a_value_with_its_series_and_time() -> None:
    frame = seasonal_panel(2, 30, 7, frequency="h")
    found = made(panel_of(frame, target="value", series=("id",)))
    assert found.columns == ["id", "time", "forecast", "mean", "q0.1", "q0.5", "q0.975"]
    assert found["id"].to_list() == ["series_1"] * 2 + ["series_2"] * 2
    later = [dt.datetime(2020, 1, 2, 6), dt.datetime(2020, 1, 2, 7)]
    assert found["time"].to_list() == later * 2
    assert found["forecast"].to_list() == found["q0.5"].to_list() == [1, 4, 7, 10]
    assert found["mean"].to_list() == [101, 104, 107, 110]
    assert found["q0.975"].to_list() == [2, 5, 8, 11]


def test_days_are_dates_and_hours_are_not() -> None:
    daily = made(panel_of(seasonal_panel(1, 30, 7, frequency="D"), target="value", series=("id",)))
    assert daily["time"].to_list() == [dt.date(2020, 1, 31), dt.date(2020, 2, 1)]
    noon = seasonal_panel(1, 30, 7, frequency="D").with_columns(pl.col("time").dt.offset_by("12h"))
    assert made(panel_of(noon, target="value", series=("id",)))["time"][0] == dt.datetime(2020, 1, 31, 12)


def test_month_ends_and_business_days_stay_what_they_are() -> None:
    ends = seasonal_panel(1, 26, 12, frequency="ME")
    last = ends["time"][-1].date()
    found = made(panel_of(ends, target="value", series=("id",)))["time"].to_list()
    assert all((day + dt.timedelta(days=1)).day == 1 and day > last for day in found)
    days = seasonal_panel(1, 15, 5, frequency="B")
    found = made(panel_of(days, target="value", series=("id",)), horizon=7)["time"].to_list()
    assert len(found) == 7
    assert all(day.weekday() < 5 for day in found)


def test_without_time_steps_are_counted_from_one() -> None:
    found = made(panel_of(pl.DataFrame({"y": np.arange(30.0)})))
    assert found.columns[0] == "step"
    assert found["step"].to_list() == [31, 32]


@pytest.mark.parametrize(("first", "by"), [(100, 1), (0, 1), (7, 3)])
def test_numbered_steps_go_on_where_the_table_ends(first: int, by: int) -> None:
    frame = pl.DataFrame({"t": range(first, first + 30 * by, by), "y": np.arange(30.0)})
    found = made(panel_of(frame, target="y", time="t"))
    assert found["t"].to_list() == [first + 30 * by, first + 31 * by]


def test_times_that_were_set_aside_are_not_given_back_as_numbers() -> None:
    frame = pl.DataFrame({"day": [dt.date(2020, 1, n) for n in (1, 2, 5, 9, 20, 21)], "y": np.arange(6.0)})
    found = made(panel_of(frame, target="y", time="day", frequency="row"))
    assert found.columns[0] == "step"
    assert found["step"].to_list() == [7, 8]


def test_several_columns_that_name_a_series_are_one_column() -> None:
    frame = seasonal_panel(2, 30, 7, frequency="D").with_columns(shop=pl.lit("x"))
    panel = panel_of(frame, target="value", series=("shop", "id"))
    assert series_column(panel) == "shop | id"
    assert made(panel)["shop | id"].unique(maintain_order=True).to_list() == ["x | series_1", "x | series_2"]


@pytest.mark.parametrize("name", ["forecast", "mean", "q0.1"])
def test_a_column_of_the_user_is_never_overwritten(name: str) -> None:
    frame = seasonal_panel(2, 30, 7, frequency="D").rename({"id": name})
    found = made(panel_of(frame, target="value", series=(name,)))
    assert found[name].to_list() == ["series_1"] * 2 + ["series_2"] * 2
    assert f"{name}_" in found.columns
    assert found.width == 7


def test_cuts_before_the_end_are_dated_from_there() -> None:
    frame = seasonal_panel(1, 30, 7, frequency="D")
    found = made(panel_of(frame, target="value", series=("id",)), cuts=[10])
    assert found["time"].to_list() == [dt.date(2020, 1, 11), dt.date(2020, 1, 12)]
