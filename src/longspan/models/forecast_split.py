"""The test part of a panel: what lies before it, and the origins in it from which all methods forecast."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from longspan.core.errors import DataError
from longspan.core.seeds import derive
from longspan.data.panel import Panel
from longspan.data.seasons import infer_seasons
from longspan.data.windows import Windows

__all__ = ["before_test", "windows_in_test"]

_MOST_ORIGINS = 8192  # of all series together; farther apart, then on a sample of the series, beyond


def before_test(panel: Panel, rows: int, *, seasons: bool) -> Panel:
    """The panel as it was before the last ``rows`` known rows of every series; covariates stay."""
    target = panel.target.copy()
    observed = np.maximum(panel.observed - rows, 0)
    for series, first in enumerate(panel.offsets[:-1].tolist()):
        target[first + observed[series] : panel.offsets[series + 1]] = np.nan
        known = np.flatnonzero(~np.isnan(target[first : first + observed[series]]))
        observed[series] = known[-1] + 1 if len(known) else 0
    hidden = replace(panel, target=target, observed=observed)
    if not seasons:
        return hidden
    return replace(hidden, schema=panel.schema.model_copy(update={"seasons": infer_seasons(hidden)}))


def windows_in_test(
    panel: Panel, reach: int, horizon: int, test: int, stride: int | None, seed: int
) -> tuple[Windows, tuple[str, ...]]:
    """Windows of the test part, and notes: which series are not tested.

    Args:
        panel: with all its values. reach, horizon: steps that a window shows, and that it forecasts.
        test: last known rows of each series that test.
        stride: steps between two origins; None takes 1, or what makes 8,192 origins of all series, at most
            the horizon. Where there would still be more, series are sampled.
        seed: of the sample.

    Raises:
        DataError: there is nothing to forecast.
    """
    long_enough = panel.observed > test
    total = int(long_enough.sum()) * (test - horizon + 1)
    step = min(horizon, max(1, math.ceil(total / _MOST_ORIGINS))) if stride is None else stride
    most = max(1, _MOST_ORIGINS // ((test - horizon) // step + 1))
    chosen, notes = np.flatnonzero(long_enough), []
    if len(chosen) < len(panel):
        short = len(panel) - len(chosen)
        are = "is" if short == 1 else "are"
        notes.append(
            f"{short:,} of {len(panel):,} series {are} too short for the test part of {test:,} values"
        )
    if len(chosen) > most:
        notes.append(f"tested on a seeded sample of {most:,} of {len(chosen):,} series")
        draws = np.random.default_rng(derive(seed, "contest series"))
        chosen = np.sort(draws.choice(chosen, most, replace=False))
    here = np.zeros(len(panel), dtype=bool)
    here[chosen] = True
    first = np.where(here, np.maximum(panel.observed - test, 1), 1)
    last = np.where(here, panel.observed - horizon, 0)
    windows = Windows(panel, reach, horizon, first, last, step)
    if len(windows) == 0:
        raise DataError(
            f"expected known values in the last {test:,} rows of a series to test on, with values before "
            "them, got none. Give more rows or another --test",
            column=panel.schema.target,
        )
    return windows, tuple(notes)
