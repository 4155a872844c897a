"""Whole numbers are read as calendar stamps where the column proves it, and asked for where it does not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import DataError, InputError
from longspan.data.append import append_panel
from longspan.data.digits import FORMS
from longspan.data.frequency import Frequency, write_stamp
from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel
from longspan.data.results import forecast_table
from longspan.data.tables import read_table
from longspan.data.time import Times, read_times

MONTHS = [year * 100 + month for year in range(2015, 2021) for month in range(1, 13)]


def written(form: str, every: str, rows: int, begin: dt.datetime = dt.datetime(2019, 12, 30)) -> list[int]:
    """Stamps at even distances, as whole numbers."""
    end = begin + dt.timedelta(days=400 * rows)
    stamps = pl.datetime_range(begin, end, every, eager=True).head(rows)
    return stamps.dt.to_string(form).cast(pl.Int64).to_list()


HOURS = written("%Y%m%d%H", "1h", 60)


def panel_of(values: Any, name: str = "t", **inference: Any) -> Panel:
    y = np.arange(float(len(values))) + np.sin(np.arange(len(values)))
    return read_panel({name: values, "y": y}, Roles(target="y", time=name), **inference)


def times_of(values: Any, name: str = "t", time_format: str | None = None) -> Times:
    return read_times(read_table({name: values}), name, time_format)


def ahead(panel: Panel, horizon: int = 3) -> list[Any]:
    """The times of the forecasts after the last value."""
    values = np.zeros((1, horizon))
    table = forecast_table(panel, np.array([0]), panel.observed, values, values[..., None], (0.5,))
    return table[table.columns[0]].to_list()


@pytest.mark.parametrize(
    ("values", "code", "form", "following"),
    [
        (MONTHS, "MS", "%Y%m", [202101, 202102, 202103]),
        (HOURS, "h", "%Y%m%d%H", [2020010112, 2020010113, 2020010114]),
        (
            written("%Y%m%d%H%M", "30m", 50),
            "30min",
            "%Y%m%d%H%M",
            [201912310100, 201912310130, 201912310200],
        ),
        (
            written("%Y%m%d%H%M%S", "20s", 50),
            "20s",
            "%Y%m%d%H%M%S",
            [20191230001640, 20191230001700, 20191230001720],
        ),
        (written("%Y%m%d", "1d", 50), "D", "%Y%m%d", [20200218, 20200219, 20200220]),
    ],
)
@pytest.mark.parametrize("kind", ["numbers", "floats", "text"])
def test_calendar_stamps_are_read_and_written_as_they_were(
    values: list[int], code: str, form: str, following: list[int], kind: str
) -> None:
    forms: dict[str, Any] = {"numbers": int, "floats": float, "text": str}
    panel = panel_of([*map(forms[kind], values)])
    assert (panel.frequency.code, panel.schema.time_format) == (code, form)
    assert panel.lengths.tolist() == [len(values)]
    assert ahead(panel) == following
    read = write_stamp(int(panel.start[0]))
    said = (f"column 't' is read as {form}: {values[0]} is {read}",)
    assert panel.notes == (() if form == "%Y%m%d" else said)


def test_months_have_their_season() -> None:
    values = np.tile([5.0, 6, 8, 12, 15, 20, 24, 22, 17, 12, 8, 6], 6) + np.arange(72) / 50
    panel = read_panel({"month": MONTHS, "y": values}, Roles(target="y", time="month"))
    assert panel.schema.seasons == (12,)


@pytest.mark.parametrize("rows", [[0, 1, 2, 5, 9, 20], [*range(30), *range(40, 72)]])
def test_months_with_gaps_are_months(rows: list[int]) -> None:
    panel = panel_of([MONTHS[row] for row in rows])
    assert panel.frequency.code == "MS"
    assert panel.lengths.tolist() == [rows[-1] + 1]


def test_months_of_several_series_prove_them_together() -> None:
    frame = {"id": ["a"] * 12 + ["b"] * 12, "t": MONTHS[:12] + MONTHS[12:24], "y": np.arange(24.0)}
    panel = read_panel(frame, Roles(target="y", series=("id",), time="t"))
    assert panel.frequency.code == "MS"
    assert [write_stamp(int(each)) for each in panel.start] == ["2015-01-01", "2016-01-01"]


@pytest.mark.parametrize(
    ("values", "fit"),
    [
        (range(200001, 200013), "%Y%m or step numbers"),
        (range(200001, 202101, 100), "%Y%m or step numbers"),
        ([200001, 200002, 200004, 200007, 200008, 200009, 200011], "%Y%m or step numbers"),
        ([200003, 200101], "%Y%m or step numbers"),
        ([200003, 200101, 200106, 200203, 200208], "%Y%m or step numbers"),
        (range(2020010100, 2020010124), "%Y%m%d%H or seconds since 1970"),
    ],
)
def test_numbers_that_may_be_stamps_or_counts_are_asked_for(values: Any, fit: str) -> None:
    values = list(values)
    message = (
        f"column 't': expected numbers that can be read in one way only, got {values[0]} to {values[-1]}, "
        f"which may be stamps written {fit}. Say which: time_format='%Y%m"
    )
    with pytest.raises(DataError) as caught:
        times_of(values)
    assert message in str(caught.value)


def test_the_format_or_the_name_of_the_column_says_which() -> None:
    counted = list(range(200001, 200013))
    assert times_of(counted, time_format="step").stamps.tolist() == counted
    for name, time_format in (("t", "%Y%m"), ("Month", None), ("年月", None), ("date", None)):
        found = times_of(counted, name, time_format)
        assert (found.format, found.steps) == ("%Y%m", False)
        assert write_stamp(int(found.stamps[-1])) == "2000-12-01"
    seconds = times_of(list(range(2020010100, 2020010124)), time_format="epoch s")
    assert write_stamp(int(seconds.stamps[0])) == "2034-01-04 17:55:00"


@pytest.mark.parametrize("values", [range(200001, 200014), range(199990, 200400), range(0, 300000, 1000)])
def test_counters_stay_counters(values: range) -> None:
    panel = panel_of(list(values))
    assert (panel.frequency, panel.schema.time_format) == (
        Frequency(unit="row", multiple=values.step),
        "step",
    )
    assert panel.notes == ()
    assert ahead(panel, 1) == [values[-1] + values.step]


def test_seconds_since_1970_stay_seconds() -> None:
    """Of the years 2030 to 2036, which have the digits of YYYYMMDDHH."""
    for step in (1, 60, 3600):
        panel = panel_of(list(range(2020010100, 2020010100 + 200 * step, step)), name="timestamp")
        assert panel.schema.time_format == "epoch s"
        assert panel.lengths.tolist() == [200]


@pytest.mark.parametrize(
    ("values", "place", "wrong", "form"),
    [
        ([*MONTHS[:20], 201613, *MONTHS[20:]], 20, 201613, "%Y%m"),
        ([value + 1 for value in HOURS], 23, 2019123024, "%Y%m%d%H"),
        ([*written("%Y%m%d", "1d", 20), 20200230], 20, 20200230, "%Y%m%d"),
        ([201912302359, 201912302360, 201912310000], 1, 201912302360, "%Y%m%d%H%M"),
    ],
)
def test_a_number_among_stamps_that_is_none_is_refused(
    values: list[int], place: int, wrong: int, form: str
) -> None:
    with pytest.raises(DataError) as caught:
        times_of(values)
    assert str(caught.value).endswith(
        f"row {place}, column 't': expected a time stamp written as {form}, got {wrong}. Correct it, or say "
        "how the column is written, for instance time_format='step' if it counts steps."
    )
    assert times_of(values, time_format="step").steps


@pytest.mark.parametrize("value", [2, 202000, 202013, 20203, -202003])
def test_a_stated_form_is_kept_to(value: int) -> None:
    with pytest.raises(DataError, match=rf"row 1, column 't': .* written as %Y%m, got {value}\."):
        times_of([202001, value], time_format="%Y%m")


def test_a_stated_format_of_other_digits_is_read_with_its_zeros() -> None:
    assert write_stamp(int(times_of(["010320", "311220"], time_format="%d%m%y").stamps[0])) == "2020-03-01"
    assert write_stamp(int(times_of([311220], time_format="%d%m%y").stamps[0])) == "2020-12-31"
    with pytest.raises(DataError, match="row 0, column 't': expected a time stamp written as %d%m%y"):
        times_of([2020], time_format="%d%m%y")


def test_newer_data_are_read_as_the_schema_says() -> None:
    """A row that proves nothing by itself, and steps that have come to look like something else."""
    months = panel_of(MONTHS)
    newer = read_panel({"t": [202101], "y": [1.0]}, schema=months.schema)
    joined, _ = append_panel(months, newer)
    assert joined.lengths.tolist() == [73]
    steps = panel_of(list(range(199990, 200001)))
    newer = read_panel({"t": list(range(200001, 200013)), "y": np.arange(12.0)}, schema=steps.schema)
    assert append_panel(steps, newer)[0].lengths.tolist() == [23]


def test_newer_data_are_answered_as_they_are_written() -> None:
    dates = pl.date_range(dt.date(2021, 1, 1), dt.date(2021, 6, 1), "1mo", eager=True)
    newer = pl.DataFrame({"t": dates, "y": np.arange(6.0)})
    assert ahead(read_panel(newer, schema=panel_of(MONTHS).schema), 1) == [dt.date(2021, 7, 1)]
    schema = panel_of(dates.to_list()).schema
    assert ahead(read_panel({"t": MONTHS, "y": np.arange(72.0)}, schema=schema), 1) == [202101]
    steps = panel_of(list(range(30))).schema
    with pytest.raises(DataError, match="expected a grid that the rows fill"):
        read_panel(newer, schema=steps)


def test_years_come_back_as_years() -> None:
    panel = panel_of(list(range(1990, 2020)), name="year")
    assert (panel.frequency.code, panel.schema.time_format) == ("YS", "year")
    assert ahead(panel) == [2020, 2021, 2022]


def test_stamps_that_the_form_cannot_write_come_back_as_times() -> None:
    every = panel_of(written("%Y%m%d%H", "1h", 60), frequency="30min")
    assert ahead(every, 1) == [dt.datetime(2020, 1, 1, 11, 30)]
    days = panel_of(MONTHS[:3], name="month", frequency="D")
    assert ahead(days, 1) == [dt.date(2015, 3, 2)]


def test_steps_of_which_most_are_missing_are_refused_with_the_largest_gap() -> None:
    """Quarters written as whole numbers end here."""
    quarters = [year * 10 + quarter for year in range(2015, 2021) for quarter in range(1, 5)]
    with pytest.raises(DataError) as caught:
        panel_of(quarters)
    assert str(caught.value).endswith(
        "column 't': expected step numbers that fill half of their grid at least, got 23 steps for 53, with "
        "20154 in row 3 and 20161 in row 4, 7 apart. If they are dates, say how they are written, for "
        "instance time_format='%Y%m'; if the steps between are missing, pass time_format='step'."
    )
    panel = panel_of(quarters, time_format="step")
    assert panel.notes == ("30 steps without a row are masked",)
    assert panel_of([1, 2, 5, 6, 7]).notes == ("2 steps without a row are masked",)


@pytest.mark.parametrize(
    ("values", "place", "got"),
    [
        (["1600000000", "16000000609999999999999"], 1, "16000000609999999999999"),
        ([1.0, 1e30], 1, "1e+30"),
        ([1.0, float("inf")], 1, "inf"),
        (pl.Series([2**64 - 1, 1], dtype=pl.UInt64), 0, str(2**64 - 1)),
        ([-(10**18), 5, 10**18], 0, str(-(10**18))),
        (["٢٠٢٠", "٢٠٢١"], 0, "٢٠٢٠"),
        ([1.5, 2.0], 0, "1.5"),
    ],
)
def test_numbers_that_no_clock_counts_to_are_refused(values: Any, place: int, got: str) -> None:
    with pytest.raises(DataError) as caught:
        times_of(values)
    assert str(caught.value).endswith(
        f"row {place}, column 't': expected a time stamp, got {got}. Correct it, or name another column with "
        "time=."
    )


def test_a_grid_of_immense_steps_is_refused() -> None:
    frame = {"id": [*"aabbccddeeffgghhiijj"], "t": [0, 10**18 - 1] * 10, "y": np.arange(20.0)}
    with pytest.raises(DataError, match="expected a grid that the rows fill"):
        read_panel(frame, Roles(target="y", series=("id",), time="t"), frequency="row")


def test_epoch_numbers_outside_their_years_are_refused_where_they_are_stated() -> None:
    with pytest.raises(DataError, match=r"mean the years 1973 to 2286 \(epoch s\), got 0 to 3600"):
        times_of([0, 3600], time_format="epoch s")
    assert times_of([1583020800123], time_format="epoch s").format == "epoch ms"  # certain by its digits


def test_a_format_that_is_none_is_refused() -> None:
    assert write_stamp(int(times_of(["1.3.2020 7"], time_format="%d.%m.%Y %H").stamps[0])) == (
        "2020-03-01 07:00:00"
    )
    with pytest.raises(InputError, match="time_format: expected a strptime format of dates or times"):
        times_of(["1.3.2020 7"], time_format="%d.%m.%Y %I")


@given(st.sampled_from(sorted(FORMS)), st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(9999, 12, 31)))
def test_decode_undoes_encode(code: str, stamp: dt.datetime) -> None:
    form = FORMS[code]
    text = f"{stamp:%Y%m%d%H%M%S}"[: 4 + 2 * form.fields]
    microseconds = np.array([np.datetime64(stamp, "us").astype(np.int64)])
    assert form.encode(microseconds).tolist() == [int(text)]
    stamps, there = form.decode(np.array([int(text)]))
    assert there.all()
    assert write_stamp(int(stamps[0])).startswith(str(stamp.year))
    assert form.encode(stamps).tolist() == [int(text)]
