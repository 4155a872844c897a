"""The origins of a backtest: how many, how far apart, on which series, and what may be seen before them.

Of every series the last rows are the backtest part. Its later origins test, the earlier ones calibrate, and
the last value that calibrates comes before the first origin that tests, so nothing tested is known earlier.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from longspan.core.errors import InputError
from longspan.core.seeds import derive
from longspan.data.panel import Panel
from longspan.data.seasons import infer_seasons
from longspan.data.windows import Windows

__all__ = [
    "Origins",
    "before_origins",
    "chosen_series",
    "moments",
    "origin_windows",
    "plan_origins",
    "without_calendar",
]

Index = NDArray[np.int64]
_FEW, _MANY = 16, 4  # origins wanted of one series where there are few, or many
_VALUES = 96  # that few series forecast at least: half of them calibrate, and 95 % intervals need 39
_MANY_SERIES = 30
_SHARE = 0.4  # of the median series, at most, is the backtest part
_MOST_ORIGINS = 8192  # of all series together; a seeded sample of the series beyond
_MOST_VALUES = 1 << 20  # forecast from all of them: about 100 MB with eleven quantiles


@dataclass(frozen=True)
class Origins:
    """The origins of one series, counted back from its last value.

    Args:
        calibrating, testing: how many; both 0 where nothing can be tested.
        stride: steps between two of a kind.
        horizon: H.
        reason: why nothing is tested, as it stands after "not tested, because".
    """

    calibrating: int
    testing: int
    stride: int
    horizon: int
    reason: str = ""

    @property
    def part(self) -> int:
        """Rows of the backtest part: from the first origin on, which is known with the rows before."""
        return self.before_test + self.gap + (self.calibrating - 1) * self.stride if self.testing else 0

    @property
    def before_test(self) -> int:
        """Rows from the first origin that tests to the end."""
        return self.horizon + (self.testing - 1) * self.stride

    @property
    def gap(self) -> int:
        """Steps from the last origin that calibrates to the first that tests."""
        return max(self.horizon, self.stride)

    def words(self) -> str:
        """For people: ``16 origins 24 steps apart: 8 calibrate, 8 test``."""
        count = self.calibrating + self.testing
        return (
            f"{count} origins {self.stride:,} steps apart: {self.calibrating} calibrate, {self.testing} test"
        )


def plan_origins(panel: Panel, horizon: int, validation: int | None, count: int | None = None) -> Origins:
    """How many origins, and how far apart.

    Wanted are 16 origins of each series, one horizon apart, and more for horizons below 6, so that they
    forecast 96 values; or 4 where there are at least 30 series. Where that takes more than 40 % of the median
    series they are closer, down to one step, and then fewer, down to one that calibrates and one that tests.

    Args:
        panel: the data. horizon: H.
        validation: last values that are kept to validate on, if the user said so.
        count: origins that the user wants, 0 for none; None for as many as above.

    Raises:
        InputError: `count` is 1, or more than the series have room for.
    """
    if count == 0:
        return Origins(0, 0, horizon, horizon, "the backtest was turned off")
    if count == 1:
        raise InputError(
            "backtest: expected 0, or at least 2 origins (one calibrates, one tests), got 1. Leave it out to "
            "have it decided"
        )
    median, H = int(np.median(panel.observed)), horizon
    least = max(H, validation or 0) + H + 2  # what is left must be enough to learn from
    limit = min(int(_SHARE * median), median - least)
    wanted = count or (_MANY if len(panel) >= _MANY_SERIES else max(_FEW, math.ceil(_VALUES / H)))
    # The part is two horizons, and a stride between every two origins of a kind.
    room = max(0, limit - 2 * H + 2) if limit >= 2 * H else 0
    fitting = min(wanted, room)
    if fitting >= 2 and (count is None or fitting == count):
        stride = H if fitting == 2 else min(H, (limit - 2 * H) // (fitting - 2))
        return Origins(fitting // 2, fitting - fitting // 2, stride, H)
    if count is not None:
        raise InputError(
            f"backtest: expected at most {room} origins for series of {median:,} values and a horizon of "
            f"{H:,}, got {count}. Ask for fewer, or for 0 to go without a backtest"
        )
    which = "the series has" if len(panel) == 1 else "the median series has"
    needed = max(math.ceil(2 * H / _SHARE), 2 * H + least)
    return Origins(0, 0, H, H, f"{which} {median:,} values and a backtest of {H:,} steps needs {needed:,}")


def before_origins(panel: Panel, origins: Origins, *, seasons: bool) -> Panel:
    """The panel as it was before the first origin of every series.

    Later targets are masked; covariates stay, since those known ahead were known, and no window that is
    learned from reaches them.

    Args:
        panel: as it was read, covariates not yet scaled.
        origins: the plan.
        seasons: find the seasons again in what is left, as they were found in the whole.
    """
    target = panel.target.copy()
    observed = np.maximum(panel.observed - origins.part, 0)
    for series in range(len(panel)):
        first = int(panel.offsets[series])
        cut = first + int(observed[series])
        target[cut : panel.offsets[series + 1]] = np.nan
        if cut > first and np.isnan(target[cut - 1]):  # the part begins after a gap
            known = np.flatnonzero(~np.isnan(target[first:cut]))
            observed[series] = known[-1] + 1 if len(known) else 0
    hidden = replace(panel, target=target, observed=observed)
    if not seasons:
        return hidden
    return replace(hidden, schema=panel.schema.model_copy(update={"seasons": infer_seasons(hidden)}))


def chosen_series(panel: Panel, origins: Origins, seed: int) -> Index:
    """The series that are backtested: those with a value before their first origin, a seeded sample of them
    where there would be more than 8,192 origins, or more than a million values to forecast."""
    long_enough = np.flatnonzero(panel.observed > origins.part)
    each = origins.calibrating + origins.testing
    most = max(1, min(_MOST_ORIGINS, _MOST_VALUES // origins.horizon) // each)
    if len(long_enough) <= most:
        return long_enough.astype(np.int64)
    draws = np.random.default_rng(derive(seed, "backtest series"))
    return np.sort(draws.choice(long_enough, most, replace=False)).astype(np.int64)


def origin_windows(panel: Panel, origins: Origins, series: Index, reach: int) -> tuple[Windows, Windows]:
    """Windows cut at the origins that calibrate, and at those that test.

    Args:
        panel: with all its values.
        origins: the plan.
        series: which ones, from `chosen_series`.
        reach: steps of the past that a window shows.
    """
    chosen = np.zeros(len(panel), dtype=bool)
    chosen[series] = True

    def windows(last: Index, count: int) -> Windows:
        first = last - (count - 1) * origins.stride
        first, last = np.where(chosen, first, 1), np.where(chosen, last, 0)
        return Windows(panel, reach, origins.horizon, first, last, origins.stride)

    tests = panel.observed - origins.horizon
    calibrates = panel.observed - origins.before_test - origins.gap
    return windows(calibrates, origins.calibrating), windows(tests, origins.testing)


def without_calendar(panel: Panel) -> bool:
    """Whether steps are only counted, each series by itself: there is no time column, or its stamps lie on no
    grid and were taken one step each."""
    schema = panel.schema
    return schema.time is None or (schema.frequency.unit == "row" and schema.time_format != "step")


def moments(panel: Panel, series: Index, cut: Index) -> Index:
    """int64 (n,): the step of the calendar at which each window is cut, the same for all series at one time.

    Where steps are only counted nobody knows what fell together; series are then taken to end together, as
    the rows of a table that was written in one go do, and steps count back from the last known value.

    Args:
        panel: where the windows are. series, cut: int64 (n,), as `Windows.pairs` gives them.
    """
    if without_calendar(panel):
        return cut - panel.observed[series]
    first, _ = panel.frequency.steps_between(int(panel.start.min()), panel.start)
    return np.asarray(first[series] + cut)
