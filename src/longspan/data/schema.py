"""What the columns of a table mean: the record that a model keeps so that newer data are read in the same
way."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from longspan.data.frequency import Frequency

__all__ = ["Duplicates", "Encoding", "Layout", "PanelSchema", "Role"]

Layout = Literal["long", "wide"]
Role = Literal["known", "past", "static"]
Duplicates = Literal["refuse", "mean", "first", "last"]


class Encoding(BaseModel):
    """How one covariate column becomes numbers.

    ``kind="number"``: one encoded column, ``(x - mean) / scale``; both are None until `fit_covariates` has
    seen the fit part. ``kind="levels"``: one 0/1 column for each level, in the order kept here; a level that
    is not among them gives zeros.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: Role
    kind: Literal["number", "levels"]
    levels: tuple[str, ...] = ()
    mean: float | None = None
    scale: float | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the encoded columns: ``price``, or ``weather=rain``, ``weather=sun``."""
        if self.kind == "number":
            return (self.name,)
        return tuple(f"{self.name}={level}" for level in self.levels)


class PanelSchema(BaseModel):
    """Column names, time grid, seasons and covariate encodings of a panel (JSON in the model folder).

    Attributes:
        target: the column that is forecast; in the wide layout a name for the values (``value``).
        layout: ``long`` has one row a (series, time), ``wide`` one row a series.
        series: the columns that name the series; empty when the table is one series.
        time: the column of time stamps, or None when the order of the rows is the order of time.
        time_format: how the stamps are written: a name of `longspan.data.time` or a strptime format.
        zone: the time zone of the stamps, None where they have none. Stamps of a panel are UTC then; with
            ``local_dates``, where all are at one time of the day there, its wall clock.
        frequency: the regular grid.
        seasons: season lengths in steps, the primary one first; empty when there is none.
        calendar: names of the calendar features (`longspan.data.calendar`).
        known: covariates known ahead. past: covariates known up to the cut. static: one value a series.
        encodings: one for each covariate, in the order known, past, static.
        missing: texts that mean "missing" besides the blank. decimal, thousands: how numbers are written.
        duplicates: what is done with two rows of one series and time.
        fitted: whether `fit_covariates` has decided the numbers and levels of the encodings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    layout: Layout = "long"
    series: tuple[str, ...] = ()
    time: str | None = None
    time_format: str | None = None
    zone: str | None = None
    local_dates: bool = False
    frequency: Frequency
    seasons: tuple[int, ...] = ()
    calendar: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    encodings: tuple[Encoding, ...] = ()
    missing: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str | None = None
    duplicates: Duplicates = "refuse"
    fitted: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of a long table that is needed, each once."""
        time = () if self.time is None else (self.time,)
        return tuple(dict.fromkeys((*self.series, *time, self.target, *self.known, *self.past, *self.static)))

    def encoded(self, role: Role) -> tuple[str, ...]:
        """Names of the encoded columns of one role: those of ``Panel.known``, ``Panel.past`` or
        ``Panel.static``."""
        return tuple(name for encoding in self.of(role) for name in encoding.columns)

    def of(self, role: Role) -> tuple[Encoding, ...]:
        """The encodings of one role, in column order."""
        return tuple(encoding for encoding in self.encodings if encoding.role == role)
