"""Time stamps of a column: read in one stated way for the whole column, or refused.

Stamps without a zone are taken as they are written (a wall clock); stamps with a zone or an offset become
UTC, but for columns whose local time is always the same, midnight as a rule, which stay local: their days
have 23 or 25 hours where summer time begins or ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import polars as pl
from polars.exceptions import ComputeError

from longspan.core.errors import DataError, InputError
from longspan.core.wording import passing, spell
from longspan.data.columns import texts
from longspan.data.frequency import DAY, Stamps, month_parts, write_stamp
from longspan.data.tables import Table
from longspan.data.time_numbers import Times, read_numbers, says_numbers

__all__ = ["Times", "looks_like_time", "read_times"]

ORDERS = ("day-first", "month-first", "year-first")
_NAMES = re.compile(
    r"(date|time|datetime|timestamp|time_?stamp|ds|ts|year|yr|month|day|epoch|unix_?time|period|日期|时间|年份?|月份)",
    re.IGNORECASE,
)
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
    r"(?P<name_short>(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sep(?:tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)[ '/-]\d{2})",
)
_SHAPES = tuple(re.compile(date + _CLOCK) for date in _DATES)
# A month may be written short or in full, and May is both: the whole column decides.
_MONTHS = ("%b", "%B")
_QUARTER = r"^(\d{4})[- ]?[Qq]([1-4])$"
_WEEK = r"^(\d{4})-?[Ww](\d{2})$"


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


def read_times(
    table: Table, name: str, time_format: str | None = None, *, local_dates: bool | None = None
) -> Times:
    """The stamps of a column.

    Args:
        table: where the column is.
        name: the column.
        time_format: how text or whole numbers are written: a strptime format, a format that an earlier
            reading found (``step``, ``epoch s`` …), or ``day-first``, ``month-first``, ``year-first`` where
            the order of a date cannot be known otherwise.
        local_dates: whether stamps with a zone are dates there or times; None lets the column say, which a
            few rows of it cannot.

    Raises:
        DataError: a blank, text that is no time, two formats in one column, a date whose order of day and
            month the column does not prove, or numbers that may be stamps or something else.
        InputError: a format that is none.
    """
    column = table.frame[name]
    _refuse_blank(table, name, column)
    if column.dtype == pl.Date:
        return Times(_stamps(column.cast(pl.Datetime("us"))), "date")
    if isinstance(column.dtype, pl.Datetime):
        return _zoned(column, local_dates)
    if column.dtype.is_integer() or column.dtype.is_float():
        if time_format is None or "%" not in time_format or says_numbers(time_format):
            return read_numbers(table, name, column, time_format)
        column = texts(table, name)
    if column.dtype != pl.String:
        raise DataError(
            f"expected time stamps, got values of type {column.dtype}. Name another column with "
            f"{spell('time')}.",
            source=table.source,
            column=name,
        )
    return _text(table, name, column.str.strip_chars(), time_format, local_dates)


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


def _daily(stamps: Stamps) -> bool:
    """Whether three days at least have one time of the day; fewer rows may have it by chance."""
    return len(np.unique(stamps)) >= 3 and bool((stamps % DAY == stamps[0] % DAY).all())


def _dates_or_times(local: Stamps) -> str:
    clock = int(local[0] % DAY)
    return "dates" if not (local % DAY).any() else f"times, always at {write_stamp(clock).split()[-1]}"


def _zoned(column: pl.Series, local_dates: bool | None) -> Times:
    zone = column.dtype.time_zone if isinstance(column.dtype, pl.Datetime) else None
    if zone is None:
        return Times(_stamps(column), "datetime")
    local = _stamps(column.dt.replace_time_zone(None))
    if local_dates is None:
        local_dates = zone != "UTC" and (not bool((local % DAY).any()) or _daily(local))
    if local_dates:
        note = f"time stamps in {zone} are taken as local {_dates_or_times(local)}"
        return Times(local, "datetime", note=note, zone=zone, local_dates=True)
    utc = _stamps(column.dt.convert_time_zone("UTC").dt.replace_time_zone(None))
    return Times(
        utc,
        "datetime",
        note=None if zone == "UTC" else f"time stamps in {zone} are turned into UTC",
        zone=zone,
    )


def _text(
    table: Table, name: str, column: pl.Series, time_format: str | None, local_dates: bool | None
) -> Times:
    order = time_format if time_format in ORDERS else None
    written = time_format is not None and "%" in time_format
    first = str(column[0])
    if column.str.contains(r"^\d+$").all() and (
        says_numbers(time_format) or not (written or re.fullmatch(r"\d{8}", first))
    ):
        return read_numbers(table, name, column, time_format)
    if time_format is not None and written:
        return _parse_all(table, name, column, [time_format], stated=True, local_dates=local_dates)
    for pattern, months in ((_QUARTER, 3), (_WEEK, 0)):
        if re.fullmatch(pattern, first):
            return _periods(table, name, column, pattern, months)
    candidates = _candidates(first, order)
    if not candidates:
        raise DataError(
            f"expected a time stamp, got {first!r}. Say how the column is written, for instance "
            f"{passing('time_format', '%d.%m.%Y %H:%M')}, or name another one with {spell('time')}.",
            source=table.source,
            row=table.row(0),
            column=name,
        )
    return _parse_all(table, name, column, candidates, stated=False, local_dates=local_dates)


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
    if named := parts.get("name_short"):
        return [f"{month}{named[-3]}%y" for month in _MONTHS]
    named = parts["name_year"] or " 2000"
    return [f"{month}{named[-5]}%Y" for month in _MONTHS]


def _strptime(column: pl.Series, form: str) -> pl.Series:
    """Null where a text is not of this format; a zone becomes UTC."""
    if "%d" not in form:
        column, form = column + "|1", form + "|%d"
    if "%H" in form and "%M" not in form:
        column, form = column + "|0", form + "|%M"
    parsed = column.str.to_datetime(form, strict=False, time_unit="us", exact=True)
    if isinstance(parsed.dtype, pl.Datetime) and parsed.dtype.time_zone is not None:
        parsed = parsed.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    # "%Y" also reads two digits, as a year of the first century.
    early = parsed.dt.year() < 1000
    return parsed if not bool(early.any()) else pl.select(pl.when(~early).then(parsed)).to_series()


def _parse_all(
    table: Table,
    name: str,
    column: pl.Series,
    candidates: Sequence[str],
    *,
    stated: bool,
    local_dates: bool | None = None,
) -> Times:
    try:
        parsed = {form: _strptime(column, form) for form in candidates}
    except ComputeError as fault:
        raise InputError(
            f"time_format: expected a strptime format of dates or times, got {candidates[0]!r}. "
            f"{str(fault).splitlines()[0]}"
        ) from fault
    whole = {form: stamps for form, stamps in parsed.items() if stamps.null_count() == 0}
    if not whole:
        best = min(parsed, key=lambda form: parsed[form].null_count())
        raise _mixed(table, name, column, best, parsed[best], stated)
    form, stamps = next(iter(whole.items()))
    if len(whole) > 1 and any(not stamps.equals(other) for other in whole.values()):
        raise _ambiguous(table, name, column, list(whole))
    if not stated and re.search("%[bB][^%]%y", form) and "%d" not in form and not _has_years(column, stamps):
        raise _no_year(table, name, column, form)
    note = None
    if re.search("%d[^%]*%m|%m[^%]*%d[^%]*%[yY]|%y[^%]*%m", form):
        read = write_stamp(int(_stamps(stamps.head(1))[0]))
        note = f"column {name!r} is read as {form}: {column[0]!r} is {read}"
    if "%#z" in form:
        local = _strptime(
            column.str.replace(r" ?(Z|[+-]\d{2}(:?\d{2})?)$", ""), form.replace(" %#z", "").replace("%#z", "")
        )
        midnights = not bool((_stamps(local) % DAY).any())
        if local_dates is None:  # at one offset UTC is as even as the local time
            local_dates = midnights or (_daily(_stamps(local)) and not _daily(_stamps(stamps)))
        if local_dates:
            return Times(
                _stamps(local),
                form,
                note=f"time stamps with offsets are taken as local {_dates_or_times(_stamps(local))}",
                zone="UTC" if local.equals(stamps) else None,
                local_dates=not midnights,
            )
        note = "time stamps with offsets are turned into UTC"
    zone = "UTC" if re.search("%#?:*z|UTC$", form) else None
    return Times(_stamps(stamps), form, note=note, zone=zone)


def _has_years(column: pl.Series, stamps: pl.Series) -> bool:
    """Whether "Jan-10" is a month of a year and no day without one: by a number that is no day, or because
    the rows go up, or are evenly spaced, as months alone."""
    number = column.str.extract(r"(\d{2})", 1).cast(pl.Int64)
    if bool(((number > 31) | (number == 0)).any()):
        return True
    month, _, _ = month_parts(_stamps(stamps))
    day = (month % 12) * 31 + number.to_numpy()
    if len(np.unique(month)) < 3:
        return False
    if bool((np.diff(month) >= 0).all()):
        return bool((np.diff(day) < 0).any())
    steps, others = np.diff(np.unique(month)), np.diff(np.unique(day))
    return bool((steps == steps[0]).all()) and not bool((others == others[0]).all())


def _no_year(table: Table, name: str, column: pl.Series, form: str) -> DataError:
    return DataError(
        f"expected months with years that the column proves, got {column[0]!r} and others that may be days "
        f"without a year. If they are months, pass {passing('time_format', form)}; if not, write the years.",
        source=table.source,
        row=table.row(0),
        column=name,
    )


def _ambiguous(table: Table, name: str, column: pl.Series, forms: Sequence[str]) -> DataError:
    flags = {"%d": passing("day_first"), "%m": passing("day_first", value=False)}
    ways = " or ".join(f"{form} ({flags.get(form[:2]) or passing('time_format', form)})" for form in forms)
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
            f"{spell('time_format')} of the column.",
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
    year = column.str.extract(pattern, 1).cast(pl.Int64, strict=False)
    number = column.str.extract(pattern, 2).cast(pl.Int64, strict=False)
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
