"""A time column that neither its name nor its type gives away is taken where its numbers prove it, else
named in a note."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longspan.core.wording import entered_by
from longspan.data.inference import Roles, infer_schema, read_panel
from longspan.data.panel import Panel
from longspan.data.tables import read_table

DAYS = [int(f"{dt.date(2020, 1, 1) + dt.timedelta(n):%Y%m%d}") for n in range(90)]
HOURS = [1_600_002_000 + 3600 * n for n in range(90)]
SHUFFLED = np.random.default_rng(0).permutation(90)
TAKEN = "column 't' is taken as the time: its numbers are stamps at regular steps"
NOTE = (
    "no time column was recognised; 't' is not used and the rows are taken in the order of the table: "
    "time='t' "
)


def panel_of(stamps: Any, name: str = "t", **more: Any) -> Panel:
    return read_panel({name: stamps, "y": np.arange(float(len(stamps)))}, Roles(target="y", **more))


@pytest.mark.parametrize(
    ("stamps", "code", "form"),
    [
        (HOURS, "h", "epoch s"),
        ([1000 * each for each in HOURS], "h", "epoch ms"),
        ([float(each) for each in HOURS], "h", "epoch s"),
        ([each for place, each in enumerate(HOURS) if place % 7], "h", "epoch s"),
        (DAYS, "D", "%Y%m%d"),
        ([each for each in DAYS if dt.date.fromisoformat(str(each)).weekday() < 5], "B", "%Y%m%d"),
        ([100 * year + month for year in (2019, 2020) for month in range(1, 13)], "MS", "%Y%m"),
    ],
)
def test_numbers_that_are_stamps_at_regular_steps_are_taken(stamps: list[Any], code: str, form: str) -> None:
    order = [place for place in SHUFFLED if place < len(stamps)]
    panel = panel_of([stamps[place] for place in order])
    assert (panel.schema.time, panel.frequency.code, panel.schema.time_format) == ("t", code, form)
    assert TAKEN in panel.notes
    known = panel.target[~np.isnan(panel.target)]
    assert known.tolist() == np.argsort(order).tolist()  # in order of time


def test_a_file_whose_first_rows_prove_nothing_is_read_whole(tmp_path: Path) -> None:
    order = np.random.default_rng(1).permutation(3000)
    rows = "".join(f"{1_600_002_000 + 3600 * place},{place % 24}\n" for place in order)
    path = tmp_path / "d.csv"
    path.write_text("t,y\n" + rows)
    panel = read_panel(path, Roles(target="y"))
    assert panel.schema.time == "t"
    assert panel.target.tolist() == [place % 24 for place in range(3000)]
    assert panel.schema.seasons == (24,)
    again = read_panel(path, schema=panel.schema)
    assert again.start.tolist() == panel.start.tolist()


def test_each_series_has_its_own_stamps() -> None:
    frame = {"id": ["a"] * 90 + ["b"] * 90, "t": DAYS * 2, "y": np.arange(180.0)}
    assert infer_schema(read_table(frame), Roles(target="y", series=("id",))).time == "t"
    assert infer_schema(read_table(frame), Roles(target="y")).time is None  # two rows of one day


@pytest.mark.parametrize(
    "stamps",
    [
        DAYS[:20],  # as a count within one month
        list(range(1750, 1790)),
        [*range(30, 60), *range(30)],
        [0, 1, 2, 5, 6, 7, 8],
        [202001 + n for n in range(8)],
    ],
)
def test_numbers_that_may_be_the_time_are_named_in_a_note(stamps: list[int]) -> None:
    panel = panel_of(stamps)
    assert panel.schema.time is None
    assert panel.notes == (NOTE + "takes it",)
    with entered_by("shell"):
        assert panel_of(stamps).notes[0].endswith("the order of the table: --time 't' takes it")


@pytest.mark.parametrize(
    "texts", [[f"Q{1 + n % 4} {2000 + n // 4}" for n in range(9)], [f"20200{n + 1}01 x" for n in range(9)]]
)
def test_texts_that_look_like_dates_are_named_in_a_note(texts: list[str]) -> None:
    assert panel_of(texts).notes == (NOTE + "with time_format= takes it",)


@pytest.mark.parametrize(
    "others",
    [
        list(range(90)),  # the rows lie in this order anyhow
        [123_456_789 + n for n in range(90)],
        [*HOURS[:89], HOURS[0]],
        [DAYS[0]] * 90,
        np.random.default_rng(2).permutation(10_000)[:90].tolist(),
        [f"item {n}" for n in range(90)],
        [None, *HOURS[1:]],
        [2**63, *HOURS[1:]],
        [0.5, *range(89)],
    ],
)
def test_other_columns_are_left_alone_in_silence(others: list[Any]) -> None:
    panel = panel_of(others)
    assert panel.schema.time is None
    assert panel.notes == ()


def test_two_columns_that_could_be_taken_are_named_and_not_taken() -> None:
    frame = {"t": HOURS, "u": HOURS[::-1], "y": np.arange(90.0)}
    panel = read_panel(frame, Roles(target="y"))
    assert (panel.schema.time, panel.notes) == (None, (NOTE + "takes it",))


def test_a_column_with_a_role_is_not_the_time() -> None:
    panel = read_panel({"t": HOURS, "y": np.arange(90.0)}, Roles(target="y", past=("t",)))
    assert (panel.schema.time, panel.notes) == (None, ())
