"""From a batch of windows to the tensors that a forecaster reads.

Every window is scaled by its own past, so a model learns shapes, not levels, and forecasts series that it has
never seen. Of each season the value one cycle ago is offered at every step, and a summary of the cycles at
every step of the horizon. There a missing value cannot be masked, so the last known one of the same phase
stands for it, and summaries are of the known values.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longspan.baselines.naive import seasonal_naive
from longspan.data.windows import WindowBatch

__all__ = ["TARGET_LIMIT", "Inputs", "WindowFeatures"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_CYCLES = 7  # of a season, that are summarised
_INPUT_LIMIT = 10.0  # scaled inputs beyond it are cut off: a spike must not drown the window
TARGET_LIMIT = 25.0
_CONSTANT = 1e-12  # of the mean size: a spread below it is rounding


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a forecaster reads of B windows, in scaled units: L steps of lags, C of context, H of horizon.

    ``steps`` (B, C, X); ``future`` (B, H, Y); ``window`` (B, reach) the target, 0 where missing;
    ``anchor`` (B, H) where the forecast starts from; ``target`` (B, H), NaN where unknown; ``scale`` (B, 1)
    in the user's units, float32.
    """

    steps: Tensor
    future: Tensor
    window: Tensor
    anchor: Tensor
    target: Tensor
    scale: Tensor

    def split(self, size: int) -> list[Self]:
        """So many windows each, as views."""
        parts = (getattr(self, each.name).split(size) for each in fields(self))
        return [type(self)(*each) for each in zip(*parts, strict=True)]

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        if self.steps.device == device:
            return self
        return type(self)(*(getattr(self, each.name).to(device) for each in fields(self)))


