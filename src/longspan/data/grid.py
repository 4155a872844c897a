"""Rows of a long table to places on a regular grid: series codes, order, duplicates, gaps.

Ten million rows pass through here, so what is not needed is not made: a table that lies in order is neither
sorted nor copied, and distances are looked at block by block.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from longspan.core.errors import DataError
from longspan.core.wording import counted, passing
from longspan.data.columns import texts
from longspan.data.frequency import Frequency, Stamps, write_stamp
from longspan.data.schema import Duplicates
from longspan.data.spacing import differences
from longspan.data.tables import Table

__all__ = ["Grid", "Rows", "lay_out", "natural_order", "order_rows", "resolve_duplicates"]

_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a table by series and time.

    Attributes:
        ids: (N,) names. bounds: int64 (N + 1,) first sorted row of each series.
        order: table row of each sorted row; None when the table lies in this order.
        stamps: int64 (R,) sorted, or None without a time column.
        groups: int64 first sorted row of each group that is averaged; None when no rows are merged.
        notes: what was done.
    """

    ids: tuple[str, ...]
    bounds: NDArray[np.int64]
    order: NDArray[np.int64] | None
    stamps: Stamps | None
    groups: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()

    def table_row(self, position: int) -> int:
        """Table row of a sorted row (the first of its group)."""
        place = position if self.groups is None else int(self.groups[position])
        return place if self.order is None else int(self.order[place])

    def sorted(self, values: NDArray[np.float64], *, average: bool = True) -> NDArray[np.float64]:
        """Values in table order to sorted order; of a group the mean of what is known, or the first."""
        there = values if self.order is None else values[self.order]
        if self.groups is None:
            return there
        return _group_means(there, self.groups) if average else there[self.groups]


def _group_means(values: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    known = ~np.isnan(values)
    count = np.add.reduceat(known, groups, dtype=np.int64)
    total = np.add.reduceat(np.where(known, values, 0.0), groups)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)


def natural_order(names: list[str]) -> list[int]:
    """Positions of the names in the order of people: H2 before H10."""
    keys = [
        (
            [
                (int(part), "") if part.isdigit() and part.isascii() else (-1, part)
                for part in re.split(r"(\d+)", name, flags=re.ASCII)
            ],
            name,
        )
        for name in names
    ]
    return sorted(range(len(names)), key=keys.__getitem__)


def order_rows(
    table: Table, columns: tuple[str, ...], stamps: Stamps | None, note: str | None = None
) -> Rows:
    """Series and order of the rows; counts rows that lie before an earlier one of their series.

    Raises:
        DataError: a blank series name.
    """
    ids, codes, bounds = _series(table, columns)
    notes = () if note is None else (note,)
    if codes is None:
        if stamps is None or not _descents(stamps, bounds):
            return Rows(ids, bounds, None, stamps, notes=notes)
        codes = np.repeat(np.arange(len(ids), dtype=np.int32), np.diff(bounds))
    # Sixteen bits are sorted by radix, in one pass over the rows.
    order = np.argsort(codes.astype(np.uint16) if len(ids) <= 1 << 16 else codes, kind="stable")
    if stamps is None:
        return Rows(ids, bounds, order, None, notes=notes)
    there = stamps[order]
    if backwards := _descents(there, bounds):
        _sort_within(order, stamps, codes, bounds)
        np.take(stamps, order, out=there)
        count = counted(backwards, "row")
        notes = (*notes, f"{count} lay before an earlier one of the series: sorted by time")
    return Rows(ids, bounds, order, there, notes=notes)


def _sort_within(
    order: NDArray[np.int64], stamps: Stamps, codes: NDArray[np.int32], bounds: NDArray[np.int64]
) -> None:
    """Sort rows that lie series by series also by time, in place; equal stamps keep their order."""
    if len(order) < 64 * (len(bounds) - 1):
        order[:] = np.lexsort((stamps, codes))
        return
    for first, last in pairwise(bounds):
        part = order[first:last]
        order[first:last] = part[np.argsort(stamps[part], kind="stable")]


def _descents(stamps: Stamps, bounds: NDArray[np.int64]) -> int:
    return sum(int((block < 0).sum()) for _, block in differences(stamps, bounds))


