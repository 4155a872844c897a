"""Which values a forecaster was fitted on, kept so that they are known again when it is evaluated.

Of each series its name, its first stamp, its length and hashes of its first and of its last values are kept,
no value itself. A series is known again by its name and either hash, at the same time stamps, or where steps
are only counted at the same rows.
"""

from __future__ import annotations

import hashlib
import json
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from longspan.core.errors import InputError
from longspan.data.panel import Panel
from longspan.models.origins import without_calendar

__all__ = ["Learned", "LearnedSeries"]

Index = NDArray[np.int64]
Mask = NDArray[np.bool_]
_MOST = 1000  # series that are kept
_MARKED = 16  # values of a hash
_FARTHEST = 1 << 60  # microseconds: 36,000 years


class LearnedSeries(BaseModel):
    """One series: its first stamp (microseconds since 1970, or the row), rows, and hashes of both ends."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    name: str
    start: int = Field(ge=-_FARTHEST, le=_FARTHEST)
    rows: int = Field(ge=1, le=_FARTHEST)
    head: str
    tail: str


class Learned(BaseModel):
    """What a forecaster was fitted on: up to 1,000 series, spread evenly over ``of``."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    of: int = Field(ge=0)
    series: tuple[LearnedSeries, ...]

    @classmethod
    def of_panel(cls, panel: Panel) -> Self:
        """The known part of a panel, with its targets as they were read."""
        known = np.flatnonzero(panel.observed)
        kept = known[:: max(1, -(-len(known) // _MOST))]
        return cls(of=len(known), series=tuple(_kept(panel, number) for number in kept.tolist()))

    @classmethod
    def read(cls, record: object) -> Self:
        """What `model_dump` gave; nothing of a folder of before it was kept.

        Raises:
            InputError: it is something else.
        """
        if record is None:
            return cls(of=0, series=())
        try:
            return cls.model_validate_json(json.dumps(record))
        except ValidationError as error:
            raise InputError(f"learned: expected what a fit has written, got {record!r:.200}") from error

    @property
    def whole(self) -> bool:
        """Whether every series is kept."""
        return len(self.series) == self.of

    def windows(self, panel: Panel, series: Index, cut: Index, horizon: int) -> Mask:
        """bool (n,): of windows of a panel, those whose future holds values that were fitted on.

        Args:
            panel: read with the schema of the fit.
            series, cut: int64 (n,), where the windows are. horizon: steps of their future.
        """
        place = {name: number for number, name in enumerate(panel.ids)}
        begin, end = (np.zeros(len(panel), dtype=np.int64) for _ in range(2))
        for each in self.series:
            number = place.get(each.name)
            if number is not None and (first := _found(panel, number, each)) is not None:
                begin[number], end[number] = first, first + each.rows
        return np.asarray((cut < end[series]) & (cut + horizon > begin[series]))


def _kept(panel: Panel, number: int) -> LearnedSeries:
    values, marked = panel.values(number), min(_MARKED, int(panel.observed[number]))
    return LearnedSeries(
        name=panel.ids[number],
        start=int(panel.start[number]),
        rows=len(values),
        head=_mark(values[:marked]),
        tail=_mark(values[-marked:]),
    )


def _found(panel: Panel, number: int, kept: LearnedSeries) -> int | None:
    """The row of a series of the panel at which the kept one begins, negative where the panel's begins
    later; None where it is another one."""
    first = 0
    if not without_calendar(panel):
        start = np.array([kept.start], dtype=np.int64)
        steps, exact = panel.frequency.steps_between(int(panel.start[number]), start)
        if not exact[0]:
            return None
        first = int(steps[0])
    values, marked = panel.values(number), min(_MARKED, kept.rows)
    for mark, at in ((kept.head, first), (kept.tail, first + kept.rows - marked)):
        if 0 <= at <= len(values) - marked and _mark(values[at : at + marked]) == mark:
            return first
    return None


def _mark(values: NDArray[np.float64]) -> str:
    """A hash of values, the same for every way to write a missing one or a zero."""
    plain = np.where(np.isnan(values), np.nan, values + 0.0)
    return hashlib.sha256(plain.astype("<f8").tobytes()).hexdigest()[:16]
