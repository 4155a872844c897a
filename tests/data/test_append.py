"""A panel cut in two and joined again is the panel; what does not meet is refused."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import DataError
from longspan.data.append import append_panel
from longspan.data.frequency import DAY
from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel
from longspan.data.schema import PanelSchema
from longspan.data.synthetic import seasonal_panel
from longspan.data.tables import read_table
from longspan.data.time import read_times

ROLES = Roles(target="value", series=("id",), time="time", known=("k",), past=("p",), static=("s",))


def table(series: int = 3, length: int = 30, frequency: str = "D") -> pl.DataFrame:
    frame = seasonal_panel(series, length, 7, frequency=frequency)
    draws = np.random.default_rng(1)
    return frame.with_columns(
        k=pl.Series(draws.normal(size=frame.height)),
        p=pl.Series(draws.normal(size=frame.height)),
        s=pl.col("id").str.tail(1).cast(pl.Float64),
    )


def schema_of(frame: pl.DataFrame, roles: Roles = ROLES) -> PanelSchema:
    return read_panel(frame, roles, seasons=()).schema


def cut(frame: pl.DataFrame, at: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    row = pl.int_range(pl.len()).over("id")
    return frame.filter(row < at), frame.filter(row >= at)


def same(one: Panel, other: Panel) -> None:
    assert one.ids == other.ids
    for name in ("offsets", "target", "observed", "start", "past", "known", "static"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@given(st.integers(1, 29), st.sampled_from(["D", "h", "ME", "B"]))
def test_two_parts_make_the_whole_again(at: int, frequency: str) -> None:
    frame = table(frequency=frequency)
    schema = schema_of(frame)
    first, second = (read_panel(part, schema=schema) for part in cut(frame, at))
    joined, test = append_panel(first, second)
    same(joined, read_panel(frame, schema=schema))
    assert test.tolist() == [30 - at] * 3


def test_series_may_end_at_different_steps_and_come_in_another_order() -> None:
    frame = table()
    schema = schema_of(frame)
    row, number = pl.int_range(pl.len()).over("id"), pl.col("s").cast(pl.Int64)
    early = frame.filter(row < 10 + number)
    late = frame.filter(row >= 10 + number).sample(fraction=1, shuffle=True, seed=2)
    joined, test = append_panel(read_panel(early, schema=schema), read_panel(late, schema=schema))
    same(joined, read_panel(frame, schema=schema))
    assert test.tolist() == [19, 18, 17]


def test_series_that_do_not_go_on_are_left_out() -> None:
    frame = table()
    schema = schema_of(frame)
    first, second = cut(frame, 20)
    joined, _ = append_panel(
        read_panel(first, schema=schema), read_panel(second.filter(pl.col("id") == "series_2"), schema=schema)
    )
    same(joined, read_panel(frame.filter(pl.col("id") == "series_2"), schema=schema))


def test_future_rows_of_the_history_give_way() -> None:
    frame = table()
    schema = schema_of(frame)
    first, second = cut(frame, 20)
    ahead = frame.with_columns(value=pl.when(pl.int_range(pl.len()).over("id") < 20).then("value"))
    joined, _ = append_panel(read_panel(ahead, schema=schema), read_panel(second, schema=schema))
    same(joined, append_panel(read_panel(first, schema=schema), read_panel(second, schema=schema))[0])


def test_future_rows_of_the_new_part_stay_future_rows() -> None:
    frame = table()
    schema = schema_of(frame)
    row = pl.int_range(pl.len()).over("id")
    whole = frame.with_columns(value=pl.when(row < 25).then("value"))
    first, second = cut(whole, 20)
    joined, test = append_panel(read_panel(first, schema=schema), read_panel(second, schema=schema))
    same(joined, read_panel(whole, schema=schema))
    assert (joined.observed.tolist(), test.tolist()) == ([25] * 3, [5] * 3)


def test_a_history_that_ends_in_blanks_keeps_them_as_missing_steps() -> None:
    frame = table()
    schema = schema_of(frame)
    row = pl.int_range(pl.len()).over("id")
    holed = frame.with_columns(value=pl.when((row < 18) | (row >= 20)).then("value"))
    first, second = cut(holed, 20)
    joined, _ = append_panel(read_panel(first, schema=schema), read_panel(second, schema=schema))
    same(joined, read_panel(holed, schema=schema))


@pytest.mark.parametrize("blank", [False, True])
def test_without_time_rows_follow_rows(blank: bool) -> None:
    values = np.arange(12.0)
    if blank:
        values[7] = np.nan
    frame = pl.DataFrame({"value": values}).fill_nan(None)
    schema = schema_of(frame, Roles(target="value"))
    joined, test = append_panel(read_panel(frame[:8], schema=schema), read_panel(frame[8:], schema=schema))
    same(joined, read_panel(frame, schema=schema))
    assert test.tolist() == [4]


def test_wide_tables_are_joined_by_name() -> None:
    train = pl.DataFrame({"V1": ["H2", "H1"], "V2": [1.0, 5.0], "V3": [2.0, None], "V4": [3.0, None]})
    test = pl.DataFrame({"V1": ["H1", "H2"], "V2": [6.0, 4.0], "V3": [7.0, 5.0]})
    schema = read_panel(train, seasons=()).schema
    joined, count = append_panel(read_panel(train, schema=schema), read_panel(test, schema=schema))
    assert joined.ids == ("H1", "H2")
    assert [joined.values(n).tolist() for n in range(2)] == [[5, 6, 7], [1, 2, 3, 4, 5]]
    assert count.tolist() == [2, 2]


@pytest.mark.parametrize("shift", [-1, 1, 365])
def test_parts_that_do_not_meet_are_refused_with_both_times(shift: int) -> None:
    frame = table(1)
    schema = schema_of(frame)
    first, second = cut(frame, 20)
    moved = second.with_columns(pl.col("time") + dt.timedelta(days=shift))
    got = dt.date(2020, 1, 21) + dt.timedelta(days=shift)
    with pytest.raises(
        DataError,
        match=rf"column 'time': expected series 'series_1' to go on at 2020-01-21, .* got {got}\. Give",
    ):
        append_panel(read_panel(first, schema=schema), read_panel(moved, schema=schema))


def hours(kind: str, rows: int = 24 * 12) -> pl.DataFrame:
    """Hourly rows with a zone, from a midnight in Berlin on, over the end of summer time."""
    end = dt.datetime(2024, 12, 1)
    times = pl.datetime_range(dt.datetime(2024, 10, 20), end, "1h", time_zone="Europe/Berlin", eager=True)
    times = times.head(rows)
    if kind == "offsets":
        times = times.dt.to_string("%Y-%m-%dT%H:%M:%S%:z")
    return pl.DataFrame({"t": times, "value": np.arange(float(rows))})


@pytest.mark.parametrize("kind", ["zone", "offsets"])
@pytest.mark.parametrize("day", [3, 10])
def test_hours_go_on_with_a_row_that_is_a_local_midnight(kind: str, day: int) -> None:
    frame = hours(kind)
    schema = schema_of(frame, Roles(target="value", time="t"))
    at = 24 * day + (day > 7)  # an hour more on the day that summer time ends
    alone = read_times(read_table(frame[at : at + 1]), "t")
    assert alone.stamps[0] % DAY == 0  # for want of other rows
    first, next_ = (read_panel(part, schema=schema) for part in (frame[:at], frame[at : at + 1]))
    assert (next_.schema.zone, next_.schema.local_dates) == (schema.zone, False)
    joined, test = append_panel(first, next_)
    same(joined, read_panel(frame[: at + 1], schema=schema))
    assert test.tolist() == [1]


def test_days_go_on_as_local_dates_or_as_dates_of_any_zone() -> None:
    zone = "Europe/Berlin"
    times = pl.datetime_range(dt.datetime(2024, 10, 1), dt.datetime(2024, 11, 9), "1d", eager=True)
    naive = pl.DataFrame({"t": times, "value": np.arange(40.0)})
    zoned, utc = (naive.with_columns(pl.col("t").dt.replace_time_zone(each)) for each in (zone, "UTC"))
    for frame in (naive, zoned, utc):
        schema = schema_of(frame, Roles(target="value", time="t"))
        joined, _ = append_panel(read_panel(frame[:30], schema=schema), read_panel(zoned[30:], schema=schema))
        same(joined, read_panel(frame, schema=schema))


def test_numbered_steps_must_meet_too() -> None:
    frame = pl.DataFrame({"t": range(100, 140), "value": np.arange(40.0)})
    schema = schema_of(frame, Roles(target="value", time="t"))
    joined, _ = append_panel(read_panel(frame[:30], schema=schema), read_panel(frame[30:], schema=schema))
    same(joined, read_panel(frame, schema=schema))
    with pytest.raises(DataError, match=r"expected the table to go on at 130, .* got 135"):
        append_panel(read_panel(frame[:30], schema=schema), read_panel(frame[35:], schema=schema))


def test_a_series_without_history_is_refused_by_name() -> None:
    frame = table()
    schema = schema_of(frame)
    first, second = cut(frame, 20)
    known = read_panel(first.filter(pl.col("id") != "series_3"), schema=schema)
    with pytest.raises(DataError, match="expected every series to have a history, got none of 'series_3'"):
        append_panel(known, read_panel(second, schema=schema))