def _series(
    table: Table, columns: tuple[str, ...]
) -> tuple[tuple[str, ...], NDArray[np.int32] | None, NDArray[np.int64]]:
    """Ids in natural order, code of each row (None when they lie in that order), bounds."""
    rows = table.frame.height
    if not columns:
        return ("",), None, np.array([0, rows], dtype=np.int64)
    parts = [_codes(table, name) for name in columns]
    names, runs, lengths = parts[0] if len(parts) == 1 else _join(table, parts)
    rank = np.empty(len(names), dtype=np.int32)
    order = natural_order(names)
    rank[order] = np.arange(len(names), dtype=np.int32)
    ids = tuple(names[place] for place in order)
    coded = rank[runs]
    bounds = np.concatenate([[0], np.cumsum(_count(coded, lengths, len(ids)))]).astype(np.int64)
    if len(coded) == len(ids) and bool((np.diff(coded) > 0).all()):
        return ids, None, bounds
    return ids, coded if lengths is None else np.repeat(coded, lengths), bounds


def _count(coded: NDArray[np.int32], lengths: NDArray[np.int64] | None, size: int) -> NDArray[np.int64]:
    """Rows of each series, block by block because bincount copies what it counts."""
    counts = np.zeros(size, dtype=np.int64)
    for first in range(0, len(coded), _BLOCK):
        part = slice(first, first + _BLOCK)
        weights = None if lengths is None else lengths[part]
        counts += np.bincount(coded[part], weights=weights, minlength=size).astype(np.int64)
    return counts


# Names, code of each run of equal names, and length of each run (None when every row is a run of its own).
Coded = tuple[list[str], NDArray[np.integer[Any]], NDArray[np.int64] | None]


def _codes(table: Table, name: str) -> Coded:
    column = table.frame[name]
    starts = _run_starts(column)
    if 4 * len(starts) > len(column):
        heads, lengths = table, None
    else:
        rows = starts if table.rows is None else table.rows[starts]
        heads = replace(table, frame=pl.DataFrame({name: column.gather(starts)}), rows=rows)
        lengths = np.diff(np.append(starts, len(column)))
    del starts
    text = texts(heads, name)
    if text.null_count():
        raise DataError(
            "expected the name of a series, got a blank. Complete or delete the row.",
            source=table.source,
            row=heads.row(int(text.is_null().arg_max() or 0)),
            column=name,
        )
    names = text.unique(maintain_order=True).to_list()
    return names, text.cast(pl.Enum(names)).to_physical().to_numpy(), lengths


def _run_starts(column: pl.Series) -> NDArray[np.int64]:
    """First row of each run of equal values, chunk by chunk: the column is not copied into one piece."""
    found, first = [], 0
    for chunk in column.get_chunks():
        if len(chunk) == 0:
            continue
        changes = (chunk.slice(1) != chunk.slice(0, len(chunk) - 1)).fill_null(value=True)
        # A run may go on from the chunk before.
        if first == 0 or column[first] != column[first - 1]:
            found.append(np.array([first], dtype=np.int64))
        found.append(changes.arg_true().to_numpy().astype(np.int64) + first + 1)
        first += len(chunk)
    return np.concatenate(found)


def _join(table: Table, parts: list[Coded]) -> Coded:
    """Several columns name a series together: ``store 1 | item 5``."""
    joined = np.zeros(table.frame.height, dtype=np.int64)
    for names, runs, lengths in parts:
        joined *= len(names)
        joined += runs if lengths is None else np.repeat(runs, lengths)
    distinct, codes = np.unique(joined, return_inverse=True)
    words, rest = [], distinct
    for names, _, _ in reversed(parts):
        rest, place = np.divmod(rest, len(names))
        words.append([names[index] for index in place])
    joined_names = [" | ".join(reversed(word)) for word in zip(*words, strict=True)]
    if len(set(joined_names)) < len(joined_names):
        raise DataError(
            "expected names of series that stay distinct when joined by ' | ', got some that do not. "
            "Rename them.",
            source=table.source,
        )
    return joined_names, codes, None


def resolve_duplicates(rows: Rows, table: Table, time: str, how: Duplicates, hint: str = "") -> Rows:
    """Refuse two rows of one series and time, or keep the first, the last or their mean, and count them."""
    stamps = rows.stamps
    if stamps is None:
        return rows
    equal = [first + np.flatnonzero(block == 0) for first, block in differences(stamps, rows.bounds, fill=1)]
    repeats = np.concatenate(equal) if equal else np.empty(0, dtype=np.int64)
    if len(repeats) == 0:
        return rows
    if how == "refuse":
        raise _duplicate(rows, table, time, int(repeats[0]), int(stamps[repeats[0]]), hint)
    drop = repeats + 1 if how in ("first", "mean") else repeats
    keep = np.ones(len(stamps), dtype=bool)
    keep[drop] = False
    bounds = np.concatenate([[0], np.cumsum(np.add.reduceat(keep, rows.bounds[:-1], dtype=np.int64))])
    kept = np.flatnonzero(keep)
    note = f"{counted(len(repeats), 'row')} with the series and time of another: " + (
        "averaged" if how == "mean" else f"the {how} is kept"
    )
    order = rows.order if rows.order is not None else np.arange(len(stamps))
    if how == "mean":
        return Rows(rows.ids, bounds, order, stamps[kept], kept, (*rows.notes, note))
    return Rows(rows.ids, bounds, order[kept], stamps[kept], None, (*rows.notes, note))


