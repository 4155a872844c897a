"""The frequency of stamps: inferred where the stamps prove it, refused with two rows where they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longspan.core.errors import DataError
from longspan.core.wording import counted, passing
from longspan.data.frequency import (
    DAY,
    MICROSECONDS,
    Frequency,
    Stamps,
    Unit,
    is_month_end,
    month_parts,
    write_stamp,
)

__all__ = ["differences", "infer_frequency"]

_BLOCK = 1 << 20
# A grid is believed when half of it is filled, or a tenth if most steps are single ones (trading hours).
_FILLED, _SPARSE = 0.5, 0.1


@dataclass(frozen=True)
class _Steps:
    """What the distances between neighbours of one series say."""

    smallest: int
    divisor: int
    count: int
    singles: int
    total: int


def differences(stamps: Stamps, bounds: Stamps, fill: int = 0) -> Iterator[tuple[int, Stamps]]:
    """Blocks of (row, distance from this row to the next); ``fill`` where the next row is another series."""
    ends = bounds[1:-1] - 1
    for first in range(0, len(stamps) - 1, _BLOCK):
        last = min(first + _BLOCK, len(stamps) - 1)
        block = np.diff(stamps[first : last + 1])
        inside = ends[np.searchsorted(ends, first) : np.searchsorted(ends, last)]
        block[inside - first] = fill
        yield first, block


def infer_frequency(
    stamps: Stamps,
    bounds: Stamps,
    *,
    steps: bool,
    source: str,
    column: str,
    row: Callable[[int], int],
    believed: bool = False,
) -> Frequency:
    """The frequency of sorted stamps without duplicates.

    Args:
        stamps: int64 (R,), increasing within each series. bounds: int64 (N + 1,) first row of each series.
        steps: the stamps are step numbers.
        source, column, row: for the message; ``row`` turns a sorted position into the user's row number.
        believed: the user says that they are step numbers, so that their gaps are no sign of another meaning.

    Raises:
        DataError: fewer than two stamps in every series, irregular stamps, or step numbers of which more than
            half are missing (two of them named).
    """
    found = _measure(stamps, bounds)
    if found is None:
        raise DataError(
            "expected two time stamps of one series at least, to see how far apart they are, got one. Pass "
            f"it, for instance {passing('frequency', 'D')}.",
            source=source,
            column=column,
        )
    filled = found.count * found.divisor / found.total
    if steps:
        if filled < _FILLED and not believed:
            raise _sparse(stamps, bounds, found, source, column, row)
        return Frequency(unit="row", multiple=found.divisor)
    if found.smallest >= 28 * DAY and (months := _months(stamps, bounds)):
        return months
    business = _business_days(stamps, bounds, found)
    if business is not None:
        return business
    single = found.singles / found.count if found.smallest == found.divisor else 0.0
    if filled < _FILLED and not (single >= 0.5 and filled >= _SPARSE):
        raise _irregular(stamps, bounds, source, column, row)
    unit, size = max(
        ((name, size) for name, size in MICROSECONDS.items() if found.divisor % size == 0),
        key=lambda pair: pair[1],
    )
    named: Unit = unit  # type: ignore[assignment]
    return Frequency(unit=named, multiple=found.divisor // size)


def _measure(stamps: Stamps, bounds: Stamps) -> _Steps | None:
    smallest, divisor, count, total = np.iinfo(np.int64).max, 0, 0, 0
    for _, block in differences(stamps, bounds):
        known = block[block > 0]
        if len(known) == 0:
            continue
        smallest = min(smallest, int(known.min()))
        divisor = int(np.gcd(divisor, np.gcd.reduce(np.unique(known))))
        count += len(known)
        total += int(known.sum())
    if not count:
        return None
    singles = sum(int((block == smallest).sum()) for _, block in differences(stamps, bounds))
    return _Steps(smallest, divisor, count, singles, total)


def _months(stamps: Stamps, bounds: Stamps) -> Frequency | None:
    """Months where every stamp has one day of the month (28 at most), or every one ends its month."""
    month, day, clock = month_parts(stamps)
    if (clock != clock[0]).any():
        return None
    end = bool(is_month_end(stamps).all())
    if not end and (day.max() > 27 or (day != day[0]).any()):
        return None
    multiple = 0
    for _, block in differences(month, bounds):
        multiple = int(np.gcd(multiple, np.gcd.reduce(block)))
    return Frequency(unit="month", multiple=multiple, anchor="end" if end else "start") if multiple else None


def _business_days(stamps: Stamps, bounds: Stamps, found: _Steps) -> Frequency | None:
    """Daily stamps that never fall on a weekend although they cross two at least."""
    if found.divisor != DAY or found.smallest != DAY:
        return None
    frequency = Frequency(unit="business day")
    weekdays = crossings = business = 0
    for first, block in differences(stamps, bounds):
        here = stamps[first : first + len(block)]
        inner = block > 0
        weekday = (here // DAY + 3) % 7
        if (weekday > 4).any():
            return None
        weekdays += int(inner.sum())
        steps, _ = frequency.steps_between(here, here + block)
        business += int(steps[inner].sum())
        crossings += int((inner & (weekday + block // DAY > 4)).sum())
    last = (stamps[-1] // DAY + 3) % 7
    return frequency if last <= 4 and crossings >= 2 and weekdays / max(business, 1) >= _FILLED else None


def _irregular(
    stamps: Stamps, bounds: Stamps, source: str, column: str, row: Callable[[int], int]
) -> DataError:
    """Names the first step that the most common step does not divide."""
    sample = np.concatenate(
        [block[block > 0] for _, block in differences(stamps[: 4 * _BLOCK], _cut(bounds, 4 * _BLOCK))]
    )
    sizes, counts = np.unique(sample, return_counts=True)
    common = int(sizes[counts.argmax()])
    place, size = next(
        (
            (first + int(odd.argmax()), int(block[odd.argmax()]))
            for first, block in differences(stamps, bounds)
            if (odd := block % common != 0).any()
        ),
        (0, common),
    )
    return DataError(
        f"expected time stamps at regular steps (most are {write_span(common)} apart), got "
        f"{write_stamp(stamps[place])} in row {row(place):,} and {write_stamp(stamps[place + 1])} in row "
        f"{row(place + 1):,}, {write_span(size)} apart. Round or resample the stamps, or pass "
        f"{passing('frequency', 'row')} to take the rows in order of time, one step each.",
        source=source,
        column=column,
    )


def _sparse(
    stamps: Stamps, bounds: Stamps, found: _Steps, source: str, column: str, row: Callable[[int], int]
) -> DataError:
    """Names the largest gap in step numbers."""
    place, size = max(
        ((first + int(block.argmax()), int(block.max())) for first, block in differences(stamps, bounds)),
        key=lambda pair: pair[1],
    )
    return DataError(
        f"expected step numbers that fill half of their grid at least, got {found.count:,} steps for "
        f"{found.total // found.divisor:,}, with {stamps[place]} in row {row(place):,} and "
        f"{stamps[place + 1]} in row {row(place + 1):,}, {size:,} apart. If they are dates, say how they are "
        f"written, for instance {passing('time_format', '%Y%m')}; if the steps between are missing, pass "
        f"{passing('time_format', 'step')}.",
        source=source,
        column=column,
    )


def _cut(bounds: Stamps, rows: int) -> NDArray[np.int64]:
    return np.unique(np.minimum(bounds, min(rows, int(bounds[-1]))))


def write_span(size: int) -> str:
    """A distance in the largest unit that it is a whole number of: ``15 minutes``."""
    for name, unit in sorted(MICROSECONDS.items(), key=lambda pair: -pair[1]):
        if size % unit == 0 and name != "week":
            count = size // unit
            return counted(count, name)
    return f"{size} microseconds"
