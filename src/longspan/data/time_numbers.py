"""Whole numbers as time stamps: calendar stamps, times since 1970, years, or step numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

from longspan.core.errors import DataError
from longspan.core.wording import passing, spell
from longspan.data.digits import FORMS, Found, find_digits
from longspan.data.frequency import Stamps, write_stamp
from longspan.data.tables import Table

__all__ = ["Times", "epoch_times", "read_numbers", "says_numbers"]

_YEARS = re.compile(r"(year|yr|date|ds|年份?)", re.IGNORECASE)
# Microseconds of one unit of an epoch number, and the range of numbers that means the years 1973 to 2286.
_EPOCHS = {
    "epoch s": (1_000_000, 10**8, 10**10),
    "epoch ms": (1_000, 10**11, 10**13),
    "epoch us": (1, 10**14, 10**16),
}
_NANOSECONDS = "epoch ns"
_RIVALS = {"step": "step numbers", "epoch s": "seconds since 1970"}


@dataclass(frozen=True, eq=False)
class Times:
    """Stamps of a column: int64 (R,) microseconds, or step numbers when ``steps``; and how they were written:
    the ``zone`` where the column had one, whose wall clock the stamps are when ``local_dates``, else UTC."""

    stamps: Stamps
    format: str
    steps: bool = False
    note: str | None = None
    zone: str | None = None
    local_dates: bool = False


def says_numbers(time_format: str | None) -> bool:
    """Whether a format says what whole numbers mean."""
    return time_format is not None and (time_format in {*FORMS, *_EPOCHS, _NANOSECONDS, "step"})


def read_numbers(table: Table, name: str, column: pl.Series, time_format: str | None) -> Times:
    """The stamps of a column of whole numbers, or of text that is digits alone.

    Args:
        table, name: for the message.
        column: without blanks.
        time_format: how they are written, where it says so.

    Raises:
        DataError: a number that is not whole, has too many digits or is no stamp among stamps, or numbers
            that may be stamps or something else.
    """
    values = _whole(table, name, column)
    if time_format is not None and says_numbers(time_format):
        return _stated(table, name, values, time_format)
    if (digits := find_digits(values, name)) is not None:
        return _calendar(table, name, values, digits)
    if (epoch := epoch_times(values)) is not None:
        return epoch
    if int(values.min()) >= 1000 and int(values.max()) < 3000 and _YEARS.fullmatch(name.strip()):
        return Times(FORMS["year"].decode(values)[0], "year")
    return _steps(table, name, values)


def _whole(table: Table, name: str, column: pl.Series) -> Stamps:
    whole = column.cast(pl.Int64, strict=False)
    wrong = whole.is_null()
    if column.dtype.is_float():
        wrong = wrong | (column != column.floor())
    if bool(wrong.any()):
        index = int(wrong.arg_max() or 0)
        raise _no_time(table, name, index, column[index])
    return whole.to_numpy()


def _steps(table: Table, name: str, values: Stamps) -> Times:
    """Step numbers, of eighteen digits at most: their distances have to be numbers of 64 bits."""
    large = (values >= 10**18) | (values <= -(10**18))
    if large.any():
        index = int(large.argmax())
        raise _no_time(table, name, index, values[index])
    return Times(values, "step", steps=True)


def _no_time(table: Table, name: str, index: int, got: object) -> DataError:
    return DataError(
        f"expected a time stamp, got {got}. Correct it, or name another column with {spell('time')}.",
        source=table.source,
        row=table.row(index),
        column=name,
    )


def epoch_times(values: Stamps) -> Times | None:
    """Times since 1970, where the numbers mean the years 1973 to 2286."""
    low, high = int(values.min()), int(values.max())
    for form, (unit, first, last) in _EPOCHS.items():
        if first <= low and high < last:
            return Times(values * unit, form)
    return Times(values // 1000, _NANOSECONDS) if low >= 10**17 else None


def _stated(table: Table, name: str, values: Stamps, time_format: str) -> Times:
    """Numbers as the user or a schema says they are written; newer data may have another unit since 1970."""
    if time_format == "step":
        return _steps(table, name, values)
    if time_format in FORMS:
        stamps, there = FORMS[time_format].decode(values)
        if not there.all():
            raise _no_stamp(table, name, values, time_format, int((~there).argmax()))
        return Times(stamps, time_format)
    if (found := epoch_times(values)) is not None:
        return found
    raise DataError(
        f"expected numbers since 1970 that mean the years 1973 to 2286 ({time_format}), got {values.min()} "
        f"to {values.max()}. Correct them, or pass another {spell('time_format')}.",
        source=table.source,
        column=name,
    )


def _calendar(table: Table, name: str, values: Stamps, found: Found) -> Times:
    """Numbers that are calendar stamps, unless one of them is none, or all may be something else."""
    form = found.form
    if found.wrong is not None:
        raise _no_stamp(table, name, values, form.code, found.wrong)
    if not found.proven:
        raise DataError(
            f"expected numbers that can be read in one way only, got {values.min()} to {values.max()}, which "
            f"may be stamps written {form.code} or {_RIVALS[str(form.rival)]}. Say which: "
            f"{passing('time_format', form.code)} or {passing('time_format', str(form.rival))}.",
            source=table.source,
            column=name,
        )
    if form.code == "%Y%m%d":  # as certain as 2020-03-01
        return Times(found.stamps, form.code)
    read = write_stamp(int(found.stamps[0]))
    note = f"column {name!r} is read as {form.code}: {values[0]} is {read}"
    return Times(found.stamps, form.code, note=note)


def _no_stamp(table: Table, name: str, values: Stamps, form: str, index: int) -> DataError:
    return DataError(
        f"expected a time stamp written as {form}, got {values[index]}. Correct it, or say how the column is "
        f"written, for instance {passing('time_format', 'step')} if it counts steps.",
        source=table.source,
        row=table.row(index),
        column=name,
    )
