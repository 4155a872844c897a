"""Covariate columns to numbers: as they are, or one 0/1 column a level."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from longspan.core.errors import DataError
from longspan.data.columns import is_number_like, numbers, texts
from longspan.data.grid import Grid, Rows
from longspan.data.schema import Encoding, PanelSchema, Role
from longspan.data.tables import Table

__all__ = ["MAX_LEVELS", "encode_long", "encode_static", "infer_encoding"]

MAX_LEVELS = 64


def infer_encoding(table: Table, name: str, role: Role) -> Encoding:
    """Numbers where the column is one of numbers, otherwise its texts as levels.

    Raises:
        DataError: more than 64 levels, or a text in a column that is numbers in the main.
    """
    column = table.frame[name]
    if is_number_like(table, name):
        return Encoding(name=name, role=role, kind="number")
    if (
        not column.dtype.is_numeric()
        and column.dtype not in (pl.String, pl.Boolean)
        and column.dtype.is_temporal()
    ):
        raise DataError(
            f"expected a covariate of numbers or texts, got values of type {column.dtype}. Leave it out: "
            "calendar features are made from the time column.",
            source=table.source,
            column=name,
        )
    levels = texts(table, name).drop_nulls().unique().sort().to_list()
    if sum(_is_number(level) for level in levels) > len(levels) // 2:
        numbers(table, name)
    if len(levels) > MAX_LEVELS:
        raise DataError(
            f"expected at most {MAX_LEVELS} different texts, got {len(levels):,} such as {levels[0]!r} and "
            f"{levels[1]!r}. Group them, or leave the column out.",
            source=table.source,
            column=name,
        )
    return Encoding(name=name, role=role, kind="levels", levels=tuple(levels))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def encode_long(
    table: Table, schema: PanelSchema, grid: Grid
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]], tuple[str, ...]]:
    """Past (R, P) and known (R, K) covariates on the grid, and notes on levels that were never seen."""
    notes: list[str] = []
    blocks = {}
    for role in ("past", "known"):
        kind = np.float32 if schema.fitted else np.float64
        block = np.empty((int(grid.offsets[-1]), len(schema.encoded(role))), dtype=kind)
        first = 0
        for encoding in schema.of(role):
            last = first + len(encoding.columns)
            values, note = _values(table, encoding)
            block[:, first:last] = spread(encoding, grid.place(values, average=encoding.kind == "number"))
            first = last
            notes += note
        blocks[role] = block
    return blocks["past"], blocks["known"], tuple(notes)


def encode_static(
    table: Table, schema: PanelSchema, rows: Rows
) -> tuple[NDArray[np.floating[Any]], tuple[str, ...]]:
    """Static covariates (N, S), and notes.

    Raises:
        DataError: a value that changes within a series, with the two rows.
    """
    notes: list[str] = []
    kind = np.float32 if schema.fitted else np.float64
    block = np.empty((len(rows.ids), len(schema.encoded("static"))), dtype=kind)
    first = 0
    for encoding in schema.of("static"):
        last = first + len(encoding.columns)
        values, note = _values(table, encoding)
        plain = values if rows.order is None else values[rows.order]
        bounds = rows.bounds if rows.groups is None else np.append(rows.groups, len(plain))[rows.bounds]
        block[:, first:last] = spread(encoding, _one_a_series(table, encoding.name, plain, bounds, rows))
        first = last
        notes += note
    return block, tuple(notes)


def _one_a_series(
    table: Table, name: str, values: NDArray[np.float64], bounds: NDArray[np.int64], rows: Rows
) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        low, high = (extreme.reduceat(values, bounds[:-1]) for extreme in (np.fmin, np.fmax))
        changing = np.flatnonzero(low < high)
    if len(changing):
        series = int(changing[0])
        first = int(bounds[series])
        there = values[first : int(bounds[series + 1])]
        known = np.flatnonzero(~np.isnan(there))
        other = known[there[known] != there[known[0]]][0]
        places = [first + int(place) for place in (known[0], other)]
        one, two = places if rows.order is None else [int(rows.order[place]) for place in places]
        column = texts(table, name)
        raise DataError(
            f"expected one value of a static covariate in series {rows.ids[series]!r}, got {column[one]!r} "
            f"in row {table.row(one):,} and {column[two]!r} here. Correct it, or pass it as a past or known "
            "covariate.",
            source=table.source,
            row=table.row(two),
            column=name,
        )
    return np.asarray(low)


def _values(table: Table, encoding: Encoding) -> tuple[NDArray[np.float64], list[str]]:
    """Numbers, or numbers of levels (from 0; beyond the last for texts that are no level), NaN where
    missing."""
    if encoding.kind == "number":
        return numbers(table, encoding.name), []
    text = texts(table, encoding.name)
    unseen = sorted(set(text.drop_nulls().unique().to_list()) - set(encoding.levels))
    coded = text.cast(pl.Enum([*encoding.levels, *unseen])).to_physical().cast(pl.Float64)
    values = np.array(coded.fill_null(float("nan")).to_numpy(), dtype=np.float64)
    if not unseen:
        return values, []
    count = int((values >= len(encoding.levels)).sum())
    shown = ", ".join(repr(level) for level in unseen[:3]) + (" …" if len(unseen) > 3 else "")
    return values, [
        f"column {encoding.name!r}: {count:,} rows hold texts never seen in the fit ({shown}): no level is "
        "set"
    ]


def spread(encoding: Encoding, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (R,) to encoded columns (R, L): standardised once fitted, or 0/1."""
    if encoding.kind == "levels":
        block: NDArray[np.float64] = (values[:, None] == np.arange(len(encoding.levels))).astype(np.float64)
        block[np.isnan(values)] = np.nan
        return block
    if encoding.mean is None or encoding.scale is None:
        return np.reshape(values, (-1, 1))
    return np.reshape((values - encoding.mean) / encoding.scale, (-1, 1))
