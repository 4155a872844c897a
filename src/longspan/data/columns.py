"""One column of a table as numbers or as text, with the row and the remedy in every refusal."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from longspan.core.errors import DataError
from longspan.core.wording import passing
from longspan.data.faults import missing_column
from longspan.data.tables import Table

__all__ = ["LARGEST", "is_number_like", "numbers", "require_columns", "texts"]

LARGEST = 1e38
"""Networks know the size of a window as a float32, the largest of which is 3.4e38."""


def require_columns(names: Sequence[str], table: Table) -> None:
    """Refuse when the table lacks one of these columns: lists what it has and names the nearest."""
    for name in names:
        if name not in table.frame.columns:
            raise missing_column(name, table.frame.columns, table.source)


def numbers(table: Table, name: str) -> NDArray[np.float64]:
    """A column as float64 (R,), NaN where missing.

    Raises:
        DataError: a text that is no number, an infinity, or a number beyond `LARGEST`, with its row.
    """
    column = table.frame[name]
    dtype = column.dtype
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        values = _own(column.cast(pl.Float64))
    elif dtype == pl.String or isinstance(dtype, (pl.Categorical, pl.Enum)):
        values = _parse(table, name, column.cast(pl.String))
    else:
        raise DataError(
            f"expected numbers, got values of type {dtype}. Name another column, or turn it into numbers.",
            source=table.source,
            column=name,
        )
    for token in table.missing:
        number = _as_float(token)
        if number is not None and not math.isnan(number):
            values[values == number] = np.nan
    _refuse_endless(table, name, values)
    return values


def texts(table: Table, name: str) -> pl.Series:
    """A column as text, null where blank or missing; whole numbers stored as floats lose the ``.0``."""
    column = table.frame[name]
    if column.dtype.is_float():
        whole = column.drop_nulls().drop_nans()
        if bool((whole == whole.floor()).all()) and bool((whole.abs() < 2.0**53).all()):
            column = column.fill_nan(None).cast(pl.Int64)
    text = column.cast(pl.String)
    if column.dtype != pl.String:
        return text
    blank = ["", *table.missing]
    if not bool(text.is_in(blank).any()):
        return text
    return pl.select(pl.when(~text.is_in(blank)).then(text)).to_series().alias(name)


def is_number_like(table: Table, name: str) -> bool:
    """Whether every value of a column is a number or missing, and one at least is a number."""
    column = table.frame[name]
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return True
    if column.dtype != pl.String:
        return False
    parsed, wrong = _cast(table, column)
    return not bool(wrong.any()) and parsed.null_count() < len(parsed)


def _own(column: pl.Series) -> NDArray[np.float64]:
    """A writable float64 copy with NaN for null."""
    values = np.empty(len(column))
    position = 0
    for chunk in column.get_chunks():
        values[position : position + len(chunk)] = chunk.to_numpy()
        position += len(chunk)
    return values


def _cast(table: Table, column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Text to float64 (null where missing), and where a text is neither a number nor missing."""
    text = column.str.strip_chars()
    if table.thousands is not None:
        # Only groups of exactly three digits may be joined: "1,23" is not 123.
        grouped = text.str.contains(rf"^[+-]?\d{{1,3}}(?:{re.escape(table.thousands)}\d{{3}})+(?:\D|$)")
        joined = text.str.replace_all(table.thousands, "", literal=True)
        text = pl.select(pl.when(grouped).then(joined).otherwise(text)).to_series()
    if table.decimal != ".":
        # A point must not stand for a decimal sign here: "1.5" under a decimal comma is a fault, not 1.5.
        pointed = text.str.contains(".", literal=True)
        text = text.str.replace(table.decimal, ".", literal=True)
        text = pl.select(pl.when(pointed).then(pl.lit("point")).otherwise(text)).to_series()
    values = text.cast(pl.Float64, strict=False)
    if values.null_count() == 0:
        return values, values.is_null()
    blank = column.is_null() | text.is_in(["", *table.missing])
    return values, values.is_null() & ~blank


def _parse(table: Table, name: str, column: pl.Series) -> NDArray[np.float64]:
    values, wrong = _cast(table, column)
    if bool(wrong.any()):
        index = int(wrong.arg_max() or 0)
        text = str(column[index])
        message = f"expected a number, got {text!r}. {_remedy(text, table)}"
        raise DataError(message, source=table.source, row=table.row(index), column=name)
    if table.missing:
        named = column.str.strip_chars().is_in(list(table.missing))
        values = pl.select(pl.when(~named).then(values)).to_series() if bool(named.any()) else values
    return _own(values)


def _remedy(text: str, table: Table) -> str:
    bare = text.strip()
    if table.decimal == "." and re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", bare):
        return (
            f"This looks like a thousands separator: pass {passing('thousands', ',')} (or "
            f"{passing('decimal', ',')} if it is a decimal comma)."
        )
    if table.decimal == "." and re.fullmatch(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d*", bare):
        return f"This looks like a decimal comma: pass {passing('decimal', ',')}."
    if table.decimal == "," and "." in bare:
        return (
            f"With {passing('decimal', ',')} a point is no decimal sign: pass {passing('thousands', '.')} if "
            f"it groups digits, or {passing('decimal', '.')}."
        )
    if re.fullmatch(r"[+-]?\d{1,3}([ '\u00a0\u202f]\d{3})+", bare):
        sign = bare.lstrip("+-0123456789")[0]
        return f"This looks like a thousands separator: pass {passing('thousands', sign)}."
    return f"Pass {passing('missing', text)} to treat it as missing."


def _refuse_endless(table: Table, name: str, values: NDArray[np.float64]) -> None:
    block = 1 << 20
    for first in range(0, len(values), block):
        endless = np.abs(values[first : first + block]) > LARGEST
        if endless.any():
            index = first + int(endless.argmax())
            number, infinite = str(values[index]), bool(np.isinf(values[index]))
            expected = "a finite number" if infinite else f"a number between -{LARGEST:g} and {LARGEST:g}"
            units = "" if infinite else "give the column in larger units, "
            raise DataError(
                f"expected {expected}, got {number}. Correct the value, {units}or pass "
                f"{passing('missing', number)} to treat it as missing.",
                source=table.source,
                row=table.row(index),
                column=name,
            )


def _as_float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
