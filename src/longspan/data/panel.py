"""Rows to a panel: series end to end on a regular time grid, gaps masked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.core.errors import DataError
from longspan.core.wording import passing, spell
from longspan.data.columns import numbers, require_columns, texts
from longspan.data.digits import FORMS
from longspan.data.encoding import encode_long, encode_static
from longspan.data.frequency import DAY, MICROSECONDS, Frequency
from longspan.data.grid import Rows, lay_out, natural_order, order_rows, resolve_duplicates
from longspan.data.schema import PanelSchema
from longspan.data.tables import Table
from longspan.data.time import Times, read_times

__all__ = ["Panel", "arrange", "build_panel", "require_length", "written_like"]


@dataclass(frozen=True, eq=False)
class Panel:
    """Series end to end in flat arrays; series ``n`` is rows ``offsets[n]:offsets[n + 1]``, one row a step.

    Attributes:
        ids: (N,) names of the series, in natural order (H2 before H10); ``("",)`` when the table is one
            series.
        offsets: int64 (N + 1,).
        target: float64 (R,), NaN where missing.
        observed: int64 (N,) rows up to and with the last known target; rows after it are future rows.
        start: int64 (N,) stamp of the first row, microseconds since 1970, or its row number.
        past, known: float32 (R, P), (R, K) encoded covariates, NaN where missing; in the user's units as
            float64 until `fit_covariates` was called.
        static: (N, S) likewise.
        schema: what the columns mean.
        notes: what was found and done, in words.
        keys: where several columns name a series together, (N,) names in each of them; else empty.
    """

    ids: tuple[str, ...]
    offsets: NDArray[np.int64]
    target: NDArray[np.float64]
    observed: NDArray[np.int64]
    start: NDArray[np.int64]
    past: NDArray[np.floating[Any]]
    known: NDArray[np.floating[Any]]
    static: NDArray[np.floating[Any]]
    schema: PanelSchema
    notes: tuple[str, ...] = ()
    keys: tuple[tuple[str, ...], ...] = ()

    @property
    def frequency(self) -> Frequency:
        """The grid of the rows."""
        return self.schema.frequency

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """int64 (N,): rows of each series, future rows with them."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.ids)

    def values(self, series: int) -> NDArray[np.float64]:
        """The known part of one series: float64 (observed[series],), a view."""
        first = self.offsets[series]
        return self.target[first : first + self.observed[series]]

    def stamps(self, series: int, first: int, count: int) -> NDArray[np.int64]:
        """Stamps of rows ``first … first + count - 1`` of a series; rows past its end are allowed."""
        return self.frequency.stamps(int(self.start[series]), np.arange(first, first + count, dtype=np.int64))


def build_panel(table: Table, schema: PanelSchema, rows: Rows | None = None) -> Panel:
    """Rows to a panel, by the schema.

    Missing targets stay missing and are counted; rows out of order are sorted and counted; steps without a
    row become masked rows and are counted.

    Args:
        table: the rows.
        schema: what the columns mean.
        rows: the order of the rows, where `longspan.data.inference` has found it already.

    Raises:
        DataError: a column that is not there, text where a number belongs, an infinity, two rows of one
            series and time, stamps that are not on the grid, a static covariate that changes.
    """
    if schema.layout == "wide":
        return _build_wide(table, schema)
    require_columns(schema.columns, table)
    if rows is None:
        times = None
        if schema.time is not None:
            times = read_times(table, schema.time, schema.time_format, local_dates=_local_dates(schema))
            schema = written_like(times, schema)
        rows = arrange(table, schema, times)
    regular = schema.frequency.unit != "row" or schema.time_format == "step"
    grid = lay_out(rows, schema.frequency, table, schema.time, regular=regular)
    target = grid.place(numbers(table, schema.target))
    past, known, seen = encode_long(table, schema, grid)
    static, seen_static = encode_static(table, schema, grid.rows)
    notes = (
        *rows.notes,
        *([f"{grid.gaps:,} steps without a row are masked"] if grid.gaps else []),
        *(_closed(target, grid.offsets, grid.start, schema.frequency) if grid.gaps else []),
        *seen,
        *seen_static,
    )
    panel = _finish(rows.ids, grid.offsets, target, grid.start, past, known, static, schema, notes, grid.gaps)
    return replace(panel, keys=_keys(table, schema.series, rows)) if len(schema.series) > 1 else panel


