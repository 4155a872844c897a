"""Small series with a seed and a known law, for tests and demonstrations."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from longspan.core.errors import InputError
from longspan.data.frequency import Frequency

__all__ = ["counts", "random_walk", "seasonal_panel", "sine"]

_START = dt.datetime(2020, 1, 1)


def sine(length: int = 1000, period: float = 100.0, noise: float = 0.0, seed: int = 0) -> pl.DataFrame:
    """``value = sin(2π t / period) + noise · N(0, 1)``: columns ``value`` (length,)."""
    _positive(length=length, period=period)
    draws = np.random.default_rng(seed).normal(size=length)
    return pl.DataFrame({"value": np.sin(2 * np.pi * np.arange(length) / period) + noise * draws})


def random_walk(length: int = 1000, drift: float = 0.0, scale: float = 1.0, seed: int = 0) -> pl.DataFrame:
    """``value_t = value_{t-1} + drift + scale · N(0, 1)``: nothing to learn beyond the last value and the
    drift."""
    _positive(length=length)
    return pl.DataFrame({"value": np.cumsum(drift + scale * np.random.default_rng(seed).normal(size=length))})


def seasonal_panel(
    series: int = 8,
    length: int = 24 * 28,
    season: int = 24,
    *,
    trend: float = 0.01,
    noise: float = 0.1,
    frequency: str = "h",
    seed: int = 0,
) -> pl.DataFrame:
    """Series of one season, each with its level, slope, amplitude and phase.

    Columns ``id``, ``time`` (from 2020-01-01), ``value``; rows series by series.
    """
    _positive(series=series, length=length, season=season)
    draw = np.random.default_rng(seed)
    steps = np.arange(length)
    level, slope = draw.uniform(5, 50, (series, 1)), trend * draw.normal(size=(series, 1))
    height, phase = draw.uniform(1, 5, (series, 1)), draw.uniform(0, 1, (series, 1))
    wave = height * np.sin(2 * np.pi * (steps / season + phase))
    values = level + slope * steps + wave + noise * draw.normal(size=(series, length))
    return _long(values, frequency)


def counts(
    series: int = 8, length: int = 400, season: int = 7, *, mean: float = 3.0, seed: int = 0
) -> pl.DataFrame:
    """Negative binomial counts (dispersion 2) whose mean follows a season; columns ``id``, ``time``,
    ``value``."""
    _positive(series=series, length=length, season=season, mean=mean)
    draw = np.random.default_rng(seed)
    phase = draw.uniform(0, 1, (series, 1))
    rate = mean * np.exp(0.6 * np.sin(2 * np.pi * (np.arange(length) / season + phase)))
    return _long(draw.negative_binomial(2, 2 / (2 + rate)).astype(np.int64), "D")


def _long(values: np.ndarray, frequency: str) -> pl.DataFrame:  # type: ignore[type-arg, unused-ignore]
    series, length = values.shape
    start = int(np.datetime64(_START, "us").astype(np.int64))
    stamps = Frequency.parse(frequency).stamps(start, np.arange(length)).astype("datetime64[us]")
    return pl.DataFrame(
        {
            "id": np.repeat([f"series_{number + 1}" for number in range(series)], length),
            "time": np.tile(stamps, series),
            "value": values.ravel(),
        }
    )


def _positive(**given: float) -> None:
    for name, value in given.items():
        if not value > 0:
            raise InputError(f"{name}: expected a number above 0, got {value}")
