"""A panel continued by a later one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from longspan.core.errors import DataError
from longspan.data.frequency import write_stamp
from longspan.data.panel import Panel

__all__ = ["append_panel"]


def append_panel(before: Panel, after: Panel) -> tuple[Panel, NDArray[np.int64]]:
    """Put the rows of each series in ``after`` behind those in ``before``.

    Both were read with the same schema. Series without a time column are continued row by row; with one,
    ``after`` must begin at the step that follows the last known value of ``before``, or at a later one up to
    the end of its rows: those in between are missing, and what ``before`` says from there on (covariates of
    future rows) gives way to ``after``. Series that ``after`` lacks are left out.

    Returns:
        The joined panel, and how many rows of each of its series come from ``after`` (up to the last known
        value).

    Raises:
        DataError: a series that ``before`` lacks, or that does not go on where it ended.
    """
    place = {name: number for number, name in enumerate(before.ids)}
    blocks: list[NDArray[np.int64]] = []
    starts: list[int] = []
    for number, name in enumerate(after.ids):
        if name not in place:
            raise DataError(
                f"expected every series to have a history, got none of {name!r}. Give the file that holds it"
            )
        earlier = place[name]
        head = np.arange(_rows_before(before, earlier, after, number)) + before.offsets[earlier]
        tail = np.arange(after.lengths[number]) + after.offsets[number] + before.offsets[-1]
        blocks.append(np.concatenate([head, tail]))
        starts.append(int(before.start[earlier]))
    rows = np.concatenate(blocks)
    lengths = np.array([len(block) for block in blocks])
    joined = replace(
        after,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        target=np.concatenate([before.target, after.target])[rows],
        past=np.concatenate([before.past, after.past])[rows],
        known=np.concatenate([before.known, after.known])[rows],
        observed=lengths - after.lengths + after.observed,
        start=np.array(starts, dtype=np.int64),
    )
    return joined, after.observed.copy()


def _rows_before(before: Panel, earlier: int, after: Panel, number: int) -> int:
    """How many rows of a series in ``before`` come before its first row in ``after``."""
    schema, length = before.schema, int(before.lengths[earlier])
    if schema.time is None or (schema.frequency.unit == "row" and schema.time_format != "step"):
        return length
    got = after.start[number : number + 1]
    steps, exact = before.frequency.steps_between(int(before.start[earlier]), got)
    observed = int(before.observed[earlier])
    if exact[0] and observed <= steps[0] <= length:
        return int(steps[0])
    expected = int(before.stamps(earlier, observed, 1)[0])
    named = f"series {after.ids[number]!r}" if after.ids[number] else "the table"
    raise DataError(
        f"expected {named} to go on at {write_stamp(expected, before.frequency)}, the step after its "
        f"history, got {write_stamp(int(got[0]), before.frequency)}. Give tables that meet",
        column=schema.time,
    )
