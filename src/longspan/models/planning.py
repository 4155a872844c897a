"""From a panel to the design of its forecaster: what the user did not say is decided from the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from longspan.baselines.naive import last_value, seasonal_naive
from longspan.core.errors import DataError, InputError
from longspan.core.wording import passing, spell
from longspan.data.covariates import fit_covariates, require_horizon
from longspan.data.panel import Panel, require_length
from longspan.data.windows import Windows, training_windows
from longspan.models.design import Decoding, Design
from longspan.models.features import TARGET_LIMIT, WindowFeatures
from longspan.nn.heads import LEVELS, Head, build_head, check_levels

__all__ = ["Wishes", "choose_anchor", "choose_context", "describe_plan", "plan_forecaster", "training_part"]

_LONGEST_SEASON = 750  # a longer one costs more than it tells; the calendar features still know it
_SHORTEST_CONTEXT, _USUAL_CONTEXT = 8, 168
_FEW_SERIES = 8
_UNITS_FOR_FEW, _UNITS = 32, 64  # a larger network learns the noise of one series by heart


@dataclass(frozen=True)
class Wishes:
    """What the user said of the design; None is decided from the data. The names are those of `Design`."""

    context: int | None = None
    anchor: int | None = None
    shortcut: bool | None = None
    nonnegative: bool | None = None
    levels: tuple[float, ...] | None = None
    head: str = "quantile"
    decoding: Decoding = "direct"
    encoder: str = "lstm"
    hidden_size: int | None = None
    num_layers: int = 1
    dropout: float = 0.0
    encoder_options: tuple[tuple[str, bool], ...] = ()


def plan_forecaster(
    panel: Panel, horizon: int, validation: int | None, wishes: Wishes
) -> tuple[Panel, Design, int]:
    """Decide the design.

    Args:
        panel: as it was read; covariates are scaled here, on the part before the validation part.
        horizon: H.
        validation: last values of each series that are kept to validate on; None takes a tenth of the median
            series, at least the horizon.
        wishes: what the user said.

    Returns:
        The panel with scaled covariates, the design, the length of the validation part.

    Raises:
        DataError: series too short, values that are no counts, covariates that do not reach over the horizon.
        InputError: wishes that do not go together.
    """
    median = int(np.median(panel.observed))
    validation = max(horizon, median // 10) if validation is None else validation
    if validation < horizon:
        raise InputError(f"validation: expected at least the horizon, {horizon}, got {validation}")
    most = int(panel.observed.max()) - horizon - 2  # what is left must be enough to learn from
    if validation > most >= horizon:
        raise InputError(
            f"{spell('validation')} expected at most {most:,}, so that values are left to learn from, got "
            f"{validation:,}"
        )
    notes = require_length(panel, validation + horizon + 2)
    levels = LEVELS if wishes.levels is None else check_levels(wishes.levels)
    head = build_head(wishes.head, levels)
    if head.whole:
        _check_counts(panel)
    panel = fit_covariates(panel, np.maximum(panel.observed - validation, 0))
    panel = replace(panel, notes=(*panel.notes, *notes))
    require_horizon(panel, horizon)
    features = _plan_features(panel, horizon, validation, head, wishes)
    design = Design(
        context=features.context,
        horizon=horizon,
        seasons=features.seasons,
        anchor=features.anchor,
        step_size=features.step_size + _covariates(panel, "known", "past", "static"),
        future_size=features.future_size + _covariates(panel, "known", "static"),
        encoder=wishes.encoder,
        hidden_size=wishes.hidden_size or (_UNITS_FOR_FEW if len(panel) <= _FEW_SERIES else _UNITS),
        num_layers=wishes.num_layers,
        dropout=wishes.dropout,
        encoder_options=dict(wishes.encoder_options),
        head=wishes.head,
        levels=levels,
        decoding=wishes.decoding,
        shortcut=features.window,
        nonnegative=not bool((panel.target < 0).any()) if wishes.nonnegative is None else wishes.nonnegative,
    )
    return panel, design, validation


def _plan_features(panel: Panel, horizon: int, validation: int, head: Head, wishes: Wishes) -> WindowFeatures:
    spare = int(np.median(panel.observed)) - validation - horizon
    seasons = tuple(season for season in panel.schema.seasons if season <= min(_LONGEST_SEASON, spare // 2))
    longest = int(panel.observed.max())
    if wishes.context is not None and wishes.context > longest:
        raise InputError(
            f"context: expected at most the longest series, {longest:,} steps, got {wishes.context:,}"
        )
    context = wishes.context or choose_context(horizon, spare, seasons)
    shortcut = _shortcut(panel, context, spare, head, wishes)
    features = WindowFeatures(context, horizon, seasons, 0, head.centred, shortcut)
    anchor = wishes.anchor
    if anchor is None:
        anchor = choose_anchor(training_part(panel, features, validation), features)
    if anchor not in (0, *seasons):
        known = ", ".join(map(str, (0, *seasons)))
        raise InputError(f"anchor: expected the last value (0) or one of the seasons, {known}; got {anchor}")
    return replace(features, anchor=anchor)


def _covariates(panel: Panel, *roles: str) -> int:
    """Encoded columns of these roles, and the calendar's, which is known at every step."""
    from longspan.data.calendar import feature_count

    columns = sum(getattr(panel, role).shape[1] for role in roles)
    return int(columns) + feature_count(panel.schema.calendar)


