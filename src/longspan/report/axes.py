"""What the figures share: lines with gaps, ticks at dates, the look of what the model is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import (
    DAILY,
    HOURLY,
    MICROSECONDLY,
    MINUTELY,
    MONTHLY,
    SECONDLY,
    YEARLY,
    AutoDateLocator,
    ConciseDateFormatter,
)
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from longspan.core.errors import InputError
from longspan.report.palette import LINES, colour
from longspan.report.style import Shape

__all__ = ["DASHES", "Values", "compared", "draw_line", "expect", "time_axis"]

Values = NDArray[np.float64]

# For ticks at years, months, days, hours, minutes, seconds: the tick, the tick where the next larger unit
# begins, and what the ticks leave unsaid.
_TICKS = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"]
_TURNS = ["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M:%S"]
_UNSAID = ["", "%Y", "%Y", "%d %b %Y", "%d %b %Y", "%d %b %Y"]
# Most ticks at years, months … of the narrow shape. From two ticks on, a unit has a long enough interval for
# every span; five where its longest (6 months, 12 hours, 30 minutes or seconds) would not reach with four.
_NARROW_TICKS = {YEARLY: 4, MONTHLY: 5, DAILY: 4, HOURLY: 5, MINUTELY: 5, SECONDLY: 5, MICROSECONDLY: 4}
DASHES: tuple[Any, ...] = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (2, 2)))


def expect(name: str, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Refuse an array of another shape."""
    if got != expected:
        raise InputError(f"figure: expected {name} of shape {expected}, got {got}")


def compared(index: int) -> dict[str, Any]:
    """Colour and dashes of the line that has this place among those beside the model."""
    return {"color": colour(LINES[index % len(LINES)]), "linestyle": DASHES[index % len(DASHES)]}


def draw_line(axes: Axes, times: NDArray[Any], values: Values, **style: Any) -> Line2D:
    """A line with gaps where values are missing; a value with no neighbour is a dot, to be seen at all."""
    (line,) = axes.plot(times, values, **style)
    known = np.concatenate(([False], ~np.isnan(values), [False]))
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    if alone.any():
        axes.plot(
            times[alone], values[alone], linestyle="none", marker=".", markersize=4, color=style["color"]
        )
    return line


def time_axis(axes: Axes, times: NDArray[Any], shape: Shape) -> None:
    """Ticks at dates, or at numbers of steps; to be called once the times are drawn."""
    if np.issubdtype(times.dtype, np.datetime64):
        locator = _date_locator(shape)
        dates = ConciseDateFormatter(locator, None, _TICKS, _UNSAID, _TURNS)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates)
        return
    axes.xaxis.set_major_locator(MaxNLocator(8 if shape == "wide" else 4, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("step")


def _date_locator(shape: Shape) -> AutoDateLocator:
    """Ticks that matplotlib can place without a warning, whatever the span."""
    least, most = (3, 8) if shape == "wide" else (2, _NARROW_TICKS)
    locator = AutoDateLocator(minticks=least, maxticks=most)  # type: ignore[no-untyped-call]
    # Below a millisecond the dates of today have no digits left.
    locator.intervald[MICROSECONDLY] = [each for each in locator.intervald[MICROSECONDLY] if each >= 1000]
    return locator
