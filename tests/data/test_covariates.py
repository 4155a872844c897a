"""Covariates are scaled on the fit part alone."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.core.errors import DataError, InputError
from longspan.data.covariates import fit_covariates, require_horizon
from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel

ROLES = Roles(target="y", series=("id",), known=("k", "color"), past=("p",), static=("s",))


def frame(seed: int = 0, length: int = 20) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "id": ["a"] * length + ["b"] * length,
            "y": random.normal(size=2 * length),
            "k": 1e9 + random.normal(size=2 * length),
            "p": random.normal(5, 3, size=2 * length),
            "color": random.choice(["red", "green"], 2 * length),
            "s": [1.0] * length + [3.0] * length,
        }
    )


def test_the_fit_part_has_mean_zero_and_scale_one() -> None:
    panel = fit_covariates(read_panel(frame(), ROLES), np.array([12, 7]))
    assert panel.schema.encoded("known") == ("k", "color=green", "color=red")
    fit = np.r_[0:12, 20:27]
    for block in (panel.known[fit, 0], panel.past[fit, 0]):
        assert block.dtype == np.float32
        assert abs(float(block.mean())) < 1e-5
        assert abs(float(block.std()) - 1) < 1e-5
    assert panel.static.tolist() == [[-1.0], [1.0]]
    assert set(np.unique(panel.known[:, 1:])) == {0.0, 1.0}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 18))
def test_nothing_after_the_cut_enters_the_numbers(seed: int, cut: int) -> None:
    one = frame(seed)
    step = np.tile(np.arange(20), 2)
    noise = np.random.default_rng(seed + 1).normal(size=40) * 1e6
    late = pl.Series(step >= cut)
    other = one.with_columns(
        k=pl.when(late).then(pl.Series(noise)).otherwise(pl.col("k")),
        p=pl.when(late).then(pl.Series(noise)).otherwise(pl.col("p")),
        color=pl.when(late).then(pl.lit("never before")).otherwise(pl.col("color")),
    )
    first, second = (fit_covariates(read_panel(each, ROLES), cut) for each in (one, other))
    # A colour may be dropped only for not occurring before the cut, which both tables agree on.
    assert first.schema.encodings == second.schema.encodings
    before = step < cut
    np.testing.assert_array_equal(first.known[before], second.known[before])
    np.testing.assert_array_equal(first.past[before], second.past[before])


def test_a_fitted_schema_encodes_newer_data_with_the_same_numbers() -> None:
    panel = fit_covariates(read_panel(frame(), ROLES), 20)
    again = read_panel(frame(), schema=panel.schema)
    for name in ("known", "past", "static"):
        np.testing.assert_array_equal(getattr(panel, name), getattr(again, name))
        assert getattr(again, name).dtype == np.float32
    assert fit_covariates(again, 5) is again


def test_levels_missing_unseen_and_dropped() -> None:
    table = pl.DataFrame({"y": [1.0, 2, 3, 4], "c": ["x", None, "y", "z"]})
    panel = fit_covariates(read_panel(table, Roles(target="y", past=("c",))), 3)
    assert panel.schema.encoded("past") == ("c=x", "c=y")
    expected = np.array([[1, 0], [np.nan, np.nan], [0, 1], [0, 0]], dtype=np.float32)
    np.testing.assert_array_equal(panel.past, expected)
    assert "column 'c': 1 levels do not occur in the fit part: dropped" in panel.notes


def test_constant_and_unknown_covariates() -> None:
    table = pl.DataFrame({"y": [1.0, 2, 3], "c": [7.0, 7.0, 9.0], "d": [None, None, 1.0]})
    panel = fit_covariates(read_panel(table, Roles(target="y", past=("c",))), 2)
    assert panel.past.ravel().tolist() == [0.0, 0.0, 2.0]
    with pytest.raises(DataError, match="column 'd': expected known values in the fit part, got none"):
        fit_covariates(read_panel(table, Roles(target="y", past=("d",))), 2)


def test_averaged_duplicates_average_numbers_but_not_levels() -> None:
    stamps, target = [1, 2, 2, 3], [1.0, 2, 4, 3]
    table = pl.DataFrame({"t": stamps, "y": target, "p": [1.0, 2, 6, 3], "c": ["a", "a", "b", "b"]})
    roles = Roles(target="y", time="t", past=("p", "c"))
    panel = read_panel(table, roles, duplicates="mean")
    assert panel.target.tolist() == [1.0, 3.0, 3.0]
    assert panel.past.tolist() == [[1.0, 1.0, 0.0], [4.0, 1.0, 0.0], [3.0, 0.0, 1.0]]


def test_mostly_numbers_with_a_text_is_refused_as_a_number() -> None:
    table = {"y": [1.0] * 5, "p": ["1", "2", "n/a", "3", "4"]}
    with pytest.raises(DataError, match="row 2, column 'p': expected a number, got 'n/a'"):
        read_panel(table, Roles(target="y", past=("p",)))


def test_known_covariates_reach_over_the_horizon_or_are_refused() -> None:
    target = [1.0, 2, None, None, 1.0, 2, None]
    rows = {"id": ["a"] * 4 + ["b"] * 3, "y": target, "k": [0.0, 1, 2, 3, 0, 1, 2]}
    panel: Panel = read_panel(rows, Roles(target="y", series=("id",), known=("k",)))
    require_horizon(panel, 1)
    message = r"after the last 'y' of series 'b' \(1\), got 1: 'k' is lacking at 3"
    with pytest.raises(DataError, match=message):
        require_horizon(panel, 2)


def test_wide_tables_take_static_covariates_only() -> None:
    wide = {"id": ["b", "a"], "area": [2.0, 1.0], "v1": [1.0, 2.0], "v2": [3.0, None]}
    panel = read_panel(wide, Roles(layout="wide", static=("area",)))
    assert panel.ids == ("a", "b")
    assert panel.static.tolist() == [[1.0], [2.0]]
    assert panel.target.tolist() == [2.0, 1.0, 3.0]
    with pytest.raises(InputError, match="known: expected none in the wide layout"):
        read_panel(wide, Roles(layout="wide", known=("area",)))