def choose_context(horizon: int, spare: int, seasons: tuple[int, ...]) -> int:
    """Steps of context: of each season the whole cycles that fit into 168 steps, or one.

    Without a season twice the horizon, at most 168. At least 8; no more than half of ``spare``, what the
    median series has for training, so that there is something to learn from.
    """
    cycles = [season * max(1, _USUAL_CONTEXT // season) for season in seasons]
    wanted = max(cycles, default=min(max(2 * horizon, 24), _USUAL_CONTEXT))
    return max(min(wanted, spare // 2), _SHORTEST_CONTEXT)


def training_part(panel: Panel, features: WindowFeatures, validation: int) -> Windows:
    """The windows that are learned from: they end before the last ``validation`` values of their series.

    A window may begin before its series does (its first steps are then missing) only as far as the series are
    too short to do without.

    Raises:
        DataError: there is none.
    """
    spare = int(np.median(panel.observed)) - validation - features.horizon
    least = int(np.clip(spare // 2, 1, features.reach))
    windows = training_windows(panel, features.reach, features.horizon, holdout=validation, min_history=least)
    if len(windows) == 0:
        raise DataError(
            f"expected series of at least {least + validation + features.horizon} known values (horizon "
            f"{features.horizon}, and {validation} to validate on), got {int(panel.observed.max())} in the "
            f"longest. Give more history, or a smaller {spell('horizon')} or {spell('validation')}",
            column=panel.schema.target,
        )
    return windows


def choose_anchor(windows: Windows, features: WindowFeatures) -> int:
    """What a forecast starts from: the last value (0) or one season before (its steps), whichever is nearer.

    Compared by mean absolute error in scaled units on windows of the training part, errors cut off where
    targets are: a jump after a flat window must not outvote all others.
    """
    numbers = np.unique(np.linspace(0, len(windows) - 1, 512).astype(np.int64))
    batch = windows.gather(*windows.pairs(numbers))
    location, scale = features.scaling(batch.past)
    past, future = (batch.past - location) / scale, (batch.future - location) / scale
    starts = {0: last_value(past, features.horizon)}
    starts |= {season: seasonal_naive(past, features.horizon, season) for season in features.seasons}
    errors = {
        season: float(np.nanmean(np.minimum(np.abs(future - start), TARGET_LIMIT)))
        for season, start in starts.items()
    }
    return min(errors, key=lambda season: (errors[season], season))


def _shortcut(panel: Panel, context: int, spare: int, head: Head, wishes: Wishes) -> int:
    """Steps that the linear map reads: two contexts where there are few series, else none.

    Many unlike series have no linear map in common.
    """
    if wishes.decoding != "direct" or not head.centred:
        if wishes.shortcut:
            raise InputError(
                f"{spell('shortcut')} does not go with {passing('decoding', 'step')} or counts. Leave it out"
            )
        return 0
    wanted = len(panel) <= _FEW_SERIES if wishes.shortcut is None else wishes.shortcut
    return max(min(2 * context, spare // 2), context) if wanted else 0


def _check_counts(panel: Panel) -> None:
    wrong = (panel.target < 0) | (panel.target != np.floor(panel.target)) & ~np.isnan(panel.target)
    if wrong.any():
        raise DataError(
            f"expected counts (0, 1, 2 …) for {passing('head', 'negative-binomial')}, got "
            f"{panel.target[wrong.argmax()]:g}. Use {passing('head', 'quantile')}",
            column=panel.schema.target,
        )


def describe_plan(panel: Panel, design: Design, validation: int, windows: int) -> Iterator[str]:
    """The data and the design in a few lines for people."""
    many = len(panel) > 1
    count = int(panel.observed.sum())
    size = f"{len(panel):,} series, {count:,} values" if many else f"one series of {count:,} values"
    yield f"{size}, {panel.frequency}"
    seasons = ", ".join(f"{season:,} steps" for season in panel.schema.seasons) or "none found"
    yield f"season: {seasons}"
    start = f"the value {design.anchor:,} steps before" if design.anchor else "the last value"
    yield f"reads {design.context:,} steps, forecasts {design.horizon:,}, starting from {start}"
    each = " of each series" if many else ""
    yield f"learns from {windows:,} windows; the last {validation:,} values{each} validate"