def _local_dates(schema: PanelSchema) -> bool | None:
    """Whether newer stamps with a zone are dates there: a few rows may all be midnights by chance, where the
    schema is one of hours. Days of no zone, or of UTC, may be continued by those of any."""
    if schema.local_dates or schema.zone not in (None, "UTC"):
        return schema.local_dates
    step = schema.frequency.step
    return None if step is None or step % DAY == 0 else False


def written_like(times: Times, schema: PanelSchema) -> PanelSchema:
    """The schema with the zone of these stamps, and with their form where either is one of whole numbers
    (202003): newer data may be written in another way, and are answered in theirs."""
    written = {"zone": times.zone, "local_dates": times.local_dates}
    if times.format in FORMS or schema.time_format in FORMS:
        written["time_format"] = times.format
    return schema.model_copy(update=written)


def _keys(table: Table, columns: tuple[str, ...], rows: Rows) -> tuple[tuple[str, ...], ...]:
    """The names of each series, column by column, as its first row has them."""
    first = np.array([rows.table_row(int(place)) for place in rows.bounds[:-1]])
    heads = replace(table, frame=table.frame.select(columns)).take(first)
    return tuple(tuple(texts(heads, name).to_list()) for name in columns)


def arrange(table: Table, schema: PanelSchema, times: Times | None) -> Rows:
    """The rows by series and time, duplicates refused or merged."""
    if times is None or schema.time is None:
        return order_rows(table, schema.series, None)
    rows = order_rows(table, schema.series, times.stamps, times.note)
    several = f" If the table holds several series, name their column with {spell('series')}."
    hint = "" if schema.series else several
    return resolve_duplicates(rows, table, schema.time, schema.duplicates, hint)


