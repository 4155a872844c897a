"""What the columns of a table mean: decided where names, types and values are certain, asked where they are
not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from longspan.core.errors import DataError, InputError
from longspan.core.wording import passing, spell
from longspan.data.calendar import calendar_names
from longspan.data.columns import is_number_like, require_columns
from longspan.data.encoding import infer_encoding
from longspan.data.frequency import Frequency
from longspan.data.grid import Rows, order_rows
from longspan.data.overlooked import find_overlooked, likely_times
from longspan.data.panel import Panel, arrange, build_panel, written_like
from longspan.data.schema import Duplicates, Layout, PanelSchema
from longspan.data.seasons import infer_seasons
from longspan.data.spacing import infer_frequency
from longspan.data.tables import Table, peek_table, read_table
from longspan.data.time import Times, looks_like_time, read_times

__all__ = ["Roles", "infer_roles", "infer_schema", "read_panel"]

_SAMPLE = 64


@dataclass(frozen=True)
class Roles:
    """What the user said of the columns; what is None or empty is inferred by `infer_roles`.

    A single name may stand for a tuple of one.
    """

    target: str | None = None
    series: tuple[str, ...] = ()
    time: str | None = None
    layout: Layout | None = None
    known: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for role in ("series", "known", "past", "static"):
            given = getattr(self, role)
            object.__setattr__(self, role, (given,) if isinstance(given, str) else tuple(given))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named, each once."""
        named = (*self.series, self.time, self.target, *self.known, *self.past, *self.static)
        return tuple(dict.fromkeys(name for name in named if name is not None))


def infer_roles(table: Table, roles: Roles) -> Roles:
    """Complete the roles from a table (its first rows are enough).

    Raises:
        DataError: a named column is not there, or the target or the time column is not certain.
        InputError: one column in two roles, or a role that the layout does not have.
    """
    _refuse_overlap(roles)
    layout: Layout = roles.layout or (
        "wide" if roles.target is None and _looks_wide(table, roles) else "long"
    )
    if layout == "wide":
        return _wide_roles(table, roles)
    require_columns(roles.columns, table)
    time = roles.time if roles.time is not None else _find_time(table, roles)
    roles = replace(roles, time=time, layout=layout)
    return roles if roles.target is not None else replace(roles, target=_find_target(table, roles))


def _refuse_overlap(roles: Roles) -> None:
    named = [*roles.series, roles.time, roles.target, *roles.known, *roles.past, *roles.static]
    for name in named:
        if name is not None and named.count(name) > 1:
            raise InputError(
                f"columns: expected every column in one role, got {name!r} in {named.count(name)}"
            )


def _wide_roles(table: Table, roles: Roles) -> Roles:
    for role, given in (("time", roles.time), ("known", roles.known), ("past", roles.past)):
        if given:
            raise InputError(
                f"{role}: expected none in the wide layout (one row a series has no column for it), got "
                f"{given!r}"
            )
    if len(roles.series) > 1:
        raise InputError(f"series: expected one column in the wide layout, got {', '.join(roles.series)}")
    series = roles.series or (table.frame.columns[0],)
    require_columns((*series, *roles.static), table)
    return replace(roles, series=series, target=roles.target or "value", layout="wide")


def _looks_wide(table: Table, roles: Roles) -> bool:
    """A first column of distinct names, then numbers in columns that are numbered: certain enough."""
    if roles.series or roles.time or roles.known or roles.past:
        return False
    first, *others = [name for name in table.frame.columns if name not in roles.static]
    numbered = [re.fullmatch(r"(.*?)(\d+)", name) for name in others]
    if len(others) < 3 or not all(numbered):
        return False
    prefixes = {match[1] for match in numbered if match}
    places = [int(match[2]) for match in numbered if match]
    if len(prefixes) > 1 or places != list(range(places[0], places[0] + len(places))):
        return False
    names = table.frame[first]
    named = (
        names.dtype == pl.String and not is_number_like(table, first) and not looks_like_time(table, first)
    )
    return (
        named and names.null_count() == 0 and names.n_unique() == len(names) and _all_numbers(table, others)
    )


