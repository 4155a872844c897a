"""Covariates after the panel is built: scaled on the fit part only, and checked to reach over the horizon."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.core.errors import DataError
from longspan.data.frequency import write_stamp
from longspan.data.panel import Panel
from longspan.data.schema import Encoding, Role

__all__ = ["fit_covariates", "require_horizon"]

Block = NDArray[np.floating[Any]]


def fit_covariates(panel: Panel, until: NDArray[np.int64] | int) -> Panel:
    """Standardise numeric covariates with mean and scale of rows before ``until`` (N,) of each series only.

    Levels that do not occur before ``until`` are dropped, so that nothing after it decides what a model is
    given. A number that is constant there keeps its unit (scale 1). Static covariates are taken over all
    series.

    Returns:
        The panel with float32 covariates and a schema that holds the numbers.

    Raises:
        DataError: a covariate without any known value in the fit part.
    """
    if panel.schema.fitted:
        return panel
    fit = _rows_before(panel, np.broadcast_to(np.asarray(until, dtype=np.int64), len(panel)))
    encodings: list[Encoding] = []
    blocks: dict[str, Block] = {}
    notes: list[str] = []
    for role in ("known", "past", "static"):
        block: Block = getattr(panel, role)
        part = block if role == "static" else block[fit] if block.shape[1] else block
        blocks[role], found, said = _fit_role(panel.schema.of(role), block, part)
        encodings += found
        notes += said
    schema = panel.schema.model_copy(update={"encodings": tuple(encodings), "fitted": True})
    return replace(panel, **blocks, schema=schema, notes=(*panel.notes, *notes))  # type: ignore[arg-type]


def _rows_before(panel: Panel, until: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool (R,): rows before ``until`` of their series."""
    fit = np.zeros(int(panel.offsets[-1]), dtype=bool)
    for first, count in zip(panel.offsets[:-1], np.minimum(until, panel.lengths), strict=True):
        fit[first : first + count] = True
    return fit


def _fit_role(
    encodings: tuple[Encoding, ...], block: Block, part: Block
) -> tuple[Block, list[Encoding], list[str]]:
    columns: list[Block] = []
    fitted: list[Encoding] = []
    notes: list[str] = []
    first = 0
    for encoding in encodings:
        last = first + len(encoding.columns)
        seen = part[:, first:last]
        if encoding.kind == "levels":
            keep = np.nansum(seen, axis=0) > 0
            kept = tuple(level for level, there in zip(encoding.levels, keep, strict=True) if there)
            if len(kept) < len(encoding.levels):
                notes.append(
                    f"column {encoding.name!r}: {len(encoding.levels) - len(kept)} levels do not occur in "
                    "the fit part: dropped"
                )
            fitted.append(encoding.model_copy(update={"levels": kept}))
            columns.append(block[:, first:last][:, keep])
        else:
            mean, scale = _mean_and_scale(seen[:, 0], encoding.name)
            fitted.append(encoding.model_copy(update={"mean": mean, "scale": scale}))
            columns.append((block[:, first:last] - mean) / scale)
        first = last
    empty = np.empty((len(block), 0), dtype=np.float32)
    return np.concatenate([empty, *columns], axis=1, dtype=np.float32, casting="same_kind"), fitted, notes


def _mean_and_scale(values: Block, name: str) -> tuple[float, float]:
    known = values[~np.isnan(values)].astype(np.float64)
    if len(known) == 0:
        raise DataError("expected known values in the fit part, got none. Leave the column out.", column=name)
    mean = float(known.mean())
    scale = float(known.std())
    return mean, scale if scale > 1e-12 * max(abs(mean), 1e-300) else 1.0


def require_horizon(panel: Panel, horizon: int) -> None:
    """Refuse a panel whose known covariates do not reach ``horizon`` steps past the last known target.

    Raises:
        DataError: names the series, its last time, and the first covariate and time that is lacking.
    """
    if not panel.schema.of("known"):
        return
    for series in range(len(panel)):
        first = int(panel.offsets[series] + panel.observed[series])
        ahead = panel.known[first : min(first + horizon, int(panel.offsets[series + 1]))]
        holes = np.isnan(ahead).any(axis=1)
        reach = int(holes.argmax()) if holes.any() else len(ahead)
        if reach < horizon:
            raise _lacking(panel, series, horizon, reach, ahead)


def _lacking(panel: Panel, series: int, horizon: int, reach: int, ahead: Block) -> DataError:
    observed = int(panel.observed[series])
    last, lacking = (
        write_stamp(int(panel.stamps(series, row, 1)[0]), panel.frequency)
        for row in (observed - 1, observed + reach)
    )
    names = list(panel.schema.known)
    if reach < len(ahead):
        names = [name for name in names if _is_blank(panel, name, ahead[reach])]
    role: Role = "known"
    shown = ", ".join(repr(name) for name in names)
    of = f" of series {panel.ids[series]!r}" if panel.ids[series] else ""
    return DataError(
        f"expected {role} covariates for {horizon} steps after the last {panel.schema.target!r}{of} "
        f"({last}), got {reach}: {shown} is lacking at {lacking}. Add rows with the {panel.schema.target!r} "
        "blank, or pass it as a past covariate."
    )


def _is_blank(panel: Panel, name: str, row: Block) -> bool:
    encoded = panel.schema.encoded("known")
    columns = next(encoding.columns for encoding in panel.schema.of("known") if encoding.name == name)
    return bool(np.isnan(row[[encoded.index(column) for column in columns]]).any())
