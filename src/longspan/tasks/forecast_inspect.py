"""What ``inspect`` takes of a forecasting model, and the model as something to look into."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from longspan.tasks.base import option
from longspan.tasks.forecast_options import Reading, Rewritten

if TYPE_CHECKING:
    from longspan.data.panel import Panel
    from longspan.data.windows import Windows
    from longspan.models.course import Course, Made
    from longspan.models.forecast_subject import ForecastSubject, Training
    from longspan.tasks.forecast import Forecast

__all__ = ["ForecastInspect", "forecast_subject", "kept_recipe"]

_HORIZONS = 24  # that the tested part should hold


class ForecastInspect(Reading, Rewritten):
    """Options of ``inspect`` with a forecasting model."""

    last: int | None = option(
        None,
        "last values of each series, whose forecasts are measured; as many as the fit kept to validate on, "
        "or 24 horizons if that is more (at most half a series)",
        group="Inspect",
        ge=1,
    )
    of: str | None = option(None, "series that is drawn; the first one", group="Inspect", metavar="SERIES")
    at: str | None = option(
        None,
        "time (or step) of the last value before the forecast that is drawn; the latest",
        group="Inspect",
    )
    ahead: int | None = option(
        None, "step of the horizon whose forecast is explained; their mean", group="Inspect", ge=1
    )


def kept_recipe(course: Course, made: Made) -> dict[str, Any]:
    """How the final network was trained, for who trains another one in the same way."""
    from longspan.models.tuning import choose

    recipe = choose(course.recipe, made.trials)[0] if made.trials else course.recipe
    return {"settings": asdict(recipe.settings), "batch_size": recipe.batch_size}


def forecast_subject(fitted: Forecast, data: Any, options: ForecastInspect) -> ForecastSubject:
    """The fitted forecaster on the last windows of the data.

    Raises:
        DataError: no window with a known future. InputError: a series or time that is not among them.
    """
    from longspan.models.forecast_subject import ForecastSubject, last_windows

    panel = options.panel(data, fitted.schema, **options.reading())
    kept = _usual_part(panel, fitted) if options.last is None else options.last
    windows = last_windows(panel, fitted.design, kept)
    return ForecastSubject(
        fitted.forecaster,
        fitted.design,
        panel,
        windows,
        training=_training(fitted),
        shown_row=_shown_row(panel, windows, options),
        ahead=options.ahead,
        notes=_notes(fitted, max(kept, fitted.design.horizon), len(windows)),
    )


def _usual_part(panel: Panel, fitted: Forecast) -> int:
    """The validation part; more where it holds too few horizons to test with, up to half a median series."""
    import numpy as np

    wanted = min(_HORIZONS * fitted.design.horizon, int(np.median(panel.observed)) // 2)
    return max(int(fitted.record["steps"]), wanted)


def _training(fitted: Forecast) -> Training | None:
    from longspan.models.forecast_subject import Training
    from longspan.training.settings import Settings

    recipe = fitted.record.get("recipe")
    if recipe is None:  # a folder of before it was kept
        return None
    steps = fitted.history.steps  # fewer than were allowed, where time or patience ended the training
    shorter = {"max_steps": steps, "warmup_steps": steps // 20, "time_budget": None}
    shorter["validate_every"] = min(recipe["settings"]["validate_every"], steps)
    settings = Settings(**(recipe["settings"] | shorter))
    return Training(settings, recipe["batch_size"], int(fitted.record["steps"]))


def _shown_row(panel: Panel, windows: Windows, options: ForecastInspect) -> int:
    """The number of the window that was asked for, or of the latest."""
    import numpy as np

    from longspan.core.errors import InputError
    from longspan.data.frequency import write_stamp

    series, cut = windows.pairs(np.arange(len(windows)))
    mine = np.ones(len(series), dtype=bool)
    if options.of is not None:
        if options.of not in panel.ids:
            raise _no_such_series(panel, options.of)
        mine = series == panel.ids.index(options.of)
    rows = np.flatnonzero(mine)
    if len(rows) == 0:
        raise InputError(f"of: series {options.of!r} has no window with a known future. Give it more values")
    if options.at is None:
        return int(rows[-1])
    counted = panel.frequency.unit == "row"
    names = {
        write_stamp(
            int(panel.stamps(int(series[row]), int(cut[row]) - 1, 1)[0]) + counted, panel.frequency
        ): row
        for row in rows[::-1].tolist()
    }
    if options.at not in names:
        first, last = list(names)[-1], next(iter(names))
        raise InputError(
            f"at: expected a time from {first} to {last}, written like these, got {options.at!r}"
        )
    return int(names[options.at])


def _no_such_series(panel: Panel, name: str) -> Exception:
    from longspan.core.errors import InputError

    if panel.ids == ("",):
        return InputError(f"of: there is one series, without a name: leave `of` away, got {name!r}")
    return InputError(f"of: expected one of the series, such as {panel.ids[0]!r}, got {name!r}")


def _notes(fitted: Forecast, last: int, windows: int) -> tuple[str, ...]:
    design = fitted.design
    found = [
        f"Measured on {windows:,} windows whose forecasts lie in the last {last:,} values of each series. "
        f"Where these are the data of the fit, the last {fitted.record['steps']:,} decided when training "
        "stopped, and what is before them was learned from.",
        "Every window is scaled by the mean and spread of its context; what is taken away does not change "
        "these two numbers.",
    ]
    if design.seasons:
        seasons = " and ".join(f"{season:,}" for season in design.seasons)
        found.append(
            f"Each step also brings the value {seasons} steps before it, and the forecast summaries of the "
            "seasons; gradients and removals reach these too, forget gates do not know of them."
        )
    if design.shortcut:
        found.append(f"A linear map reads {design.shortcut:,} steps beside the encoder.")
    if design.decoding == "step":
        found.append(
            "The forecast is decoded step by step; here each step is given the true value before it."
        )
    if len(fitted.forecasters) > 1:
        found.append(f"The forecast is the mean of {len(fitted.forecasters)} networks; this is the first.")
    return tuple(found)