def _all_numbers(table: Table, names: Sequence[str]) -> bool:
    return all(
        is_number_like(table, name) or table.frame[name].null_count() == table.frame.height for name in names
    )


def _find_time(table: Table, roles: Roles) -> str | None:
    taken = set(roles.columns)
    found = [name for name in table.frame.columns if name not in taken and looks_like_time(table, name)]
    if len(found) > 1:
        raise DataError(
            f"expected one column of time stamps, got {', '.join(map(repr, found))}. Name the right one "
            f"with {spell('time')}.",
            source=table.source,
        )
    return found[0] if found else None


def _find_target(table: Table, roles: Roles) -> str:
    taken = set(roles.columns)
    free = [name for name in table.frame.columns if name not in taken]
    found = [name for name in free if is_number_like(table, name)]
    # What is wrong with the values of the only column left, their reader says with the row.
    if len(found or free) == 1:
        return (found or free)[0]
    choice = ", ".join(map(repr, (found or free)[:20])) or "no other column"
    raise DataError(
        f"expected to be told which column to forecast, got {choice}. Name it with {spell('target')}, "
        f"or pass {passing('layout', 'wide')} if each row is a whole series.",
        source=table.source,
    )


def infer_schema(
    table: Table,
    roles: Roles | None = None,
    *,
    frequency: str | Frequency | None = None,
    seasons: Sequence[int] | None = None,
    time_format: str | None = None,
    day_first: bool | None = None,
    duplicates: Duplicates = "refuse",
) -> PanelSchema:
    """Decide what the columns of a table mean.

    Args:
        table: all rows of the columns needed.
        roles: what is known of the columns; the rest is inferred where it is certain.
        frequency: of the time stamps; None infers it, ``row`` takes the rows in order of time, one step each.
        seasons: season lengths in steps, the primary one first; None infers them, ``()`` means none.
        time_format: a strptime format of the time column.
        day_first: True for 31-12, False for 12-31, None to let the column prove it.
        duplicates: what to do with two rows of one series and time.

    Raises:
        DataError, InputError: as `infer_roles`, `read_times`, `infer_frequency` and `infer_encoding`.
    """
    return _infer(table, roles, frequency, seasons, time_format, day_first, duplicates)[0]


def _infer(
    table: Table,
    roles: Roles | None = None,
    frequency: str | Frequency | None = None,
    seasons: Sequence[int] | None = None,
    time_format: str | None = None,
    day_first: bool | None = None,
    duplicates: Duplicates = "refuse",
) -> tuple[PanelSchema, Rows | None]:
    """The schema, and the order of the rows where it had to be found."""
    known, note = _with_overlooked(table, infer_roles(table, roles or Roles()))
    stated = Frequency.parse(frequency) if isinstance(frequency, str) else frequency
    schema = PanelSchema(
        target=known.target or "value",
        layout=known.layout or "long",
        series=known.series,
        time=known.time,
        frequency=stated or Frequency(unit="row"),
        known=known.known,
        past=known.past,
        static=known.static,
        missing=table.missing,
        decimal=table.decimal,
        thousands=table.thousands,
        duplicates=duplicates,
    )
    _refuse_useless(schema, stated, seasons)
    rows = None if note is None else arrange(table, schema, None)
    if schema.time is not None:
        form = time_format or (None if day_first is None else "day-first" if day_first else "month-first")
        times = read_times(table, schema.time, form)
        rows = arrange(table, schema, times)
        found = stated or _frequency(table, schema.time, rows, times, believed=form == "step")
        schema = written_like(times, schema).model_copy(
            update={"frequency": found, "time_format": times.format}
        )
    if rows is not None and note is not None:
        rows = replace(rows, notes=(note, *rows.notes))
    schema = schema.model_copy(update={"encodings": _encodings(table, schema)})
    return _with_cycles(table, schema, rows, seasons), rows


def _refuse_useless(schema: PanelSchema, frequency: Frequency | None, seasons: Sequence[int] | None) -> None:
    if schema.time is None and frequency is not None and frequency.unit != "row":
        raise InputError(
            f"frequency: expected a time column to go with {frequency.code!r}, got a table without one. "
            f"Name it with {spell('time')}, or pass {spell('season')} with the steps of a season."
        )
    for season in seasons or ():
        if season < 2:
            raise InputError(f"seasons: expected steps from 2, got {season}")


