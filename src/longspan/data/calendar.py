"""Calendar features of a window batch, from its stamps, by integer arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longspan.core.errors import InputError
from longspan.data.frequency import DAY, Frequency, Stamps

__all__ = ["calendar_features", "calendar_names", "feature_count"]

# Mean length of each cycle in microseconds: a feature is used when the data span two of them.
_YEAR = int(365.2425 * DAY)
_CYCLES = {
    "minute of hour": 3600 * 1_000_000,
    "hour of day": DAY,
    "day of week": 7 * DAY,
    "day of month": _YEAR // 12,
    "time of year": _YEAR,
}
_TABLE = 4096


def calendar_names(frequency: Frequency, span: int) -> tuple[str, ...]:
    """The features that a frequency resolves (four steps a cycle at least) and a span supports (two cycles).

    Args:
        frequency: of the grid. span: steps of the longest known history.
    """
    if frequency.unit == "row":
        return ()
    step = _mean_step(frequency)
    # A weekday or a day of the month says nothing on a grid of weeks or months.
    daily = step <= DAY * 1.5
    names = []
    for name, cycle in _CYCLES.items():
        resolved = cycle >= 4 * step and (daily or name == "time of year")
        if resolved and span * step >= 2 * cycle:
            names.append(name)
    return tuple(names)


def _mean_step(frequency: Frequency) -> float:
    if frequency.unit == "month":
        return frequency.multiple * _YEAR / 12
    if frequency.unit == "business day":
        return frequency.multiple * DAY * 7 / 5
    return float(frequency.step or 1)


def feature_count(names: tuple[str, ...]) -> int:
    """Columns of `calendar_features`: sine and cosine of each name."""
    return 2 * len(names)


@dataclass(frozen=True, eq=False)
class _Wave:
    sine: NDArray[np.float32]
    cosine: NDArray[np.float32]


def _wave(size: int) -> NDArray[np.float32]:
    """(size, 2) sine and cosine of ``size`` places around a circle."""
    angle = 2 * np.pi * np.arange(size) / size
    return np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)


_WAVE = _wave(_TABLE)


def calendar_features(names: tuple[str, ...], stamps: Stamps) -> NDArray[np.float32]:
    """Sine and cosine of the place in each cycle: float32 ``stamps.shape + (2 · len(names),)``.

    A place is rounded down to 1/4096 of its cycle (21 seconds of a day, 2 hours of a year): a table is used.

    Raises:
        InputError: a name that is no calendar feature.
    """
    features = np.empty((*stamps.shape, 2 * len(names)), dtype=np.float32)
    if not names:
        return features
    day, clock = np.divmod(stamps, DAY)
    for place, name in enumerate(names):
        features[..., 2 * place : 2 * place + 2] = _WAVE[_phase(name, day, clock)]
    return features


def _phase(name: str, day: Stamps, clock: Stamps) -> Stamps:
    """Place in a cycle, 0 … 4095."""
    if name == "minute of hour":
        hour = _CYCLES[name]
        return clock % hour * _TABLE // hour
    if name == "hour of day":
        return clock * _TABLE // DAY
    if name == "day of week":
        return (day + 3) % 7 * _TABLE // 7
    if name not in _CYCLES:
        raise InputError(f"calendar: expected one of {', '.join(_CYCLES)}, got {name!r}")
    unit = "M" if name == "day of month" else "Y"
    begin = day.astype("datetime64[D]").astype(f"datetime64[{unit}]")
    first = begin.astype("datetime64[D]").astype(np.int64)
    length = (begin + 1).astype("datetime64[D]").astype(np.int64) - first
    return (day - first) * _TABLE // length
