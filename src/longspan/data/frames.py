"""Data frames of any library, and dicts of columns, to polars (pandas needs no pyarrow here)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from longspan.core.errors import DataError, InputError
from longspan.data.faults import refuse_duplicates, select_columns

__all__ = ["from_frame"]


def from_frame(
    source: Any, columns: Iterable[str] | None, rows: int | None = None
) -> tuple[pl.DataFrame, str]:
    """The wanted columns of a frame as polars, and what kind of frame it was.

    Raises:
        InputError: no path and no data frame.
        DataError: a missing or duplicated column, or lengths that differ.
    """
    if isinstance(source, Mapping):
        return _from_mapping(source, columns, rows), "dict of columns"
    if isinstance(source, pl.LazyFrame):
        names = source.collect_schema().names()
        chosen = source.select(select_columns(columns, names, "polars frame"))
        return (chosen if rows is None else chosen.head(rows)).collect(), "polars frame"
    if type(source).__module__.split(".")[0] == "pandas":
        return _from_pandas(source, columns, rows), "pandas frame"
    try:
        frame = nw.from_native(source, eager_only=True, allow_series=True)
    except TypeError:
        raise InputError(
            f"data: expected a path, a data frame or a dict of columns, got {type(source).__name__}"
        ) from None
    if isinstance(frame, nw.Series):
        frame = frame.to_frame()
    kind = f"{type(source).__module__.split('.')[0]} frame"
    chosen = frame.select(select_columns(columns, frame.columns, kind))
    return (chosen if rows is None else chosen.head(rows)).to_polars(), kind


def _from_mapping(source: Mapping[str, Any], columns: Iterable[str] | None, rows: int | None) -> pl.DataFrame:
    wanted = select_columns(columns, list(source), "dict of columns")
    lengths = {name: len(source[name]) for name in wanted}
    if len(set(lengths.values())) > 1:
        stated = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
        raise DataError(f"expected columns of one length, got {stated}.", source="dict of columns")
    frame = pl.DataFrame([_column(name, source[name], "dict of columns") for name in wanted])
    return frame if rows is None else frame.head(rows)


def _column(name: str, values: Any, source: str) -> pl.Series:
    """A column of numbers, of stamps, or of text; numbers and texts mixed become text."""
    if isinstance(values, np.ndarray) and values.dtype.kind not in "OUST":
        return pl.Series(name, values)
    listed = values if isinstance(values, pl.Series) else list(values)
    try:
        return pl.Series(name, listed, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        pass
    if all(value is None or isinstance(value, (int, float, np.number)) for value in listed):
        return pl.Series(name, [None if value is None else float(value) for value in listed])
    if any(isinstance(value, (list, dict, tuple, set)) for value in listed):
        raise DataError("expected one value a row, got lists or dicts.", source=source, column=name)
    return pl.Series(name, [None if _is_missing(value) else str(value) for value in listed], dtype=pl.String)


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _from_pandas(source: Any, columns: Iterable[str] | None, rows: int | None) -> pl.DataFrame:
    """Column by column through numpy, so that pyarrow is not needed; an index with a meaning becomes a
    column."""
    frame = source.to_frame() if not hasattr(source, "columns") else source
    frame = frame if rows is None else frame.head(rows)
    kind = type(frame.index).__name__
    if kind in ("DatetimeIndex", "PeriodIndex", "MultiIndex") or frame.index.name is not None:
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    refuse_duplicates(names, "pandas frame")
    wanted = select_columns(columns, names, "pandas frame")
    return pl.DataFrame([_pandas_column(name, frame.iloc[:, names.index(name)]) for name in wanted])


def _pandas_column(name: str, column: Any) -> pl.Series:
    kind, dtype = column.dtype.kind, str(column.dtype)
    if dtype.startswith("period"):
        column = column.dt.to_timestamp()
        kind, dtype = "M", str(column.dtype)
    if dtype == "category":
        return pl.Series(name, [None if _is_missing(v) else str(v) for v in column.tolist()], dtype=pl.String)
    if kind == "M":
        zone = getattr(column.dt, "tz", None)
        plain = column if zone is None else column.dt.tz_convert("UTC").dt.tz_localize(None)
        stamps = pl.Series(name, plain.to_numpy().astype("datetime64[us]"))
        if zone is None:
            return stamps
        there = stamps.dt.replace_time_zone("UTC")
        try:
            return there.dt.convert_time_zone(str(zone))
        except pl.exceptions.PolarsError:
            # A bare offset has no name that polars knows; the instants are the same in UTC.
            return there
    if kind in "iufb":
        known = column.notna().to_numpy()
        if bool(known.all()):
            return pl.Series(name, column.to_numpy(dtype=np.dtype(f"{kind}8") if kind in "iuf" else bool))
        return pl.Series(name, column.to_numpy(dtype=np.float64, na_value=np.nan))
    known = column.notna().to_numpy()
    values = [value if there else None for value, there in zip(column, known, strict=True)]
    return _column(name, values, "pandas frame")
