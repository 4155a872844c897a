"""The hash knows the data and nothing else: not the file, not the order of the rows."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.data.digest import panel_sha256
from longspan.data.inference import Roles, read_panel
from longspan.data.synthetic import seasonal_panel

ROLES = Roles(target="value", series=("id",), time="time")
FRAME = seasonal_panel(3, 20, 7, frequency="D")


def digest(frame: object, roles: Roles = ROLES) -> str:
    return panel_sha256(read_panel(frame, roles, seasons=()))


@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_and_columns_does_not_count(random: object) -> None:
    order = list(range(FRAME.height))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert digest(FRAME[order].select("value", "time", "id")) == digest(FRAME)


def test_a_file_and_a_frame_of_the_same_values_agree(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "d.parquet")
    FRAME.write_csv(tmp_path / "d.csv")
    assert {digest(tmp_path / name) for name in ("d.parquet", "d.csv")} == {digest(FRAME)}
    assert digest(FRAME.to_pandas()) == digest(FRAME)


@pytest.mark.parametrize("column", ["value", "id", "time"])
def test_every_change_is_seen(column: str) -> None:
    changes = {
        "value": pl.when(pl.int_range(pl.len()) == 33).then(pl.col("value") + 1e-9).otherwise("value"),
        "id": pl.col("id").str.replace("series_3", "series_4"),
        "time": pl.col("time").dt.offset_by("1d"),
    }
    assert digest(FRAME.with_columns(changes[column].alias(column))) != digest(FRAME)


def test_a_missing_value_is_not_a_zero_and_covariates_count() -> None:
    first = pl.int_range(pl.len()) == 5
    holed = FRAME.with_columns(value=pl.when(~first).then("value"))
    zero = FRAME.with_columns(value=pl.when(~first).then("value").otherwise(0.0))
    assert len({digest(each) for each in (FRAME, holed, zero)}) == 3
    roles = Roles(target="value", series=("id",), time="time", past=("x",))
    one, two = (FRAME.with_columns(x=pl.int_range(pl.len()) + shift) for shift in (0, 1))
    assert digest(one, roles) != digest(two, roles)


def test_where_one_series_ends_and_the_next_begins_counts() -> None:
    one = pl.DataFrame({"id": ["a", "a", "a", "b"], "value": [1.0, 2.0, 3.0, 4.0]})
    two = one.with_columns(id=pl.Series(["a", "b", "b", "b"]))
    roles = Roles(target="value", series=("id",))
    assert digest(one, roles) != digest(two, roles)
