"""The same data give the same panel, however they are written down."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.data.inference import Roles, infer_schema, read_panel
from longspan.data.panel import Panel, build_panel
from longspan.data.schema import PanelSchema
from longspan.data.synthetic import seasonal_panel
from longspan.data.tables import read_table

ROLES = Roles(target="value", series=("id",), time="time")


def same(one: Panel, other: Panel) -> None:
    assert one.ids == other.ids
    for name in ("offsets", "target", "observed", "start", "past", "known", "static"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@st.composite
def long_tables(draw: st.DrawFn) -> pl.DataFrame:
    """A few series with gaps and blanks, daily, in order."""
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    parts = []
    for number in range(draw(st.integers(1, 4))):
        length = draw(st.integers(3, 12))
        steps = np.arange(length)
        keep = (random.random(length) > 0.2) | (steps < 2)
        values = np.round(random.normal(size=length), 3)
        values[(random.random(length) < 0.2) & (steps > 0)] = np.nan
        stamps = np.datetime64("2020-01-01", "us") + (steps + number) * np.timedelta64(1, "D")
        parts.append(
            pl.DataFrame(
                {
                    "id": [f"s{9 + number}"] * int(keep.sum()),
                    "time": stamps[keep],
                    "value": pl.Series(values[keep]).fill_nan(None),
                    "extra": np.round(random.normal(size=int(keep.sum())), 3),
                    "kind": random.choice(["red", "blue"], int(keep.sum())),
                }
            )
        )
    return pl.concat(parts)


FULL = Roles(target="value", series=("id",), time="time", known=("kind",), past=("extra",))


@settings(max_examples=25, deadline=None)
@given(long_tables(), st.integers(0, 1000))
def test_the_order_of_the_rows_does_not_matter(frame: pl.DataFrame, seed: int) -> None:
    panel = read_panel(frame, FULL, frequency="D")
    same(panel, read_panel(frame.sample(fraction=1, shuffle=True, seed=seed), FULL, frequency="D"))


@settings(max_examples=15, deadline=None)
@given(frame=long_tables())
def test_every_format_and_frame_gives_the_same_panel(
    tmp_path_factory: pytest.TempPathFactory, frame: pl.DataFrame
) -> None:
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("formats")
    frame.write_csv(folder / "a.csv")
    frame.write_csv(folder / "a.tsv", separator="\t")
    frame.write_parquet(folder / "a.parquet")
    frame.write_ndjson(folder / "a.jsonl")
    frame.write_ipc(folder / "a.arrow")
    columns = frame.to_dict(as_series=False)
    sources: list[Any] = [folder / name for name in ("a.csv", "a.tsv", "a.parquet", "a.jsonl", "a.arrow")]
    sources += [frame.lazy(), columns, pandas.DataFrame(columns), pyarrow.Table.from_pydict(columns)]
    expected = read_panel(frame, FULL, frequency="D")
    for source in sources:
        same(expected, read_panel(source, FULL, frequency="D"))


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_compressed_text_gives_the_same_panel(tmp_path: Path, name: str, ending: str) -> None:
    import bz2
    import lzma

    pyarrow = pytest.importorskip("pyarrow")
    frame = seasonal_panel(3, 60, 24)
    plain = tmp_path / name
    frame.write_csv(plain) if name == "a.csv" else frame.write_ndjson(plain)
    packers: dict[str, Any] = {
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
        ".zst": lambda content: pyarrow.compress(content, codec="zstd", asbytes=True),
    }
    packed = tmp_path / (name + ending)
    packed.write_bytes(packers[ending](plain.read_bytes()))
    same(read_panel(plain, ROLES), read_panel(packed, ROLES))


def test_compressed_parquet_gives_the_same_panel(tmp_path: Path) -> None:
    frame = seasonal_panel(2, 60, 24)
    frame.write_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    same(read_panel(frame, ROLES), read_panel(tmp_path / "a.parquet.gz", ROLES))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(2, 9), min_size=1, max_size=6), st.integers(0, 1000))
def test_long_and_wide_give_the_same_panel(lengths: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    series = {f"H{number + 1}": random.normal(size=length) for number, length in enumerate(lengths)}
    width = max(lengths)
    wide = {"id": list(series)} | {
        f"v{place}": [float(v[place]) if place < len(v) else None for v in series.values()]
        for place in range(width)
    }
    long = {
        "id": [name for name, values in series.items() for _ in values],
        "value": np.concatenate(list(series.values())).tolist(),
    }
    roles = Roles(target="value", series=("id",))
    same(read_panel(long, roles), read_panel(wide, Roles(layout="wide", series=("id",))))


def test_several_columns_name_a_series() -> None:
    frame = pl.DataFrame({"shop": [2, 10, 2, 10], "item": ["a", "a", "b", "a"], "y": [1.0, 2.0, 3.0, 4.0]})
    panel = read_panel(frame, Roles(target="y", series=("shop", "item")))
    assert panel.ids == ("2 | a", "2 | b", "10 | a")
    assert panel.target.tolist() == [1.0, 3.0, 2.0, 4.0]


def test_series_lie_in_natural_order_and_numbers_equal_texts() -> None:
    numbers = pl.DataFrame({"id": [10, 9, 10, 9], "y": [1.0, 2.0, 3.0, 4.0]})
    roles = Roles(target="y", series=("id",))
    panel = read_panel(numbers, roles)
    assert panel.ids == ("9", "10")
    same(panel, read_panel(numbers.with_columns(pl.col("id").cast(pl.String)), roles))
    same(panel, read_panel(numbers.with_columns(pl.col("id").cast(pl.Float64)), roles))


def test_trailing_rows_without_target_are_future_rows() -> None:
    frame = pl.DataFrame(
        {
            "time": np.arange("2020-01-01", "2020-01-07", dtype="datetime64[D]"),
            "y": [1.0, None, 3.0, 4.0, None, None],
            "promo": [0, 1, 0, 1, 0, 1],
        }
    )
    panel = read_panel(frame, Roles(target="y", time="time", known=("promo",)))
    assert panel.observed.tolist() == [4]
    assert panel.lengths.tolist() == [6]
    assert panel.values(0).shape == (4,)
    assert panel.notes[:2] == (
        "1 of 4 values are missing: masked, never filled",
        "2 rows after the last known value are future rows",
    )


def test_the_schema_reads_newer_data_in_the_same_way_and_survives_json(tmp_path: Path) -> None:
    frame = seasonal_panel(3, 24 * 20, 24).with_columns(pl.lit("x").alias("kind"))
    roles = Roles(target="value", series=("id",), time="time", static=("kind",))
    table = read_table(frame)
    schema = infer_schema(table, roles)
    assert schema.seasons == (24,)
    restored = PanelSchema.model_validate_json(schema.model_dump_json())
    assert restored == schema
    newer = frame.tail(48).with_columns(pl.lit("never seen").alias("kind"))
    newer.write_csv(tmp_path / "newer.csv")
    panel = read_panel(tmp_path / "newer.csv", schema=restored)
    assert panel.schema == schema
    assert panel.static.tolist() == [[0.0]]
    assert any("hold texts never seen in the fit ('never seen')" in note for note in panel.notes)


def test_only_the_needed_columns_are_read(tmp_path: Path) -> None:
    frame = seasonal_panel(2, 50, 24).with_columns(
        pl.lit("not a number").alias("remark"), pl.lit(1).alias("z")
    )
    for name in ("a.csv", "a.parquet", "a.arrow"):
        path = tmp_path / name
        {"a.csv": frame.write_csv, "a.parquet": frame.write_parquet, "a.arrow": frame.write_ipc}[name](path)
        assert read_table(path, columns=["value", "id"]).frame.columns == ["id", "value"]
        same(read_panel(path, ROLES), read_panel(frame, ROLES))


def test_a_sorted_table_is_neither_sorted_nor_copied_twice() -> None:
    from longspan.data.grid import order_rows
    from longspan.data.time import read_times

    table = read_table(seasonal_panel(5, 40, 24))
    rows = order_rows(table, ("id",), read_times(table, "time").stamps)
    assert rows.order is None
    assert rows.bounds.tolist() == [0, 40, 80, 120, 160, 200]


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_a_frame_in_chunks_is_one_table(pieces: int) -> None:
    frame = seasonal_panel(3, 40, 24)
    size = -(-frame.height // pieces)
    parts = [frame.slice(first, size) for first in range(0, frame.height, size)]
    chunked = pl.concat([frame.clear(), *parts], rechunk=False)
    same(read_panel(frame, ROLES), read_panel(chunked, ROLES))


def test_missing_tokens_hold_for_numbers_of_any_type() -> None:
    frame = pl.DataFrame({"y": [1.0, -999.0, 3.0]})
    panel = read_panel(frame, reading={"missing": ["-999"]})
    assert np.isnan(panel.target).tolist() == [False, True, False]


def test_chinese_names_are_as_good_as_others(tmp_path: Path) -> None:
    path = tmp_path / "销售.csv"
    path.write_text(
        "\ufeff日期,门店,销量\n2020年1月1日,上海,1\n2020年1月2日,上海,2\n2020年1月3日,上海,3\n",
        encoding="utf-8",
    )
    panel = read_panel(path, Roles(target="销量", series=("门店",)))
    assert panel.ids == ("上海",)
    assert panel.schema.time == "日期"
    assert str(panel.frequency) == "daily"


def test_a_pandas_time_index_is_the_time_column() -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2020-01-31", periods=6, freq="ME", tz="UTC", name="month")
    panel = read_panel(pandas.DataFrame({"y": range(6)}, index=index))
    assert panel.schema.time == "month"
    assert panel.frequency.code == "ME"


def test_pandas_needs_no_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    pandas = pytest.importorskip("pandas")
    frame = seasonal_panel(2, 30, 24)
    source = pandas.DataFrame(frame.to_dict(as_series=False)).astype({"id": "category"})
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    same(read_panel(source, ROLES), read_panel(frame, ROLES))


def test_build_panel_equals_read_panel() -> None:
    frame = seasonal_panel(4, 60, 24).sample(fraction=1, shuffle=True, seed=3)
    table = read_table(frame)
    schema = infer_schema(table, ROLES)
    same(build_panel(table, schema), read_panel(frame, ROLES))


def test_pandas_with_a_bare_offset_is_turned_into_utc() -> None:
    import datetime as dt

    pandas = pytest.importorskip("pandas")
    zone = dt.timezone(dt.timedelta(hours=2))
    stamps = pandas.date_range("2020-01-01", periods=4, freq="h", tz=zone)
    panel = read_panel(pandas.DataFrame({"t": stamps, "y": [1.0, 2.0, 3.0, 4.0]}))
    assert str(panel.frequency) == "hourly"
    assert panel.start[0] == np.datetime64("2019-12-31T22:00", "us").astype(np.int64)
