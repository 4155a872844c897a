"""Time stamps of a column: read in one stated way for the whole column, or refused.

Stamps without a zone are taken as they are written (a wall clock); stamps with a zone or an offset become
UTC, but for columns whose local time is always midnight, which are dates and stay local dates.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from longspan.core.errors import DataError
from longspan.data.columns import texts
from longspan.data.frequency import DAY, Stamps, write_stamp
from longspan.data.tables import Table

__all__ = ["Times", "looks_like_time", "read_times"]

ORDERS = ("day-first", "month-first", "year-first")
_NAMES = re.compile(
    r"(date|time|datetime|timestamp|time_?stamp|ds|ts|year|yr|month|day|epoch|unix_?time|period|日期|时间|年份?|月份)",
    re.IGNORECASE,
)
# Microseconds of one unit of an epoch number, and the range of numbers that means the years 1973 to 2286.
_EPOCHS = {
    "epoch s": (1_000_000, 10**8, 10**10),
    "epoch ms": (1_000, 10**11, 10**13),
    "epoch us": (1, 10**14, 10**16),
}
_CLOCK = (
    r"(?P<clock>[ T]\d{1,2}:\d{2}(?P<seconds>:\d{2}(?:\.\d+)?)?(?P<half> ?[AaPp][Mm])?)?"
    r"(?P<zone> ?(?:Z|UTC|[+-]\d{2}:?\d{2}|[+-]\d{2}))?"
)
_DATES = (
    r"(?P<y4>\d{4})(?P<sep>[-/.])\d{1,2}(?P=sep)\d{1,2}",
    r"\d{1,2}(?P<sep>[-/.])\d{1,2}(?P=sep)(?P<last>\d{4}|\d{2})",
    r"(?P<compact>\d{8})",
    r"(?P<month>\d{4}[-/.]\d{1,2})",
    r"(?P<han>\d{4}年\d{1,2}月(?:\d{1,2}日)?)",
    r"(?P<day_name>\d{1,2}[ -][A-Za-z]{3,9}[ -](?:\d{4}|\d{2}))",
    r"(?P<name_day>[A-Za-z]{3,9} \d{1,2},? \d{4})",
    r"(?P<name_year>[A-Za-z]{3,9}[ -]\d{4})",
)
_SHAPES = tuple(re.compile(date + _CLOCK) for date in _DATES)
# A month may be written short or in full, and May is both: the whole column decides.
_MONTHS = ("%b", "%B")
_QUARTER = r"^(\d{4})[- ]?[Qq]([1-4])$"
_WEEK = r"^(\d{4})-?[Ww](\d{2})$"


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


def looks_like_time(table: Table, name: str) -> bool:
    """Whether a column is one of time stamps: by its type, its text, or its name where it holds whole
    numbers."""
    column = table.frame[name]
    if column.dtype.is_temporal():
        return column.dtype in (pl.Date, pl.Datetime)
    named = _NAMES.fullmatch(name.strip()) is not None
    known = column.drop_nulls().head(100)
    if column.dtype.is_integer() or column.dtype.is_float():
        return named and len(known) > 0 and bool((known == known.floor()).all())
    if column.dtype != pl.String or len(known) == 0:
        return False
    if all(text.strip().isdigit() for text in known):
        return named
    return all(_candidates(text.strip(), None) for text in known)


def read_times(table: Table, name: str, time_format: str | None = None) -> Times:
    """The stamps of a column.

    Args:
        table: where the column is.
        name: the column.
        time_format: how text is written: a strptime format, a format that an earlier reading found, or
            ``day-first``, ``month-first``, ``year-first`` where the order of a date cannot be known
            otherwise.

    Raises:
        DataError: a blank, text that is no time, two formats in one column, or a date whose order of day and
            month the column does not prove.
    """
    column = table.frame[name]
    _refuse_blank(table, name, column)
    if column.dtype == pl.Date:
        return Times(_stamps(column.cast(pl.Datetime("us"))), "date")
    if isinstance(column.dtype, pl.Datetime):
        return _zoned(column)
    if column.dtype.is_integer() or column.dtype.is_float():
        return _whole_numbers(table, name, column)
    if column.dtype != pl.String:
        raise DataError(
            f"expected time stamps, got values of type {column.dtype}. Name another column with --time.",
            source=table.source,
            column=name,
        )
    return _text(table, name, column.str.strip_chars(), time_format)


def _refuse_blank(table: Table, name: str, column: pl.Series) -> None:
    blank = texts(table, name).is_null() if column.dtype == pl.String else column.is_null()
    if column.dtype.is_float():
        blank = blank | column.is_nan().fill_null(value=True)
    if bool(blank.any()):
        raise DataError(
            "expected a time stamp, got a blank. Complete or delete the row.",
            source=table.source,
            row=table.row(int(blank.arg_max() or 0)),
            column=name,
        )


def _stamps(column: pl.Series) -> Stamps:
    return column.cast(pl.Datetime("us")).to_physical().to_numpy()


def _zoned(column: pl.Series) -> Times:
    zone = column.dtype.time_zone if isinstance(column.dtype, pl.Datetime) else None
    if zone is None:
        return Times(_stamps(column), "datetime")
    local = _stamps(column.dt.replace_time_zone(None))
    if zone != "UTC" and not bool((local % DAY).any()):
        note = f"time stamps are midnights in {zone}: taken as local dates"
        return Times(local, "datetime", note=note, zone=zone, local_dates=True)
    utc = _stamps(column.dt.convert_time_zone("UTC").dt.replace_time_zone(None))
    return Times(
        utc,
        "datetime",
        note=None if zone == "UTC" else f"time stamps in {zone} are turned into UTC",
        zone=zone,
    )


def _whole_numbers(table: Table, name: str, column: pl.Series) -> Times:
    """Whole numbers are seconds, milliseconds or microseconds since 1970, YYYYMMDD, years, or step
    numbers."""
    if column.dtype.is_float():
        uneven = column != column.floor()
        if bool(uneven.any()):
            index = int(uneven.arg_max() or 0)
            raise DataError(
                f"expected a time stamp, got {column[index]}. Name another column with --time.",
                source=table.source,
                row=table.row(index),
                column=name,
            )
    values = column.cast(pl.Int64).to_numpy()
    low, high = int(values.min()), int(values.max())
    for form, (unit, first, last) in _EPOCHS.items():
        if first <= low and high < last:
            return Times(values * unit, form)
    if low >= 10**17 and high < 10**19:
        return Times(values // 1000, "epoch ns")
    if low >= 19_000_101 and high <= 21_001_231:
        return _text(table, name, column.cast(pl.Int64).cast(pl.String), "%Y%m%d")
    if low >= 1000 and high < 3000 and re.fullmatch("year|yr|date|ds|年份?", name.strip(), re.IGNORECASE):
        years = (values - 1970).astype("datetime64[Y]")
        return Times(years.astype("datetime64[us]").astype(np.int64), "year")
    return Times(values, "step", steps=True)


def _text(table: Table, name: str, column: pl.Series, time_format: str | None) -> Times:
    order = time_format if time_format in ORDERS else None
    if time_format is not None and "%" in time_format:
        return _parse_all(table, name, column, [time_format], stated=True)
    first = str(column[0])
    if column.str.contains(r"^\d+$").all() and not re.fullmatch(r"\d{8}", first):
        return _whole_numbers(table, name, column.cast(pl.Int64))
    for pattern, months in ((_QUARTER, 3), (_WEEK, 0)):
        if re.fullmatch(pattern, first):
            return _periods(table, name, column, pattern, months)
    candidates = _candidates(first, order)
    if not candidates:
        raise DataError(
            f"expected a time stamp, got {first!r}. Pass --time-format (for instance '%d.%m.%Y %H:%M'), or "
            "name another column with --time.",
            source=table.source,
            row=table.row(0),
            column=name,
        )
    return _parse_all(table, name, column, candidates, stated=False)


def _candidates(text: str, order: str | None) -> list[str]:
    """Every strptime format that the shape of one text allows."""
    if re.fullmatch(_QUARTER, text) or re.fullmatch(_WEEK, text):
        return ["period"]
    match = next((found for shape in _SHAPES if (found := shape.fullmatch(text))), None)
    if match is None:
        return []
    parts = match.groupdict()
    clock = ""
    if parts["clock"]:
        hour, mark = ("%I", " %p" if " " in (parts["half"] or "") else "%p") if parts["half"] else ("%H", "")
        clock = f"{parts['clock'][0]}{hour}:%M{':%S%.f' if parts['seconds'] else ''}{mark}"
    zone = parts["zone"] or ""
    suffix = (
        clock + (" " if zone.startswith(" ") else "") + ("UTC" if "UTC" in zone else "%#z" if zone else "")
    )
    return [date + suffix for date in _date_formats(parts, order)]


def _date_formats(parts: dict[str, str | None], order: str | None) -> list[str]:
    sep = parts.get("sep") or ""
    if parts.get("y4"):
        return [f"%Y{sep}%m{sep}%d"]
    if last := parts.get("last"):
        year = "%Y" if len(last) == 4 else "%y"
        forms = {"day-first": f"%d{sep}%m{sep}{year}", "month-first": f"%m{sep}%d{sep}{year}"}
        if year == "%y":
            forms["year-first"] = f"%y{sep}%m{sep}%d"
        return list(forms.values()) if order is None else [forms[order]] if order in forms else []
    if parts.get("compact"):
        return ["%Y%m%d"]
    if month := parts.get("month"):
        return [f"%Y{month[4]}%m"]
    if han := parts.get("han"):
        return ["%Y年%m月%d日" if "日" in han else "%Y年%m月"]
    if named := parts.get("day_name"):
        sep = re.sub("[0-9A-Za-z]", "", named)
        year = "%Y" if re.search(r"[0-9]{4}$", named) else "%y"
        return [f"%d{sep[0]}{month}{sep[1]}{year}" for month in _MONTHS]
    if named := parts.get("name_day"):
        return [f"{month} %d{',' if ',' in named else ''} %Y" for month in _MONTHS]
    named = parts["name_year"] or " 2000"
    return [f"{month}{named[-5]}%Y" for month in _MONTHS]


def _strptime(column: pl.Series, form: str) -> pl.Series:
    """Null where a text is not of this format; a zone becomes UTC."""
    if "%d" not in form:
        column, form = column + "|1", form + "|%d"
    parsed = column.str.to_datetime(form, strict=False, time_unit="us", exact=True)
    if isinstance(parsed.dtype, pl.Datetime) and parsed.dtype.time_zone is not None:
        parsed = parsed.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    # "%Y" also reads two digits, as a year of the first century.
    early = parsed.dt.year() < 1000
    return parsed if not bool(early.any()) else pl.select(pl.when(~early).then(parsed)).to_series()


def _parse_all(
    table: Table, name: str, column: pl.Series, candidates: Sequence[str], *, stated: bool
) -> Times:
    parsed = {form: _strptime(column, form) for form in candidates}
    whole = {form: stamps for form, stamps in parsed.items() if stamps.null_count() == 0}
    if not whole:
        best = min(parsed, key=lambda form: parsed[form].null_count())
        raise _mixed(table, name, column, best, parsed[best], stated)
    form, stamps = next(iter(whole.items()))
    if len(whole) > 1 and any(not stamps.equals(other) for other in whole.values()):
        raise _ambiguous(table, name, column, list(whole))
    note = None
    if re.search("%d[^%]*%m|%m[^%]*%d[^%]*%[yY]|%y[^%]*%m", form):
        read = write_stamp(int(_stamps(stamps.head(1))[0]))
        note = f"column {name!r} is read as {form}: {column[0]!r} is {read}"
    if "%#z" in form:
        local = _strptime(
            column.str.replace(r" ?(Z|[+-]\d{2}(:?\d{2})?)$", ""), form.replace(" %#z", "").replace("%#z", "")
        )
        if not bool((_stamps(local) % DAY).any()):
            return Times(
                _stamps(local),
                form,
                note="time stamps with offsets are midnights: taken as local dates",
                zone="UTC" if local.equals(stamps) else None,
            )
        note = "time stamps with offsets are turned into UTC"
    zone = "UTC" if re.search("%#?:*z|UTC$", form) else None
    return Times(_stamps(stamps), form, note=note, zone=zone)


def _ambiguous(table: Table, name: str, column: pl.Series, forms: Sequence[str]) -> DataError:
    flags = {"%d": "--day-first", "%m": "--no-day-first", "%y": "--time-format, %y first"}
    ways = " or ".join(f"{form} ({flags[form[:2]]})" for form in forms)
    return DataError(
        f"expected an order of day and month that the column proves, got dates such as {column[0]!r} that "
        f"fit {ways} in every row. Say which one.",
        source=table.source,
        row=table.row(0),
        column=name,
    )


def _mixed(
    table: Table, name: str, column: pl.Series, form: str, stamps: pl.Series, stated: bool
) -> DataError:
    wrong = int(stamps.is_null().arg_max() or 0)
    right = stamps.is_not_null().arg_max()
    if stated or right is None or stamps.null_count() == len(stamps):
        return DataError(
            f"expected a time stamp written as {form}, got {column[wrong]!r}. Correct it, or pass the "
            "--time-format of the column.",
            source=table.source,
            row=table.row(wrong),
            column=name,
        )
    return DataError(
        f"expected one way of writing time stamps, got {column[right]!r} ({form}) in row "
        f"{table.row(int(right)):,} and {column[wrong]!r} here. Write them all in one way.",
        source=table.source,
        row=table.row(wrong),
        column=name,
    )


def _periods(table: Table, name: str, column: pl.Series, pattern: str, months: int) -> Times:
    """Quarters (2020Q3) and ISO weeks (2020-W07): stamped with their first day."""
    year = column.str.extract(pattern, 1).cast(pl.Int64)
    number = column.str.extract(pattern, 2).cast(pl.Int64)
    wrong = year.is_null() | number.is_null()
    if not months:
        joined = year.cast(pl.String) + "-" + number.cast(pl.String) + "-1"
        stamps = joined.str.to_datetime("%G-%V-%u", strict=False, time_unit="us")
        wrong = wrong | stamps.is_null()
    if bool(wrong.any()):
        index = int(wrong.arg_max() or 0)
        raise DataError(
            f"expected a {'quarter' if months else 'week'} as in row {table.row(0):,} ({column[0]!r}), got "
            f"{column[index]!r}. Correct it.",
            source=table.source,
            row=table.row(index),
            column=name,
        )
    if not months:
        return Times(_stamps(stamps), "week")
    month = ((year - 1970) * 12 + (number - 1) * months).to_numpy().astype("datetime64[M]")
    return Times(month.astype("datetime64[us]").astype(np.int64), "quarter")
