"""What a forecaster was fitted on is known again: whole, in part, continued, and not in other data."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from longspan.core.errors import InputError
from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel
from longspan.models.learned import Learned
from longspan.models.origins import moments

Index = NDArray[np.int64]
DAY = dt.date(2020, 1, 1)


def walk(count: int, seed: int = 0) -> NDArray[np.float64]:
    return np.cumsum(np.random.default_rng(seed).normal(size=count))


def panel_of(*, dated: bool, first: int = 0, **series: Any) -> Panel:
    """Series by name, with dates from the ``first`` day on, or only counted."""
    parts = [
        pl.DataFrame({"id": name, "y": values}).with_columns(
            day=pl.date_range(DAY, DAY + dt.timedelta(days=10_000), "1d", eager=True)[
                first : first + len(values)
            ]
        )
        for name, values in series.items()
    ]
    table = pl.concat(parts)
    if not dated:
        return read_panel(table.drop("day"), Roles(target="y", series=("id",)), seasons=())
    return read_panel(table, Roles(target="y", series=("id",), time="day"), seasons=())


def seen(kept: Learned, panel: Panel, *cuts: int, series: int = 0, horizon: int = 5) -> list[bool]:
    number = np.full(len(cuts), series, dtype=np.int64)
    return kept.windows(panel, number, np.array(cuts, dtype=np.int64), horizon).tolist()


@pytest.mark.parametrize("dated", [True, False])
def test_the_same_data_are_known_again_and_what_follows_is_new(dated: bool) -> None:
    y = walk(120)
    kept = Learned.of_panel(panel_of(dated=dated, a=y[:100]))
    assert seen(kept, panel_of(dated=dated, a=y[:100]), 50, 95) == [True, True]
    longer = panel_of(dated=dated, a=y)
    assert seen(kept, longer, 95, 99, 100, 110) == [True, True, False, False]


@pytest.mark.parametrize("dated", [True, False])
def test_other_data_of_the_same_name_are_new(dated: bool) -> None:
    kept = Learned.of_panel(panel_of(dated=dated, a=walk(100)))
    assert seen(kept, panel_of(dated=dated, a=walk(100, seed=1)), 50, 95) == [False, False]
    assert seen(kept, panel_of(dated=dated, b=walk(100)), 50) == [False]


def test_a_part_is_known_by_its_dates() -> None:
    y = walk(120)
    kept = Learned.of_panel(panel_of(dated=True, a=y[:100]))
    tail, head = panel_of(dated=True, first=60, a=y[60:]), panel_of(dated=True, a=y[:80])
    assert seen(kept, tail, 20, 39, 40) == [True, True, False]
    assert seen(kept, head, 75) == [True]
    before = Learned.of_panel(panel_of(dated=True, first=60, a=y[60:100]))
    assert seen(before, panel_of(dated=True, a=y), 50, 55, 56, 99, 100) == [False, False, True, True, False]
    late = panel_of(dated=True, first=70, a=y[:100])  # the values at other dates
    assert seen(kept, late, 50) == [False]


def test_a_part_is_known_by_its_rows_where_it_begins_with_them() -> None:
    y = walk(120)
    kept = Learned.of_panel(panel_of(dated=False, a=y[:100]))
    assert seen(kept, panel_of(dated=False, a=y[:80]), 75) == [True]
    assert seen(kept, panel_of(dated=False, a=y[60:]), 20) == [False]  # there is no telling where it was


def test_each_series_is_looked_up_by_itself() -> None:
    kept = Learned.of_panel(panel_of(dated=True, a=walk(50), b=walk(70, seed=1)))
    panel = panel_of(dated=True, a=walk(60), b=walk(80, seed=1), c=walk(80, seed=2))
    cuts = (49, 50, 69, 70)
    assert seen(kept, panel, *cuts, series=0) == [True, False, False, False]
    assert seen(kept, panel, *cuts, series=1) == [True, True, True, False]
    assert seen(kept, panel, *cuts, series=2) == [False] * 4


def test_missing_values_and_short_series_are_known_again() -> None:
    y = walk(30)
    y[[3, 25]] = np.nan
    panel = panel_of(dated=True, a=pl.Series(y).fill_nan(None), b=[1.0, 2.0, 3.0])
    kept = Learned.of_panel(panel)
    assert [each.rows for each in kept.series] == [30, 3]
    assert seen(kept, panel, 20) == [True]
    assert seen(kept, panel, 1, series=1) == [True]


def test_of_many_series_a_thousand_are_kept() -> None:
    panel = panel_of(dated=False, **{f"s{n}": walk(3, seed=n) for n in range(1500)})
    kept = Learned.of_panel(panel)
    assert (kept.of, len(kept.series), kept.whole) == (1500, 750, False)
    assert kept.series[1].name == "s2"
    assert Learned.of_panel(panel_of(dated=False, a=walk(30))).whole


def test_json_gives_it_back_and_refuses_what_it_is_not() -> None:
    panel = panel_of(dated=True, a=walk(40))
    kept = Learned.of_panel(panel)
    assert Learned.read(json.loads(json.dumps(kept.model_dump(mode="json")))) == kept
    assert seen(Learned.read(None), panel, 30) == [False]
    for wrong in ({"of": 1}, {"of": 1, "series": [{"name": "a", "start": 0, "rows": 0}]}, "x"):
        with pytest.raises(InputError, match="learned: expected what a fit has written"):
            Learned.read(wrong)


def test_moments_are_steps_of_one_calendar() -> None:
    table = pl.concat(
        pl.DataFrame({"id": name, "y": walk(last - first), "day": pl.date_range(
            DAY + dt.timedelta(days=first), DAY + dt.timedelta(days=last - 1), "1d", eager=True)})
        for name, first, last in (("a", 7, 50), ("b", 0, 30))
    )  # fmt: skip
    panel = read_panel(table, Roles(target="y", series=("id",), time="day"), seasons=())
    series, cut = np.array([0, 0, 1, 1]), np.array([0, 20, 27, 30])
    assert moments(panel, series, cut).tolist() == [7, 27, 27, 30]


def test_steps_in_a_column_are_a_calendar_and_months_are_steps() -> None:
    table = pl.DataFrame({"id": ["a"] * 4 + ["b"] * 3, "step": [5, 6, 7, 8, 2, 3, 4], "y": np.arange(7.0)})
    roles = Roles(target="y", series=("id",), time="step")
    panel = read_panel(table, roles, seasons=())
    assert moments(panel, np.array([0, 1]), np.array([4, 3])).tolist() == [7, 3]
    months = pl.date_range(dt.date(2020, 1, 31), dt.date(2020, 12, 31), "1mo", eager=True)
    both = pl.concat([pl.DataFrame({"id": "a", "step": months[2:], "y": walk(10)}),
                      pl.DataFrame({"id": "b", "step": months[:6], "y": walk(6)})])  # fmt: skip
    assert moments(read_panel(both, roles, seasons=()), np.array([0, 1]), np.array([0, 6])).tolist() == [2, 6]


def test_without_a_calendar_series_end_together() -> None:
    panel = panel_of(dated=False, a=walk(50), b=walk(30))
    assert moments(panel, np.array([0, 0, 1]), np.array([50, 40, 20])).tolist() == [0, -10, -10]