def _frequency(table: Table, time: str, rows: Rows, times: Times, *, believed: bool) -> Frequency:
    stamps = times.stamps if rows.stamps is None else rows.stamps
    return infer_frequency(
        stamps,
        rows.bounds,
        steps=times.steps,
        believed=believed,
        source=table.source,
        column=time,
        row=lambda position: table.row(rows.table_row(position)),
    )


def _encodings(table: Table, schema: PanelSchema) -> tuple[Any, ...]:
    roles = (("known", schema.known), ("past", schema.past), ("static", schema.static))
    return tuple(infer_encoding(table, name, role) for role, names in roles for name in names)  # type: ignore[arg-type]


def _with_cycles(
    table: Table, schema: PanelSchema, rows: Rows | None, seasons: Sequence[int] | None
) -> PanelSchema:
    """Seasons and calendar features, from a bounded sample of series."""
    bare = schema.model_copy(update={"known": (), "past": (), "static": (), "encodings": ()})
    panel = build_panel(_sample(table, schema, rows), bare)
    found = infer_seasons(panel) if seasons is None else tuple(seasons)
    stamped = schema.time is not None and schema.frequency.unit != "row"
    calendar = calendar_names(schema.frequency, int(panel.lengths.max())) if stamped else ()
    return schema.model_copy(update={"seasons": found, "calendar": calendar})


def _sample(table: Table, schema: PanelSchema, rows: Rows | None) -> Table:
    """The rows of at most 64 series spread evenly over all of them."""
    if schema.layout == "wide":
        chosen = np.unique(np.linspace(0, table.frame.height - 1, _SAMPLE).astype(np.int64))
        drop = [*schema.static]
        return replace(table.take(chosen), frame=table.frame.drop(drop)[chosen])
    there = rows if rows is not None else order_rows(table, schema.series, None)
    if len(there.ids) <= _SAMPLE or there.groups is not None:
        return table
    series = np.unique(np.linspace(0, len(there.ids) - 1, _SAMPLE).astype(np.int64))
    sorted_rows = np.concatenate([np.arange(there.bounds[n], there.bounds[n + 1]) for n in series])
    return table.take(np.sort(sorted_rows if there.order is None else there.order[sorted_rows]))


def _with_overlooked(table: Table, roles: Roles) -> tuple[Roles, str | None]:
    """The roles, with a time column that only all rows can prove, and a note on it."""
    if roles.time is not None or roles.layout == "wide":
        return roles, None
    time, note = find_overlooked(table, roles.series, roles.columns)
    return replace(roles, time=time), note


def _needed(peek: Table, roles: Roles) -> tuple[str, ...]:
    """The columns that have a role, and those that may turn out to be the time."""
    if roles.time is not None:
        return roles.columns
    return (*roles.columns, *likely_times(peek, roles.series, roles.columns))


def read_panel(
    source: Any,
    roles: Roles | None = None,
    *,
    schema: PanelSchema | None = None,
    reading: Mapping[str, Any] | None = None,
    **inference: Any,
) -> Panel:
    """Read a file or a frame and build its panel, reading only the columns that are needed.

    Args:
        source: a path or a data frame, as `read_table` takes it.
        roles: what is known of the columns.
        schema: that of a model, to read newer data in the same way; then nothing is inferred.
        reading: arguments of `read_table` other than ``columns``.
        inference: arguments of `infer_schema`.
    """
    reading = dict(reading or {})
    if schema is not None:
        written = {"missing": schema.missing, "decimal": schema.decimal, "thousands": schema.thousands}
        columns = schema.columns if schema.layout == "long" else None
        return build_panel(read_table(source, columns=columns, **(written | reading)), schema)
    peek = peek_table(source, **reading)
    found = infer_roles(peek, roles or Roles())
    columns = _needed(peek, found) if found.layout == "long" else None
    table = read_table(source, columns=columns, **reading)
    inferred, rows = _infer(table, found, **inference)
    return build_panel(table, inferred, rows)