@dataclass(frozen=True)
class WindowFeatures:
    """How windows become inputs.

    Args:
        context: C, steps that the encoder reads.
        horizon: H.
        seasons: season lengths whose lags are offered.
        anchor: 0, the forecast starts from the last value; m, from the value m steps (a season) before each
            step.
        centred: shift windows to mean zero; otherwise they are divided by their mean size only.
        window: least number of steps of the past that are gathered, for who reads more than the context.
    """

    context: int
    horizon: int
    seasons: tuple[int, ...] = ()
    anchor: int = 0
    centred: bool = True
    window: int = 0

    @property
    def reach(self) -> int:
        """Steps of the past that are gathered: the context and, before it, the longest lag; or the window."""
        return max(self.context + max(self.seasons, default=0), self.window)

    @property
    def step_size(self) -> int:
        """Numbers offered at each step of the context, besides covariates: value, whether known, lags."""
        return 2 + len(self.seasons)

    @property
    def future_size(self) -> int:
        """Numbers offered at each step of the horizon, besides covariates."""
        return 1 + sum(2 if self._cycles(season) < 2 else 4 for season in self.seasons)

    def _cycles(self, season: int) -> int:
        return min(self.reach // season, _CYCLES)

    def scaling(self, past: Array) -> tuple[Array, Array]:
        """Location and scale (B, 1) of windows (B, reach) in the user's units; of the context alone.

        The location is the mean and the scale the standard deviation, but for counts 0 and the mean size. So
        a forecast of ``a y + b`` is ``a`` times that of ``y`` plus ``b``, however large ``b`` is. A constant
        window gets a scale from its size, an empty one (0, 1).
        """
        context = past[:, -self.context :]
        # The same numbers where none is missing, in half of the time.
        whole = not np.isnan(context).any()
        mean_of, deviation_of = (np.mean, np.std) if whole else (np.nanmean, np.nanstd)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # windows without any value are dealt with below
            mean = mean_of(context, axis=1, keepdims=True)
            spread = (
                deviation_of(context, axis=1, keepdims=True)
                if self.centred
                else mean_of(np.abs(context), axis=1, keepdims=True)
            )
        mean, spread = np.nan_to_num(mean), np.nan_to_num(spread)
        if not self.centred:
            return np.zeros_like(mean), np.maximum(spread, 1.0)
        size = np.abs(mean)
        constant = np.where(size > 0, 1e-3 * size, 1.0)
        return mean, np.where(spread > _CONSTANT * size, spread, constant)

    def inputs(self, batch: WindowBatch) -> tuple[Inputs, Array, Array]:
        """Inputs, and location and scale (B, 1), of windows gathered with ``context=reach``."""
        location, scale = self.scaling(batch.past)
        with np.errstate(over="ignore"):
            known = np.clip((batch.past - location) / scale, -_INPUT_LIMIT, _INPUT_LIMIT)
            target = np.clip((batch.future - location) / scale, -TARGET_LIMIT, TARGET_LIMIT)
        missing = np.isnan(known)
        filled = np.where(missing, 0.0, known) if missing.any() else known
        anchor, future = self._future(filled, missing)
        inputs = Inputs(
            steps=_tensor(self._steps(filled, missing, batch)),
            future=_tensor(self._with_covariates(future, batch)),
            window=_tensor(filled),
            anchor=_tensor(anchor),
            target=_tensor(target),
            scale=_tensor(scale),
        )
        return inputs, location, scale

    def _steps(self, filled: Array, missing: Mask, batch: WindowBatch) -> NDArray[np.float32]:
        """(B, C, X): value, whether it is known, the value one season ago, covariates, static covariates."""
        last, first = filled.shape[1], filled.shape[1] - self.context
        static = np.nan_to_num(batch.static)
        covariates = np.nan_to_num(batch.past_covariates[:, first:])
        parts = [filled[:, first:], ~missing[:, first:]]
        parts += [filled[:, first - season : last - season] for season in self.seasons]
        size = len(parts)
        found = np.empty(
            (len(filled), self.context, size + covariates.shape[2] + static.shape[1]), dtype=np.float32
        )
        for place, part in enumerate(parts):
            found[:, :, place] = part
        found[:, :, size : size + covariates.shape[2]] = covariates
        found[:, :, size + covariates.shape[2] :] = static[:, None]
        return found

    def _future(self, filled: Array, missing: Mask) -> tuple[Array, list[Array]]:
        """The anchor (B, H), and what is known of each step of the horizon, each (B, H) or (B, 1)."""
        last = last_known(filled, missing)
        parts = [last]
        anchor = np.broadcast_to(last, (len(filled), self.horizon))
        for season in self.seasons:
            ago = self._season_ago(filled, missing, season)
            parts += [ago, _mean(filled[:, -season:], missing[:, -season:])]
            count = self._cycles(season)
            if count > 1:
                shape, phase = (len(filled), count, season), np.arange(self.horizon) % season
                cycles = filled[:, -count * season :].reshape(shape)
                holes = missing[:, -count * season :].reshape(shape)
                parts += [each[:, phase] for each in _mean_and_spread(cycles, holes)]
            if season == self.anchor:
                anchor = ago
        return anchor, parts

    def _season_ago(self, filled: Array, missing: Mask, season: int) -> Array:
        """(B, H): the last value of the same phase; where that is missing, the last one known."""
        steps = np.arange(self.horizon)
        ago = filled[:, filled.shape[1] + steps - (steps // season + 1) * season]
        holed = missing[:, -season:].any(axis=1)
        if holed.any():
            known = np.where(missing[holed], np.nan, filled[holed])
            ago[holed] = np.nan_to_num(seasonal_naive(known, self.horizon, season))
        return ago

    def _with_covariates(self, parts: list[Array], batch: WindowBatch) -> NDArray[np.float32]:
        """(B, H, Y): the parts, covariates known ahead, static covariates."""
        covariates, static = np.nan_to_num(batch.future_covariates), np.nan_to_num(batch.static)
        size = len(parts)
        found = np.empty(
            (len(static), self.horizon, size + covariates.shape[2] + static.shape[1]), dtype=np.float32
        )
        for place, part in enumerate(parts):
            found[:, :, place] = part
        found[:, :, size : size + covariates.shape[2]] = covariates
        found[:, :, size + covariates.shape[2] :] = static[:, None]
        return found


def last_known(filled: Array, missing: Mask) -> Array:
    """(B, 1): the last value that is not missing; 0 where all are."""
    if not missing[:, -1].any():
        return filled[:, -1:]
    place = filled.shape[1] - 1 - (~missing)[:, ::-1].argmax(axis=1)
    return np.take_along_axis(filled, place[:, None], axis=1)


def _mean(filled: Array, missing: Mask) -> Array:
    """(B, 1): mean of the known of (B, n); 0 where none is. Missing values are 0 in ``filled``."""
    if not missing.any():
        return np.asarray(filled.mean(axis=1, keepdims=True))
    known = filled.shape[1] - missing.sum(axis=1, keepdims=True)
    return np.asarray(filled.sum(axis=1, keepdims=True) / np.maximum(known, 1))


def _mean_and_spread(filled: Array, missing: Mask) -> tuple[Array, Array]:
    """Mean and standard deviation of the known over axis 1 of (B, n, season); 0 where none is."""
    if not missing.any():
        return filled.mean(axis=1), filled.std(axis=1)
    count = np.maximum(filled.shape[1] - missing.sum(axis=1), 1)
    mean = filled.sum(axis=1) / count
    away = np.where(missing, 0.0, filled - mean[:, None])
    return mean, np.sqrt((away * away).sum(axis=1) / count)


def _tensor(values: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
