"""Calendar stamps written as one whole number: 2020, 202003, 20200301, 2020030107 …

Such a number may also count steps or seconds. It is taken for a stamp where the column proves it: by its
name, or because all its numbers are stamps and their steps are even, or their gaps meet, on the calendar
alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longspan.data.frequency import DAY, MICROSECONDS, Frequency, Stamps, month_parts

__all__ = ["FORMS", "DigitForm", "Found", "find_digits"]

_NAMES = re.compile(
    r"(date|ds|datetime|month|year_?month|ym|yyyymm(dd(hh(mm(ss)?)?)?)?|日期|年月|月份?)", re.IGNORECASE
)
_FIRST, _LAST = 1900, 2100
# How many numbers with gaps prove that they are stamps.
_ENOUGH = 6
_CLOCK = (("hour", 24), ("minute", 60), ("second", 60))


@dataclass(frozen=True)
class DigitForm:
    """A year and some fields of two digits behind it.

    Attributes:
        code: a strptime format, or ``year``.
        fields: how many follow the year, of month, day, hour, minute, second.
        rival: what else is written with as many digits, as a format of `longspan.data.time`; None where
            nothing is likely.
    """

    code: str
    fields: int
    rival: str | None = None

    def covers(self, values: Stamps) -> bool:
        """Whether every number has as many digits, and a likely year."""
        size: int = 100**self.fields
        low, high = int(values.min()), int(values.max())
        return _FIRST * size <= low and high < (_LAST + 1) * size

    def decode(self, values: Stamps) -> tuple[Stamps, NDArray[np.bool_]]:
        """Stamps, and whether each number is one: its month, day and time are there."""
        rest = values
        fields: list[Stamps] = []
        for _ in range(self.fields):
            rest, field = np.divmod(rest, 100)
            fields.insert(0, field)
        month, day, *clock = fields + [np.ones_like(values)] * (2 - self.fields)
        there = (rest >= 1000) & (rest < 10_000) & (month >= 1) & (month <= 12)
        number = np.where(there, (rest - 1970) * 12 + month - 1, 0)
        first, next_ = (each.astype("datetime64[M]").astype("datetime64[D]") for each in (number, number + 1))
        there &= (day >= 1) & (day <= (next_ - first).astype(np.int64))
        stamps = (first.astype(np.int64) + day - 1) * DAY
        for (unit, size), field in zip(_CLOCK, clock, strict=False):
            there &= field < size
            stamps += field * MICROSECONDS[unit]
        return stamps, there

    def encode(self, stamps: Stamps) -> Stamps:
        """Stamps to numbers, the inverse of `decode`."""
        month, day, clock = month_parts(stamps)
        year, month = np.divmod(month, 12)
        times = [clock // MICROSECONDS[unit] % size for unit, size in _CLOCK]
        values = year + 1970
        for field in [month + 1, day + 1, *times][: self.fields]:
            values = values * 100 + field
        return values

    def fits(self, frequency: Frequency) -> bool:
        """Whether every stamp of a grid can be written so, if the first can."""
        if frequency.unit == "month":
            return self.fields > 0 or frequency.multiple % 12 == 0
        if frequency.step is None or self.fields < 2:
            return self.fields > 1
        return frequency.step % (DAY if self.fields == 2 else MICROSECONDS[_CLOCK[self.fields - 3][0]]) == 0


# Six digits also count steps, ten count seconds since 1970 in the years 2030 to 2036.
FORMS = {
    form.code: form
    for form in (
        DigitForm("year", 0),
        DigitForm("%Y", 0),
        DigitForm("%Y%m", 1, rival="step"),
        DigitForm("%Y%m%d", 2),
        DigitForm("%Y%m%d%H", 3, rival="epoch s"),
        DigitForm("%Y%m%d%H%M", 4),
        DigitForm("%Y%m%d%H%M%S", 5),
    )
}


@dataclass(frozen=True, eq=False)
class Found:
    """How the numbers of a column are written.

    ``stamps`` int64 (R,); ``wrong`` is the first number that is no stamp, or None; ``proven`` says that the
    numbers cannot be the rival of the form.
    """

    form: DigitForm
    stamps: Stamps
    wrong: int | None
    proven: bool


def find_digits(values: Stamps, name: str) -> Found | None:
    """How the numbers of a column (with its name) are written as stamps; None where they are none.

    Years alone are not looked for. A few numbers that are no stamps among many that are one are faults.
    """
    form = next((each for each in FORMS.values() if each.fields and each.covers(values)), None)
    if form is None:
        return None
    stamps, there = form.decode(values)
    if there.all():
        return Found(form, stamps, None, proven=_proves(form, values, name))
    if there.mean() < (0.5 if form.rival is None else 0.9) or (form.rival and _even(np.unique(values))):
        return None
    return Found(form, stamps, int((~there).argmax()), proven=False)


def _proves(form: DigitForm, values: Stamps, name: str) -> bool:
    if form.rival is None or _NAMES.fullmatch(name.strip()):
        return True
    numbers = np.unique(values)
    if _even(numbers):
        return False
    stamps, _ = form.decode(numbers)
    if _even(month_parts(stamps)[0] if form.fields == 1 else stamps):
        return True
    return len(numbers) >= _ENOUGH and int(numbers[0]) // 100 < int(numbers[-1]) // 100


def _even(numbers: Stamps) -> bool:
    """Whether increasing numbers, three at least, are equally far apart; fewer prove nothing."""
    steps = np.diff(numbers)
    return len(steps) < 2 or bool((steps == steps[0]).all())
