"""Forecasts as a table in the user's columns and units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from longspan.data.digits import FORMS
from longspan.data.panel import Panel

__all__ = ["forecast_table", "is_row_number", "series_columns"]

_DAY = 86_400_000_000  # microseconds


def series_columns(panel: Panel) -> dict[str, tuple[str, ...]]:
    """The user's columns that name the series, and the (N,) names in each; empty for a single series."""
    columns = panel.schema.series
    return dict(zip(columns, panel.keys or (panel.ids,), strict=True)) if columns else {}


def forecast_table(
    panel: Panel,
    series: NDArray[np.int64],
    cut: NDArray[np.int64],
    mean: NDArray[np.float64],
    quantiles: NDArray[np.float64],
    levels: Sequence[float],
) -> pl.DataFrame:
    """One row a forecast value: series, time (or step), ``forecast`` (the median), ``mean``, ``q0.1`` …

    Times are in the zone of the user's; where theirs had none, so have ours. Calendar stamps that are whole
    numbers (202003) come back as such.
    Where the user's column of series or time has one of these names, ours has an underscore behind it.

    Args:
        panel: where the windows were cut.
        series, cut: int64 (n,).
        mean: (n, H). quantiles: (n, H, levels). All in the user's units.
        levels: 0.5 among them.
    """
    count, horizon = mean.shape
    columns: dict[str, pl.Series | NDArray[np.float64]] = {}
    for name, names in series_columns(panel).items():
        columns[name] = pl.Series(np.asarray(names, dtype=object)[series], dtype=pl.String).gather(
            np.repeat(np.arange(count), horizon)
        )
    steps = cut[:, None] + np.arange(horizon)
    stamps = panel.frequency.stamps(panel.start[series][:, None], steps).ravel()
    found: dict[str, pl.Series | NDArray[np.float64]] = {}
    if is_row_number(panel):
        found["step"] = pl.Series(stamps + 1)
    else:
        columns[str(panel.schema.time)] = _stamps(stamps, panel)
    found["forecast"] = quantiles[..., list(levels).index(0.5)].ravel()
    found["mean"] = mean.ravel()
    found |= {f"q{level:g}": quantiles[..., place].ravel() for place, level in enumerate(levels)}
    return pl.DataFrame(columns | {f"{key}_" if key in columns else key: each for key, each in found.items()})


def is_row_number(panel: Panel) -> bool:
    """The grid counts rows from 0: there is no time column, or ``--frequency row`` set it aside."""
    schema = panel.schema
    return schema.time is None or (schema.frequency.unit == "row" and schema.time_format != "step")


def _stamps(stamps: NDArray[np.int64], panel: Panel) -> pl.Series:
    """Times in their zone; without one, whole numbers where the user writes them so (202003), dates where all
    lie at midnight on a grid of whole days, else date times; step numbers as they are."""
    if panel.frequency.unit == "row":
        return pl.Series(stamps)
    form = FORMS.get(panel.schema.time_format or "")
    if form is not None and form.fits(panel.frequency):
        return pl.Series(form.encode(stamps))
    times = pl.Series(stamps).cast(pl.Datetime("us"))
    if panel.schema.zone is not None:
        return _zoned(times, panel.schema.zone, local=panel.schema.local_dates)
    daily = panel.frequency.step is None or panel.frequency.step >= _DAY
    return times.cast(pl.Date) if daily and not bool((stamps % _DAY).any()) else times


def _zoned(times: pl.Series, zone: str, *, local: bool) -> pl.Series:
    """Times with a zone, from UTC or from its wall clock."""
    if not local:
        return times.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    # Where the clock skips midnight, the day begins an hour later.
    midnight, later = (
        each.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        for each in (times, times.dt.offset_by("1h"))
    )
    return midnight.zip_with(midnight.is_not_null(), later)
