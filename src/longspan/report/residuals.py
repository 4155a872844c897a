"""The figures of what a forecast left over: over time, as a histogram, and with itself some steps later."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from longspan.core.checks import whole
from longspan.core.errors import InputError
from longspan.report.axes import Values, expect, time_axis
from longspan.report.palette import colour
from longspan.report.style import Shape, axes_of, house_style, legend, name_axis

__all__ = ["autocorrelation", "autocorrelation_chart", "residual_histogram", "residuals_over_time"]

_MOST_DOTS = 500
_BINS = (5, 31)
_LEAST_LIMIT = 0.3  # of the axis of a correlation: less than that is drawn small, as it is


def autocorrelation(residuals: ArrayLike, lags: int) -> tuple[Values, Values]:
    """Correlation of residuals with those 1 … ``lags`` steps later, pooled over series.

    The mean of all known residuals is taken off first. Pairs of which one is missing do not count, and the
    sum of products is divided by their number, so gaps do not draw the result to zero.

    Args:
        residuals: (N, T), one row a series, one column a step; NaN where unknown.
        lags: at least 1.

    Returns:
        (lags,) correlations, NaN where no pair is known or all residuals are equal; (lags,) half-widths of
        the 95 % interval around zero of pure noise, 1.96 / √pairs (Bartlett 1946).
    """
    lags = whole(lags, "lags", "autocorrelation", minimum=1)
    values = np.asarray(residuals, dtype=np.float64)
    if values.ndim != 2:
        raise InputError(f"autocorrelation: expected residuals of shape (N, T), got {values.shape}")
    known = ~np.isnan(values)
    total = int(known.sum())
    centred = np.where(known, values - (values[known].mean() if total else 0.0), 0.0)
    variance = float((centred**2).sum()) / total if total else 0.0
    found, width = np.full(lags, np.nan), np.full(lags, np.nan)
    for lag in range(1, min(lags, values.shape[1] - 1) + 1):
        pairs = int((known[:, lag:] & known[:, :-lag]).sum())
        if pairs:
            width[lag - 1] = 1.96 / np.sqrt(pairs)
            if variance > 0:
                found[lag - 1] = float((centred[:, lag:] * centred[:, :-lag]).sum()) / pairs / variance
    return found, width


def residuals_over_time(
    times: NDArray[Any], residuals: ArrayLike, name: str, shape: Shape = "wide"
) -> Figure:
    """Dots of the residuals over time; beyond 500 an evenly spread part is drawn.

    Args:
        times: (n,) datetime64 or whole numbers of steps, in order.
        residuals: (n,) actual less forecast; NaN is left out.
        name: what a residual is, with its unit.
        shape: wide or narrow.
    """
    values = np.asarray(residuals, dtype=np.float64)
    expect("residuals", values.shape, np.shape(times))
    kept = np.flatnonzero(np.isfinite(values))
    if len(kept) > _MOST_DOTS:
        kept = kept[np.linspace(0, len(kept) - 1, _MOST_DOTS).astype(np.int64)]
    with house_style():
        figure, axes = axes_of(shape)
        figure.set_figheight(2.6)
        axes.axhline(0, color=colour("muted"), linewidth=0.9)
        size = 2.6 if len(kept) > _MOST_DOTS // 5 else 4.5
        dots: Any = {"linestyle": "none", "marker": "o", "markersize": size, "markeredgewidth": 0}
        axes.plot(times[kept], values[kept], color=colour("model"), alpha=0.6, **dots)
        time_axis(axes, times[kept] if len(kept) else times, shape)
        name_axis(axes, name)
        return figure


def residual_histogram(residuals: ArrayLike, name: str, shape: Shape = "narrow") -> Figure:
    """How often residuals of each size are, with their mean; from the 0.5 to the 99.5 % point.

    Args:
        residuals: any shape; NaN is left out.
        name: what a residual is, with its unit.
        shape: wide or narrow.
    """
    values = np.asarray(residuals, dtype=np.float64)
    values = values[np.isfinite(values)]
    with house_style():
        figure, axes = axes_of(shape)
        figure.set_figheight(2.9)
        if len(values):
            low, high = np.quantile(values, (0.005, 0.995))
            inside = values[(low <= values) & (values <= high)]
            bins = int(np.clip(np.sqrt(len(inside)), *_BINS))
            axes.hist(inside, bins=bins, color=colour("model"), alpha=0.75, linewidth=0)
            mean = axes.axvline(values.mean(), color=colour("orange"), linewidth=1.4, label="mean")
            zero = axes.axvline(0, color=colour("ink"), linewidth=0.9, linestyle=(0, (1, 2)), label="zero")
            legend(figure, [mean, zero], shape)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlabel(name)
        name_axis(axes, "number of residuals")
        return figure


def autocorrelation_chart(
    found: ArrayLike, width: ArrayLike, *, season: int = 1, shape: Shape = "narrow"
) -> Figure:
    """Bars of the autocorrelation by lag, what pure noise would give, and where whole seasons are.

    Args:
        found, width: (lags,) from `autocorrelation`.
        season: steps of one season; its multiples are marked; 1 for none.
        shape: wide or narrow.
    """
    values, noise = np.asarray(found, dtype=np.float64), np.asarray(width, dtype=np.float64)
    expect("width", noise.shape, values.shape)
    lags = np.arange(1, len(values) + 1)
    with house_style():
        figure, axes = axes_of(shape)
        figure.set_figheight(2.9)
        axes.bar(lags, 2 * noise, width=1, bottom=-noise, color=colour("muted"), alpha=0.2, linewidth=0)
        axes.bar(lags, np.nan_to_num(values), width=0.75, color=colour("model"), linewidth=0)
        axes.axhline(0, color=colour("muted"), linewidth=0.9)
        handles: list[Any] = [
            Patch(color=colour("model"), label="residuals"),
            Patch(color=colour("muted"), alpha=0.2, label="95 % of noise"),
        ]
        marks = lags[lags % season == 0] if season > 1 else lags[:0]
        style: Any = {"color": colour("orange"), "linewidth": 0.9, "linestyle": (0, (1, 2))}
        for mark in marks:
            axes.axvline(mark, **style)
        if len(marks):
            handles.append(Line2D([], [], label="whole seasons", **style))
        largest = float(np.nanmax(np.abs([values, noise]), initial=_LEAST_LIMIT / 1.2))
        axes.set_ylim(-min(1.05, 1.2 * largest), min(1.05, 1.2 * largest))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("steps later")
        name_axis(axes, "autocorrelation")
        legend(figure, handles, shape)
        return figure
