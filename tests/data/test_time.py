"""Time stamps are read in one way for the whole column; frequencies are inferred where the stamps prove
them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from longspan.core.errors import DataError
from longspan.data.frequency import Frequency, write_stamp
from longspan.data.inference import Roles, infer_schema, read_panel
from longspan.data.tables import Table, read_table
from longspan.data.time import looks_like_time, read_times


def times(values: Any, name: str = "time") -> Table:
    return read_table({name: values})


def first(values: Any, name: str = "time") -> str:
    return write_stamp(int(read_times(times(values, name), name).stamps[0]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-03-01", "2020-03-01"),
        ("2020/3/1", "2020-03-01"),
        ("2020.03.01 07:30", "2020-03-01 07:30:00"),
        ("2020-03-01 07:30:15", "2020-03-01 07:30:15"),
        ("2020-03-01T07:30:15.250", "2020-03-01 07:30:15.250000"),
        ("2020-03-01T07:30:00Z", "2020-03-01 07:30:00"),
        ("2020-03-01 07:30:00+02:00", "2020-03-01 05:30:00"),
        ("2020-03-01T07:30-0500", "2020-03-01 12:30:00"),
        ("2020-03-01 07:30:00 UTC", "2020-03-01 07:30:00"),
        ("3/31/2020 1:05 PM", "2020-03-31 13:05:00"),
        ("31.03.2020", "2020-03-31"),
        ("20200301", "2020-03-01"),
        ("2020-03", "2020-03-01"),
        ("2020年3月1日", "2020-03-01"),
        ("2020年3月", "2020-03-01"),
        ("1 Mar 2020", "2020-03-01"),
        ("01-Mar-20", "2020-03-01"),
        ("March 1, 2020", "2020-03-01"),
        ("May 1, 2020", "2020-05-01"),
        ("Mar 2020", "2020-03-01"),
        ("2020Q2", "2020-04-01"),
        ("2020-Q4", "2020-10-01"),
        ("2020-W02", "2020-01-06"),
        ("1583020800", "2020-03-01"),
    ],
)
def test_text_forms(text: str, expected: str) -> None:
    assert looks_like_time(times([text]), "time")
    assert first([text]) == expected


@pytest.mark.parametrize(
    ("values", "name", "expected"),
    [
        ([1583020800, 1583024400], "t", "2020-03-01"),
        ([1583020800123], "t", "2020-03-01 00:00:00.123000"),
        ([1583020800123456], "t", "2020-03-01 00:00:00.123456"),
        ([1583020800123456789], "t", "2020-03-01 00:00:00.123456"),
        ([20200301], "t", "2020-03-01"),
        ([1700.0, 1701.0], "YEAR", "1700-01-01"),
        ([dt.date(2020, 3, 1)], "t", "2020-03-01"),
        ([dt.datetime(2020, 3, 1, 5)], "t", "2020-03-01 05:00:00"),
    ],
)
def test_numbers_dates_and_date_times(values: list[Any], name: str, expected: str) -> None:
    assert first(values, name) == expected


def test_small_whole_numbers_are_steps() -> None:
    panel = read_panel({"t": [10, 12, 14, 18], "y": [1.0, 2.0, 3.0, 5.0]}, Roles(target="y", time="t"))
    assert panel.frequency == Frequency(unit="row", multiple=2)
    assert panel.target.tolist()[:3] == [1.0, 2.0, 3.0]
    assert np.isnan(panel.target[3])
    assert panel.stamps(0, 0, 5).tolist() == [10, 12, 14, 16, 18]


def test_zones_become_utc_but_local_midnights_stay_dates() -> None:
    begin, end, zone = dt.datetime(2020, 3, 1), dt.datetime(2020, 4, 30), "Europe/Berlin"
    hours = pl.datetime_range(begin, end, "1h", time_zone=zone, eager=True)
    found = read_times(read_table({"t": hours}), "t")
    assert write_stamp(int(found.stamps[0])) == "2020-02-29 23:00:00"
    assert (np.diff(found.stamps) == 3_600_000_000).all()
    assert found.note == "time stamps in Europe/Berlin are turned into UTC"
    days = pl.datetime_range(begin, end, "1d", time_zone=zone, eager=True)
    found = read_times(read_table({"t": days}), "t")
    assert write_stamp(int(found.stamps[0])) == "2020-03-01"
    assert (np.diff(found.stamps) == 86_400_000_000).all()


def test_one_local_time_of_the_day_is_not_moved_by_summer_time() -> None:
    days = pl.datetime_range(
        dt.datetime(2024, 1, 20, 6), dt.datetime(2024, 4, 20, 6), "1d", time_zone="Europe/Berlin", eager=True
    )
    note = "are taken as local times, always at 06:00:00"
    panel = read_panel({"t": days, "y": np.arange(92.0)}, Roles(target="y"))
    assert (panel.frequency.code, panel.schema.zone, panel.schema.local_dates) == ("D", "Europe/Berlin", True)
    assert panel.notes == (f"time stamps in Europe/Berlin {note}",)
    winter = read_panel({"t": days[:70], "y": np.arange(70.0)}, Roles(target="y"))
    assert write_stamp(int(winter.stamps(0, 75, 1)[0])) == "2024-04-04 06:00:00"
    few = read_panel({"t": days[70:72], "y": [1.0, 2.0]}, schema=winter.schema)
    assert write_stamp(int(few.start[0])) == "2024-03-30 06:00:00"
    written = days.dt.to_string("%Y-%m-%dT%H:%M:%S%:z")
    panel = read_panel({"t": written, "y": np.arange(92.0)}, Roles(target="y"))
    assert (panel.frequency.code, panel.schema.zone, panel.schema.local_dates) == ("D", None, True)
    assert panel.notes == (f"time stamps with offsets {note}",)
    few = read_panel({"t": written[70:72], "y": [1.0, 2.0]}, schema=panel.schema)
    assert write_stamp(int(few.start[0])) == "2024-03-30 06:00:00"
    steady = read_panel({"t": written[:30], "y": np.arange(30.0)}, Roles(target="y"))  # at one offset
    assert (steady.schema.zone, write_stamp(int(steady.start[0]))) == ("UTC", "2024-01-20 05:00:00")


MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
TWO_YEARS = [f"{month}-{year}" for year in (10, 11) for month in MONTHS]


@pytest.mark.parametrize(
    "texts",
    [
        TWO_YEARS,
        TWO_YEARS[::-1],
        [each for each in TWO_YEARS if each != "Mar-10"],
        [f"{month} 98" for month in MONTHS],
        [f"{month}'00" for month in MONTHS],
        ["January/99", "February/99", "March/99"],
    ],
)
def test_months_with_years_of_two_digits_are_read_where_the_column_proves_them(texts: list[str]) -> None:
    panel = read_panel({"when": texts, "y": np.arange(float(len(texts)))}, Roles(target="y"))
    assert (panel.schema.time, panel.frequency.code) == ("when", "MS")
    year = int(texts[0][-2:])
    assert write_stamp(int(panel.start[0])) == f"{1900 + year if year > 69 else 2000 + min(year, 10)}-01-01"


@pytest.mark.parametrize(
    "texts",
    [
        [f"Jan-{day:02d}" for day in range(1, 32)],
        [f"{month}-10" for month in MONTHS],
        [f"{dt.date(2020, 1, 1) + dt.timedelta(day):%b-%d}" for day in range(366)],
        [f"{dt.date(2021, 1, 1) + dt.timedelta(day):%b-%d}" for day in range(365)],
        [f"{dt.date(2021, 5, 1) + dt.timedelta(day):%b %d}" for day in range(59)],
    ],
)
def test_months_with_what_may_be_days_are_refused_or_stated(texts: list[str]) -> None:
    form = "%b" + texts[0][3] + "%y"
    message = f"got '{texts[0]}' and others that may be days without a year.*pass time_format='{form}'"
    with pytest.raises(DataError, match=message):
        read_times(times(texts), "time")
    assert read_times(times(texts), "time", form).format == form


def test_offsets_that_change_with_summer_time() -> None:
    text = [f"2020-{month:02d}-01T00:00:00+0{1 + (4 <= month <= 10)}:00" for month in range(1, 13)]
    found = read_times(times(text), "time")
    assert [write_stamp(int(one)) for one in found.stamps[:5]] == [
        f"2020-0{month}-01" for month in range(1, 6)
    ]


def test_whether_local_midnights_are_dates_can_be_said() -> None:
    night = pl.Series([dt.datetime(2024, 6, 21)]).dt.replace_time_zone("Europe/Berlin")
    noon = night.dt.offset_by("12h")
    for column, said, expected in (
        (night, None, "2024-06-21"),
        (night, True, "2024-06-21"),
        (night, False, "2024-06-20 22:00:00"),
        (noon, None, "2024-06-21 10:00:00"),
        (noon, True, "2024-06-21 12:00:00"),
    ):
        for values in (column, column.dt.to_string("%Y-%m-%dT%H:%M:%S%:z")):
            found = read_times(read_table({"t": values}), "t", local_dates=said)
            assert write_stamp(int(found.stamps[0])) == expected


def test_quarters_and_weeks_in_other_digits_are_refused() -> None:
    for text, expected in (("٢٠٢٠Q1", "quarter"), ("2020-W٠١", "week"), ("2020-W54", "week")):
        with pytest.raises(DataError, match=f"row 1, column 'time': expected a {expected} as in row 0"):
            read_times(times([("2020Q1" if "Q" in text else "2020-W02"), text]), "time")


def test_a_stated_format_is_used_and_refused_where_it_does_not_fit() -> None:
    table = times(["01|02|2020", "02|02|2020"])
    message = r"row 0, column 'time': expected a time stamp, got '01\|02\|2020'. Say how .*time_format="
    with pytest.raises(DataError, match=message):
        read_times(table, "time")
    assert write_stamp(int(read_times(table, "time", "%d|%m|%Y").stamps[1])) == "2020-02-02"
    with pytest.raises(DataError, match=r"expected a time stamp written as %Y-%m-%d, got '01\|02\|2020'"):
        read_times(table, "time", "%Y-%m-%d")


def test_a_year_of_two_digits_is_not_of_the_first_century() -> None:
    with pytest.raises(DataError, match="row 1, column 'time': expected one way of writing"):
        read_times(times(["31-12-2019", "01-01-20"]), "time")


@pytest.mark.parametrize(
    ("stamps", "code"),
    [
        (pl.datetime_range(dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 2), "15m", eager=True), "15min"),
        (pl.datetime_range(dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 9), "4h", eager=True), "4h"),
        (pl.date_range(dt.date(2020, 1, 1), dt.date(2020, 2, 1), "1d", eager=True), "D"),
        (pl.date_range(dt.date(2020, 1, 1), dt.date(2020, 6, 1), "1w", eager=True), "W"),
        (pl.date_range(dt.date(2020, 1, 1), dt.date(2021, 6, 1), "1mo", eager=True), "MS"),
        (pl.date_range(dt.date(2020, 1, 1), dt.date(2021, 6, 1), "1mo", eager=True).dt.month_end(), "ME"),
        (pl.date_range(dt.date(2020, 1, 1), dt.date(2023, 6, 1), "1q", eager=True), "QS"),
        (pl.date_range(dt.date(2000, 12, 31), dt.date(2023, 12, 31), "1y", eager=True), "YE"),
        (
            pl.date_range(dt.date(2020, 2, 1), dt.date(2020, 3, 1), "1d", eager=True).filter(
                pl.Series([d % 7 not in (0, 1) for d in range(30)])
            ),
            "B",
        ),
        (pl.date_range(dt.date(2020, 1, 1), dt.date(2021, 1, 1), "28d", eager=True), "4W"),
    ],
)
def test_frequencies_are_inferred(stamps: pl.Series, code: str) -> None:
    table = read_table({"t": stamps, "y": np.arange(len(stamps), dtype=float)})
    assert infer_schema(table, Roles(target="y", time="t")).frequency.code == code


def test_weekdays_without_a_weekend_between_are_days() -> None:
    table = read_table(
        {"t": pl.date_range(dt.date(2020, 1, 6), dt.date(2020, 1, 10), eager=True), "y": [1.0, 2, 3, 4, 5]}
    )
    assert infer_schema(table, Roles(target="y", time="t")).frequency.code == "D"


@pytest.mark.parametrize(("weekends", "code"), [(1, "D"), (2, "B")])
def test_two_weekends_without_a_row_make_business_days(weekends: int, code: str) -> None:
    days = pl.date_range(dt.date(2020, 1, 6), dt.date(2020, 1, 10) + dt.timedelta(7 * weekends), eager=True)
    days = days.filter(days.dt.weekday() <= 5)
    table = read_table({"t": days, "y": np.arange(float(len(days)))})
    assert infer_schema(table, Roles(target="y", time="t")).frequency.code == code


def test_trading_minutes_are_minutes_with_gaps() -> None:
    days = [
        dt.datetime(2020, 1, 6 + day, 9, 30) + dt.timedelta(minutes=m) for day in range(5) for m in range(390)
    ]
    panel = read_panel({"t": days, "y": np.arange(len(days), dtype=float)}, Roles(target="y", time="t"))
    assert panel.frequency.code == "min"
    assert panel.lengths[0] == 4 * 1440 + 390


@pytest.mark.parametrize(("days", "noted"), [(26, True), (12, False)])
def test_times_of_the_week_without_any_value_are_noted(days: int, noted: bool) -> None:
    hours = [
        dt.datetime(2022, 1, 3, 9) + dt.timedelta(days=d, hours=h) for d in range(days) for h in range(9)
    ]
    hours = [each for each in hours if each.weekday() < 5]
    panel = read_panel({"t": hours, "y": np.arange(float(len(hours)))}, Roles(target="y"))
    note = (
        "123 of the 168 steps of a week never hold a value, as nights and weekends may, but are forecast: "
        "frequency='row' takes the rows in order of time, one step each"
    )
    assert (note in panel.notes) == noted
    assert panel.notes[0].endswith("steps without a row are masked")


def test_a_gap_of_days_is_no_closed_time_of_the_week() -> None:
    hours = [dt.datetime(2022, 1, 3) + dt.timedelta(hours=h) for h in range(700) if not 200 < h < 250]
    panel = read_panel({"t": hours, "y": np.arange(float(len(hours)))}, Roles(target="y"))
    assert panel.notes == ("49 steps without a row are masked",)


def test_events_at_random_seconds_are_refused() -> None:
    seconds = np.cumsum(np.random.default_rng(0).integers(1, 200, 300))
    stamps = np.datetime64("2020-01-01", "us") + seconds * np.timedelta64(1_000_000, "us")
    with pytest.raises(DataError, match="expected time stamps at regular steps"):
        read_panel({"t": stamps, "y": np.arange(300.0)}, Roles(target="y", time="t"))


def test_series_may_begin_at_different_times_of_one_grid() -> None:
    frame = {
        "id": ["a"] * 3 + ["b"] * 3,
        "t": [dt.datetime(2020, 1, 1, hour) for hour in (0, 1, 2, 5, 6, 7)],
        "y": [1.0, 2, 3, 4, 5, 6],
    }
    panel = read_panel(frame, Roles(target="y", series=("id",), time="t"))
    assert [write_stamp(int(one)) for one in panel.start] == ["2020-01-01", "2020-01-01 05:00:00"]