def _closed(
    target: NDArray[np.float64], offsets: NDArray[np.int64], start: NDArray[np.int64], frequency: Frequency
) -> list[str]:
    """A note where a tenth of the times of the week, or more, never held a value in two weeks at least: they
    will be forecast all the same."""
    step = frequency.step
    if step is None or not MICROSECONDS["minute"] <= step < DAY or DAY % step:
        return []
    places = MICROSECONDS["week"] // step
    if int(np.diff(offsets).max()) < 2 * places:
        return []
    known = np.flatnonzero(~np.isnan(target))
    series = np.searchsorted(offsets, known, side="right") - 1
    # The first of January 1970 was a Thursday: any day will do as the first of the week.
    held = np.unique((start[series] // step + known - offsets[series]) % places)
    closed = places - len(held)
    if not len(held) or closed < places / 10:
        return []
    return [
        f"{closed:,} of the {places:,} steps of a week never hold a value, as nights and weekends may, but "
        f"are forecast: {passing('frequency', 'row')} takes the rows in order of time, one step each"
    ]


def _finish(
    ids: tuple[str, ...],
    offsets: NDArray[np.int64],
    target: NDArray[np.float64],
    start: NDArray[np.int64],
    past: NDArray[np.floating[Any]],
    known: NDArray[np.floating[Any]],
    static: NDArray[np.floating[Any]],
    schema: PanelSchema,
    notes: tuple[str, ...],
    gaps: int = 0,
) -> Panel:
    observed = _observed(target, offsets)
    if not observed.any():
        raise DataError(f"expected known values of {schema.target!r}, got none at all.", column=schema.target)
    counted = _count(ids, offsets, target, observed, gaps)
    return Panel(ids, offsets, target, observed, start, past, known, static, schema, (*notes, *counted))


def _observed(target: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows up to and with the last known target of each series."""
    observed = np.diff(offsets)
    for series in np.flatnonzero(np.isnan(target[offsets[1:] - 1])):
        known = np.flatnonzero(~np.isnan(target[offsets[series] : offsets[series + 1]]))
        observed[series] = known[-1] + 1 if len(known) else 0
    return observed


def _count(
    ids: tuple[str, ...],
    offsets: NDArray[np.int64],
    target: NDArray[np.float64],
    observed: NDArray[np.int64],
    gaps: int,
) -> list[str]:
    """Notes on missing targets, future rows, and series that are constant or have no value."""
    notes = []
    holes = np.add.reduceat(np.isnan(target), offsets[:-1], dtype=np.int64)
    future = np.diff(offsets) - observed
    missing = max(int((holes - future).sum()) - gaps, 0)
    if missing:
        notes.append(f"{missing:,} of {int(observed.sum()):,} values are missing: masked, never filled")
    if ahead := int(future.sum()):
        notes.append(f"{ahead:,} rows after the last known value are future rows")
    with np.errstate(invalid="ignore"):
        low, high = (extreme.reduceat(target, offsets[:-1]) for extreme in (np.fmin, np.fmax))
    notes.extend(_name("constant", [ids[n] for n in np.flatnonzero((low == high) & (observed > 1))]))
    notes.extend(_name("without any value", [ids[n] for n in np.flatnonzero(observed == 0)]))
    return notes


def _name(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    if names == [""]:
        return [f"the series is {what}"]
    shown = ", ".join(repr(name) for name in names[:5]) + (" …" if len(names) > 5 else "")
    return [f"{len(names):,} series {what}: {shown}"]


def require_length(panel: Panel, needed: int) -> tuple[str, ...]:
    """Refuse a panel in which no series has ``needed`` rows of history; notes on those that are too short.

    Raises:
        DataError: every series is too short; states the longest and the length needed.
    """
    longest = int(panel.observed.max())
    if longest < needed:
        raise DataError(
            f"expected {needed:,} values of one series at least, got {longest:,} in the longest. Give more "
            "history, or ask for a shorter horizon.",
            column=panel.schema.target,
        )
    short = [panel.ids[series] for series in np.flatnonzero(panel.observed < needed)]
    return tuple(_name(f"shorter than {needed:,} values, not learned from", short))


def _build_wide(table: Table, schema: PanelSchema) -> Panel:
    """One row a series: ids, static covariates, then values to the right, blank at the end."""
    require_columns((*schema.series, *schema.static), table)
    name = schema.series[0]
    ids = texts(table, name)
    _refuse_bad_ids(table, name, ids.to_list())
    order = np.array(natural_order(ids.to_list()), dtype=np.int64)
    values = [other for other in table.frame.columns if other not in (*schema.series, *schema.static)]
    matrix = np.stack([numbers(table, other) for other in values], axis=1)[order]
    known = ~np.isnan(matrix)
    lengths = np.where(known.any(axis=1), matrix.shape[1] - known[:, ::-1].argmax(axis=1), 1)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    target = matrix[np.arange(matrix.shape[1]) < lengths[:, None]]
    rows = order_rows(table, schema.series, None)
    static, seen = encode_static(table, schema, rows)
    empty = np.empty((len(target), 0), dtype=np.float32)
    start = np.zeros(len(order), dtype=np.int64)
    return _finish(rows.ids, offsets, target, start, empty, empty, static, schema, seen)


def _refuse_bad_ids(table: Table, name: str, ids: list[str | None]) -> None:
    seen: dict[str, int] = {}
    for place, text in enumerate(ids):
        if text is None:
            raise DataError(
                "expected the name of a series, got a blank. Complete or delete the row.",
                source=table.source,
                row=table.row(place),
                column=name,
            )
        if text in seen:
            raise DataError(
                f"expected one row a series, got {text!r} in row {table.row(seen[text]):,} and again here. "
                f"Delete one of them, or pass {passing('layout', 'long')}.",
                source=table.source,
                row=table.row(place),
                column=name,
            )
        seen[text] = place
