"""A column that holds the time although neither its name nor its type says so: taken where its numbers prove
it, else named in a note."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from longspan.core.errors import DataError
from longspan.core.wording import passing, spell
from longspan.data.digits import find_digits
from longspan.data.frequency import MICROSECONDS, Stamps
from longspan.data.grid import order_rows
from longspan.data.spacing import differences, infer_frequency
from longspan.data.tables import Table
from longspan.data.time_numbers import epoch_times

__all__ = ["find_overlooked", "likely_times"]

# Fewer distinct values prove nothing.
_ENOUGH = 6
_FILLED = 0.5
_DATE_LIKE = re.compile(
    r"\b(?:1[89]|20)\d{2}(?:\d{2}){0,2}\b|\b\d{1,2}[-/.:]\d{1,2}\b|\d{1,2}:\d{2}"
    r"|(?<![a-z])(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\W*\d",
    re.IGNORECASE,
)


def likely_times(table: Table, series: Sequence[str], taken: Sequence[str]) -> tuple[str, ...]:
    """The columns without a role that hold other whole numbers, or other date-like texts, in every row of a
    series."""
    return tuple(
        name
        for name in table.frame.columns
        if name not in taken
        and (_whole(table.frame[name]) is not None or _date_like(table.frame[name]))
        and table.frame.select([*series, name]).n_unique() == table.frame.height
    )


def find_overlooked(
    table: Table, series: Sequence[str], taken: Sequence[str]
) -> tuple[str | None, str | None]:
    """A column whose numbers prove that they are time stamps, or None, and a note on it or on another one
    that may be meant.

    Args:
        table: all rows.
        series: the columns that name a series.
        taken: the columns that have a role.
    """
    likely = likely_times(table, series, taken)
    proven = [name for name in likely if _proves(table, series, name)]
    if len(proven) == 1:
        (name,) = proven
        return name, f"column {name!r} is taken as the time: its numbers are stamps at regular steps"
    telling = proven or [name for name in likely if _tells(table, series, name)]
    if not telling:
        return None, None
    name = telling[0]
    way = passing("time", name)
    if not proven and _whole(table.frame[name]) is None:
        way += f" with {spell('time_format')}"
    return None, (
        f"no time column was recognised; {name!r} is not used and the rows are taken in the order of the "
        f"table: {way} takes it"
    )


def _whole(column: pl.Series) -> Stamps | None:
    """Whole numbers of eighteen digits at most, or text that is one in every row; else None."""
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        if not bool(text.str.contains(r"^-?\d{1,18}$").fill_null(value=False).all()):
            return None
        column = text
    elif column.dtype.is_float():
        if not bool(((column == column.floor()) & (column.abs() < 2.0**53)).fill_null(value=False).all()):
            return None
    elif not column.dtype.is_integer():
        return None
    values = column.cast(pl.Int64, strict=False)
    if not len(values) or values.null_count():
        return None
    numbers: Stamps = values.to_numpy()
    return numbers if int(numbers.min()) > -(10**18) and int(numbers.max()) < 10**18 else None


def _date_like(column: pl.Series) -> bool:
    if column.dtype != pl.String or column.null_count():
        return False
    return len(column) > 0 and all(_DATE_LIKE.search(text) for text in column.head(100))


def _stamps(values: Stamps, name: str) -> Stamps | None:
    """The stamps that numbers are for certain: written on the calendar, over the end of a month or a year, or
    whole minutes since 1970."""
    digits = find_digits(values, name)
    if digits is not None:
        crosses = int(values.min()) // 100 < int(values.max()) // 100
        return digits.stamps if digits.wrong is None and digits.proven and crosses else None
    times = epoch_times(values)
    if times is None:
        return None
    steps = np.diff(np.unique(times.stamps)).astype(np.int64)
    return None if (steps % MICROSECONDS["minute"]).any() else times.stamps


def _proves(table: Table, series: Sequence[str], name: str) -> bool:
    """Whether the numbers are stamps for certain, at steps that `infer_frequency` believes."""
    values = _whole(table.frame[name])
    if values is None or len(np.unique(values)) < _ENOUGH:
        return False
    stamps = _stamps(values, name)
    if stamps is None:
        return False
    try:
        rows = order_rows(table, tuple(series), stamps)
        infer_frequency(
            stamps if rows.stamps is None else rows.stamps,
            rows.bounds,
            steps=False,
            source=table.source,
            column=name,
            row=table.row,
        )
    except DataError:
        return False
    return True


def _tells(table: Table, series: Sequence[str], name: str) -> bool:
    """Whether a column is worth a note: date-like texts, or numbers that fill half of their grid and are more
    than a count of the rows."""
    values = _whole(table.frame[name])
    if values is None:
        return True
    numbers = np.unique(values)
    if len(numbers) < _ENOUGH:
        return False
    digits = find_digits(values, name)
    stamped = _stamps(values, name) is not None or (digits is not None and digits.wrong is None)
    if not stamped:
        steps = np.diff(numbers)
        if int(np.gcd.reduce(steps)) * len(steps) < _FILLED * int(numbers[-1] - numbers[0]):
            return False
    if stamped or (int(numbers[0]) >= 1500 and int(numbers[-1]) <= 2100):  # or years
        return True
    rows = order_rows(table, tuple(series), None)
    there = values if rows.order is None else values[rows.order]
    found = np.concatenate([block for _, block in differences(there, rows.bounds)])
    inner = np.delete(found, rows.bounds[1:-1] - 1)
    return not (len(inner) and bool((inner == inner[0]).all()) and inner[0] > 0)
