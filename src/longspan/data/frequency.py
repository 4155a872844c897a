"""The regular grid of time: a frequency turns (start, number of steps) into stamps and back.

Stamps are int64 microseconds since 1970-01-01 00:00 (UTC, or the wall clock when the table names no zone);
with the unit ``row`` a stamp is a row number or a step number.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from longspan.core.errors import InputError

__all__ = ["DAY", "MICROSECONDS", "Frequency", "Stamps", "Unit", "is_month_end", "month_parts", "write_stamp"]

Unit = Literal["row", "microsecond", "second", "minute", "hour", "day", "business day", "week", "month"]
Anchor = Literal["start", "end"]
Stamps = NDArray[np.int64]

SECOND = 1_000_000
DAY = 86_400 * SECOND
MICROSECONDS: dict[str, int] = {
    "microsecond": 1,
    "second": SECOND,
    "minute": 60 * SECOND,
    "hour": 3600 * SECOND,
    "day": DAY,
    "week": 7 * DAY,
}
_CODES: dict[str, tuple[Unit, int, Anchor]] = {
    "row": ("row", 1, "start"),
    "us": ("microsecond", 1, "start"),
    "ms": ("microsecond", 1000, "start"),
    "s": ("second", 1, "start"),
    "min": ("minute", 1, "start"),
    "h": ("hour", 1, "start"),
    "D": ("day", 1, "start"),
    "B": ("business day", 1, "start"),
    "W": ("week", 1, "start"),
    "MS": ("month", 1, "start"),
    "ME": ("month", 1, "end"),
    "QS": ("month", 3, "start"),
    "QE": ("month", 3, "end"),
    "YS": ("month", 12, "start"),
    "YE": ("month", 12, "end"),
}
_NAMES = {
    "hourly": "h",
    "daily": "D",
    "weekly": "W",
    "monthly": "MS",
    "quarterly": "QS",
    "yearly": "YS",
    "H": "h",
    "S": "s",
    "T": "min",
    "M": "ME",
    "Q": "QE",
    "Y": "YE",
    "A": "YE",
    "d": "D",
    "w": "W",
}
_ADVERBS = {"hour": "hourly", "day": "daily", "week": "weekly", "month": "monthly"}
# Cycles that people and weather follow, in units of each step: what a season can naturally be.
_CYCLES: dict[str, tuple[int, ...]] = {
    "microsecond": (),
    "second": (60, 3600, 86_400),
    "minute": (60, 1440, 10_080),
    "hour": (24, 168),
    "day": (7, 365),
    "business day": (5, 261),
    "week": (52,),
    "month": (12,),
    "row": (),
}


class Frequency(BaseModel):
    """A regular grid: every ``multiple`` units. Quarters are 3 months, years 12.

    ``anchor`` is for months only: ``end`` = the last day of the month, ``start`` = the day of the first stamp
    (28 at most). Prints as ``hourly``, ``every 15 minutes``, ``monthly (month end)``; `code` is short:
    ``15min``, ``ME``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Unit
    multiple: int = Field(default=1, ge=1)
    anchor: Anchor = "start"

    @classmethod
    def parse(cls, text: str) -> Frequency:
        """The frequency of a code, ``row s min h D B W MS ME QS QE YS YE``, or ``15min``.

        Raises:
            InputError: the text is none of these.
        """
        match = re.fullmatch(r"\s*(\d*)\s*([A-Za-z]+)\s*", text)
        code = _NAMES.get(match[2], match[2]) if match else ""
        if match is None or code not in _CODES or match[1] == "0":
            raise InputError(
                f"frequency: expected one of {', '.join(_CODES)} with an optional number in front (15min), "
                f"got {text!r}"
            )
        unit, multiple, anchor = _CODES[code]
        return cls(unit=unit, multiple=multiple * int(match[1] or 1), anchor=anchor)

    @property
    def code(self) -> str:
        """The short form that `parse` reads."""
        fitting = [
            (count, name)
            for name, (unit, count, anchor) in _CODES.items()
            if unit == self.unit and anchor == self.anchor and self.multiple % count == 0
        ]
        count, name = max(fitting)
        times = self.multiple // count
        return name if times == 1 else f"{times}{name}"

    def __str__(self) -> str:
        end = " (month end)" if self.anchor == "end" else ""
        count, name = self.multiple, str(self.unit)
        for whole, larger in ((12, "year"), (3, "quarter")):
            if self.unit == "month" and self.multiple % whole == 0:
                count, name = self.multiple // whole, larger
                break
        if self.unit == "microsecond" and self.multiple % 1000 == 0:
            count, name = self.multiple // 1000, "millisecond"
        adverbs = _ADVERBS | {"quarter": "quarterly", "year": "yearly"}
        if count == 1:
            return adverbs.get(name, f"every {name}") + end
        return f"every {count} {name}s{end}"

    @property
    def step(self) -> int | None:
        """Microseconds of one step where every step is as long (not for months, business days, rows)."""
        size = MICROSECONDS.get(self.unit)
        return None if size is None else size * self.multiple

    @property
    def seasons(self) -> tuple[int, ...]:
        """Natural season lengths in whole steps, shortest first: hourly (24, 168), every 15 minutes (4, 96,
        672)."""
        return tuple(
            cycle // self.multiple
            for cycle in _CYCLES[self.unit]
            if cycle % self.multiple == 0 and cycle // self.multiple >= 4
        )

    def stamps(self, start: Stamps | int, steps: Stamps | int) -> Stamps:
        """Stamps of ``start`` moved by ``steps`` (broadcast; steps may be negative)."""
        begin, moved = np.asarray(start, dtype=np.int64), np.asarray(steps, dtype=np.int64) * self.multiple
        if self.unit == "row":
            return begin + moved
        if self.unit == "business day":
            day, clock = np.divmod(begin, DAY)
            return _business_to_day(_day_to_business(day) + moved) * DAY + clock
        if self.unit == "month":
            month, day_of_month, clock = month_parts(begin)
            return _join_month(month + moved, day_of_month, self.anchor) * DAY + clock
        return begin + moved * MICROSECONDS[self.unit]

    def steps_between(self, start: Stamps | int, stamps: Stamps) -> tuple[Stamps, NDArray[np.bool_]]:
        """Whole steps from ``start`` to each stamp (rounded down), and whether each stamp lies exactly on the
        grid."""
        begin, there = np.asarray(start, dtype=np.int64), np.asarray(stamps, dtype=np.int64)
        if self.unit == "business day":
            units = _day_to_business(there // DAY) - _day_to_business(begin // DAY)
        elif self.unit == "month":
            units = _months(there) - _months(begin)
        else:
            step = self.multiple * MICROSECONDS.get(self.unit, 1)
            steps, rest = np.divmod(there - begin, step)
            return steps, rest == 0
        steps = units // self.multiple
        return steps, self.stamps(begin, steps) == there


def _day_to_business(day: Stamps) -> Stamps:
    """Number of the business day (Monday to Friday) of a day since 1970 (a Thursday); weekends count as
    Friday."""
    week, weekday = np.divmod(day + 3, 7)
    return week * 5 + np.minimum(weekday, 4)


def _business_to_day(number: Stamps) -> Stamps:
    week, weekday = np.divmod(number, 5)
    return week * 7 + weekday - 3


def _months(stamps: Stamps) -> Stamps:
    """Months since January 1970."""
    return stamps.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def _first_day(month: Stamps) -> Stamps:
    """Days since 1970 of the first day of a month."""
    return month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def month_parts(stamps: Stamps) -> tuple[Stamps, Stamps, Stamps]:
    """Month since January 1970, day of the month from 0, microseconds of the day."""
    month = _months(stamps)
    day, clock = np.divmod(stamps, DAY)
    return month, day - _first_day(month), clock


def _join_month(month: Stamps, day_of_month: Stamps, anchor: Anchor) -> Stamps:
    if anchor == "end":
        return _first_day(month + 1) - 1
    return _first_day(month) + day_of_month


def is_month_end(stamps: Stamps) -> NDArray[np.bool_]:
    """Whether each stamp falls on the last day of its month."""
    month, day_of_month, _ = month_parts(stamps)
    return np.asarray(day_of_month == _first_day(month + 1) - _first_day(month) - 1)


def write_stamp(stamp: int, frequency: Frequency | None = None) -> str:
    """A stamp as people write it: ``2020-01-31``, ``2020-01-31 07:30:00``, or the row number."""
    if frequency is not None and frequency.unit == "row":
        return str(stamp)
    text = str(np.datetime64(int(stamp), "us")).replace("T", " ")
    return text.removesuffix(".000000").removesuffix(" 00:00:00")