def _duplicate(rows: Rows, table: Table, time: str, place: int, stamp: int, hint: str) -> DataError:
    series = int(np.searchsorted(rows.bounds, place, side="right")) - 1
    of = f" of series {rows.ids[series]!r}" if rows.ids[series] else ""
    first, second = sorted(table.row(rows.table_row(position)) for position in (place, place + 1))
    return DataError(
        f"expected one row a time{of}, got {write_stamp(stamp)} in row {first:,} and again here. Delete one "
        f"of them, or pass {passing('duplicates', 'mean')}, 'first' or 'last'.{hint}",
        source=table.source,
        row=second,
        column=time,
    )


@dataclass(frozen=True, eq=False)
class Grid:
    """Where each sorted row lies on the grid; ``places`` is None when row k lies at place k."""

    rows: Rows
    offsets: NDArray[np.int64]
    start: Stamps
    places: NDArray[np.int64] | None
    gaps: int
    notes: tuple[str, ...] = field(default=())

    def place(self, values: NDArray[np.float64], *, average: bool = True) -> NDArray[np.float64]:
        """Values in table order to grid order, NaN in gaps."""
        there = self.rows.sorted(values, average=average)
        if self.places is None:
            return there
        laid = np.full(int(self.offsets[-1]), np.nan)
        laid[self.places] = there
        return laid


def lay_out(rows: Rows, frequency: Frequency, table: Table, time: str | None, *, regular: bool) -> Grid:
    """Lay rows on the grid of a frequency.

    Args:
        rows: sorted, without duplicates.
        frequency: of the grid.
        table, time: for the message.
        regular: False to take the rows as one step each, whatever their stamps.

    Raises:
        DataError: a stamp that does not lie on the grid, with the row it is counted from.
    """
    counts = np.diff(rows.bounds)
    if rows.stamps is None or not regular:
        return Grid(rows, rows.bounds, np.zeros(len(counts), dtype=np.int64), None, 0)
    start = rows.stamps[rows.bounds[:-1]].copy()
    if _gapless(rows.stamps, rows.bounds, frequency):
        return Grid(rows, rows.bounds, start, None, 0)
    places = np.empty(len(rows.stamps), dtype=np.int64)
    for first in range(0, len(places), _BLOCK):
        part = slice(first, min(first + _BLOCK, len(places)))
        of = np.searchsorted(rows.bounds, np.arange(part.start, part.stop), side="right") - 1
        steps, exact = frequency.steps_between(start[of], rows.stamps[part])
        if not exact.all():
            raise _off_grid(rows, rows.stamps, frequency, table, time, first + int((~exact).argmax()))
        places[part] = steps
    lengths = places[rows.bounds[1:] - 1] + 1
    _refuse_explosion(int(lengths.sum(dtype=np.float64)), len(places), frequency, table, time)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    gaps = int(offsets[-1]) - len(places)
    if not gaps:
        return Grid(rows, offsets, start, None, 0)
    places += np.repeat(offsets[:-1], counts)
    return Grid(rows, offsets, start, places, gaps)


def _gapless(stamps: Stamps, bounds: NDArray[np.int64], frequency: Frequency) -> bool:
    step = frequency.multiple if frequency.unit == "row" else frequency.step
    return step is not None and all(
        bool((block == step).all()) for _, block in differences(stamps, bounds, fill=step)
    )


def _off_grid(
    rows: Rows, stamps: Stamps, frequency: Frequency, table: Table, time: str | None, place: int
) -> DataError:
    before = int(rows.bounds[np.searchsorted(rows.bounds, place, side="right") - 1])
    return DataError(
        f"expected time stamps on a grid ({frequency}) from "
        f"{write_stamp(int(stamps[before]), frequency)} in row {table.row(rows.table_row(before)):,}, "
        f"got {write_stamp(int(stamps[place]), frequency)}. Correct the stamp, or fit with another "
        f"frequency: {passing('frequency', 'row')} takes rows in order of time, one step each.",
        source=table.source,
        row=table.row(rows.table_row(place)),
        column=time,
    )


def _refuse_explosion(size: int, rows: int, frequency: Frequency, table: Table, time: str | None) -> None:
    if size > 50 * rows + 10_000:
        raise DataError(
            f"expected a grid that the rows fill, got {size:,} steps ({frequency}) for {rows:,} rows. "
            "Correct the stamps that lie far from the others, or fit with a longer frequency.",
            source=table.source,
            column=time,
        )
