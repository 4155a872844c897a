"""Forecasts come back in the user's columns: names, times, steps, and one row a value."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel
from longspan.data.results import forecast_table, series_columns
from longspan.data.schema import PanelSchema
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


def test_several_columns_that_name_a_series_come_back_one_each() -> None:
    frame = seasonal_panel(3, 30, 7, frequency="D").with_columns(shop=pl.lit("x | y"))
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=3)
    for each in (frame, shuffled, frame.with_columns(pl.col("id").cast(pl.Categorical))):
        panel = panel_of(each, target="value", series=("shop", "id"))
        assert series_columns(panel) == {
            "shop": ("x | y",) * 3,
            "id": ("series_1", "series_2", "series_3"),
        }
        found = made(panel)
        assert found.columns[:3] == ["shop", "id", "time"]
        assert found["shop"].to_list() == ["x | y"] * 6
        assert found["id"].to_list() == [f"series_{n}" for n in (1, 1, 2, 2, 3, 3)]


@pytest.mark.parametrize("how", ["mean", "first", "last"])
def test_merged_duplicates_keep_the_names_of_their_series(how: str) -> None:
    frame = pl.DataFrame(
        {
            "a": ["p", "p", "p", "q", "q", "q", "q"],
            "b": [10, 10, 10, 9, 9, 9, 9],
            "t": [1, 2, 2, 1, 1, 2, 3],
            "y": np.arange(7.0),
        }
    )
    panel = panel_of(frame, target="y", series=("b", "a"), time="t", duplicates=how)
    assert panel.ids == ("9 | q", "10 | p")
    assert series_columns(panel) == {"b": ("9", "10"), "a": ("q", "p")}


def test_a_single_series_has_no_column_of_names() -> None:
    assert series_columns(panel_of(pl.DataFrame({"y": np.arange(30.0)}))) == {}


def zoned(begin: dt.datetime, every: str, zone: str, rows: int = 30) -> pl.DataFrame:
    times = pl.datetime_range(begin, begin + dt.timedelta(days=99), every, time_zone=zone, eager=True)
    return pl.DataFrame({"time": times.head(rows), "y": np.arange(float(rows))})


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "Asia/Kathmandu"])
def test_times_come_back_in_the_zone_of_the_column(zone: str) -> None:
    panel = panel_of(zoned(dt.datetime(2020, 3, 28), "1h", zone), target="y", time="time")
    assert (panel.schema.zone, panel.schema.local_dates) == (zone, False)
    found = made(panel)["time"]
    assert found.dtype == pl.Datetime("us", zone)
    # 30 hours on, in Berlin over the start of summer time.
    later = [dt.datetime(2020, 3, 28, tzinfo=ZoneInfo(zone)).timestamp() + 3600 * n for n in (30, 31)]
    assert [each.timestamp() for each in found] == later


def test_local_dates_come_back_as_the_midnights_of_the_zone() -> None:
    panel = panel_of(zoned(dt.datetime(2020, 2, 28), "1d", "Europe/Berlin"), target="y", time="time")
    assert (panel.schema.zone, panel.schema.local_dates) == ("Europe/Berlin", True)
    berlin = ZoneInfo("Europe/Berlin")
    expected = [dt.datetime(2020, 3, day, tzinfo=berlin) for day in (29, 30)]  # the clock goes on in between
    assert made(panel)["time"].to_list() == expected


def test_a_day_that_begins_at_one_has_its_place() -> None:
    """In São Paulo the clock skipped midnight of 4 November 2018."""
    zone = "America/Sao_Paulo"
    panel = panel_of(zoned(dt.datetime(2018, 10, 5), "1d", zone), target="y", time="time")
    found = made(panel)["time"].to_list()
    assert found == [
        dt.datetime(2018, 11, 4, 1, tzinfo=ZoneInfo(zone)),
        dt.datetime(2018, 11, 5, tzinfo=ZoneInfo(zone)),
    ]


def test_a_day_with_two_midnights_begins_at_the_first() -> None:
    """In Havana the clock went back from one to midnight on 3 November 2019."""
    zone = "America/Havana"
    panel = panel_of(zoned(dt.datetime(2019, 10, 4), "1d", zone), target="y", time="time")
    assert panel.schema.local_dates
    found = made(panel)["time"]
    assert found.to_list() == [dt.datetime(2019, 11, day, tzinfo=ZoneInfo(zone)) for day in (3, 4)]
    assert [each.timestamp() for each in found] == [
        dt.datetime(2019, 11, 3, 4, tzinfo=dt.UTC).timestamp(),
        dt.datetime(2019, 11, 4, 5, tzinfo=dt.UTC).timestamp(),
    ]


@pytest.mark.parametrize(("mark", "hour"), [("Z", 5), ("+02:00", 3), ("-0330", 9), (" UTC", 5)])
def test_texts_with_a_zone_come_back_in_utc(mark: str, hour: int) -> None:
    texts = [f"2020-01-{day:02d} 05:30:00{mark}" for day in range(1, 31)]
    panel = panel_of(pl.DataFrame({"time": texts, "y": np.arange(30.0)}), target="y", time="time")
    minute = 0 if mark == "-0330" else 30
    assert made(panel)["time"][0] == dt.datetime(2020, 1, 31, hour, minute, tzinfo=dt.UTC)


def test_midnights_of_utc_come_back_in_utc_and_other_local_dates_as_dates() -> None:
    for mark, expected in (("Z", dt.datetime(2020, 1, 31, tzinfo=dt.UTC)), ("+02:00", dt.date(2020, 1, 31))):
        texts = [f"2020-01-{day:02d}T00:00:00{mark}" for day in range(1, 31)]
        panel = panel_of(pl.DataFrame({"time": texts, "y": np.arange(30.0)}), target="y", time="time")
        assert made(panel)["time"][0] == expected


def test_newer_data_in_another_zone_are_answered_in_theirs() -> None:
    schema = panel_of(zoned(dt.datetime(2020, 3, 28), "1h", "Europe/Berlin"), target="y", time="time").schema
    newer = zoned(dt.datetime(2020, 5, 1), "1h", "America/New_York")
    assert made(read_panel(newer, schema=schema))["time"].dtype == pl.Datetime("us", "America/New_York")
    naive = newer.with_columns(pl.col("time").dt.replace_time_zone(None))
    assert made(read_panel(naive, schema=schema))["time"].dtype == pl.Datetime("us")


def test_a_schema_from_before_zones_is_read() -> None:
    schema = panel_of(seasonal_panel(1, 30, 7, frequency="D"), target="value", series=("id",)).schema
    old = schema.model_dump(mode="json", exclude={"zone", "local_dates"})
    assert PanelSchema.model_validate(old) == schema


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
