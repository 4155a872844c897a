"""A forecaster and the windows on which it is looked at.

The sequence is the past of the target in scaled units, and the covariates of the context. What the features
derive from the past (lags, the anchor, summaries of the seasons) is derived here from the sequence, in torch,
so that gradients, cuts and scrambles reach all that a forecast depends on. The scaling of a window by its own
mean and spread is kept as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from longspan.baselines.naive import seasonal_naive
from longspan.core.errors import DataError, InputError
from longspan.core.seeds import derive
from longspan.data.frequency import Frequency, write_stamp
from longspan.data.panel import Panel
from longspan.data.windows import Windows, validation_windows
from longspan.models.design import Design, build_forecaster
from longspan.models.features import Inputs, WindowFeatures, last_known
from longspan.models.fitting import held_out, train_forecaster
from longspan.models.forecaster import Forecaster
from longspan.models.planning import training_part
from longspan.models.subject import Index, Shown, StepMeaning, with_encoder
from longspan.nn.encoders import Encoder
from longspan.nn.heads import NegativeBinomialHead, QuantileHead, StudentTHead
from longspan.training.settings import Settings

__all__ = ["ForecastSubject", "Past", "Training", "inputs_of", "last_windows", "past_of", "step_meaning"]

_SECONDS = {
    "microsecond": 1e-6, "second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0,
    "business day": 86400.0 * 7 / 5, "week": 7 * 86400.0, "month": 365.2425 * 86400 / 12,
}  # fmt: skip
_CYCLES = 7  # as in features: of a season, that are summarised
_STILL = 1e-12  # a variance below it has no gradient


@dataclass(frozen=True, eq=False)
class Past:
    """The past of n windows, R steps of which the encoder reads the last C, and what does not come from it.

    ``values`` (n, R) scaled, 0 where missing; ``known`` bool (n, R); ``covariates`` (n, R, K), 0 before the
    context; ``inputs`` as the features give them; ``context`` steps that the encoder reads; ``location`` and
    ``scale`` (n, 1) of each window.
    """

    values: Tensor
    known: Tensor
    covariates: Tensor
    inputs: Inputs
    context: int
    location: Tensor
    scale: Tensor


@dataclass(frozen=True)
class Training:
    """How the forecaster was trained: settings, windows a step, last values that validate."""

    settings: Settings
    batch_size: int
    validation: int


def past_of(features: WindowFeatures, windows: Windows, numbers: Index, device: torch.device) -> Past:
    """The past of the windows with these numbers, gathered with ``features.reach`` as their context."""
    batch = windows.gather(*windows.pairs(numbers))
    inputs, location, scale = features.inputs(batch)
    first, size = features.reach - features.context, features.step_size
    covariates = torch.zeros(*batch.past.shape, batch.past_covariates.shape[2])
    covariates[:, first:] = inputs.steps[..., size : size + covariates.shape[2]]
    known = torch.from_numpy(~np.isnan(batch.past))
    place = [torch.from_numpy(each.astype(np.float32)).to(device) for each in (location, scale)]
    return Past(
        inputs.window.to(device),
        known.to(device),
        covariates.to(device),
        inputs.to(device),
        features.context,
        *place,
    )


def inputs_of(features: WindowFeatures, past: Past) -> Inputs:
    """What the forecaster reads, derived from the past; gradients flow from ``values`` and ``covariates``."""
    given, values, context = past.inputs, past.values, past.context
    first, size = values.shape[1] - context, features.step_size
    lags = [values[:, first - season : values.shape[1] - season] for season in features.seasons]
    own = torch.stack([values[:, first:], past.known[:, first:].to(values), *lags], dim=-1)
    static = given.steps[:, :context, size + past.covariates.shape[2] :]
    anchor, parts = _ahead(features, values, past.known)
    drawn = torch.stack([part.expand(-1, features.horizon) for part in parts], dim=-1)
    return replace(
        given,
        steps=torch.cat([own, past.covariates[:, first:], static], dim=-1),
        future=torch.cat([drawn, given.future[..., drawn.shape[2] :]], dim=-1),
        window=values,
        anchor=anchor,
    )


def _ahead(features: WindowFeatures, values: Tensor, known: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The anchor (n, H), and what is derived from the past for each step of the horizon, (n, H) or (n, 1)."""
    horizon = features.horizon
    missing = (~known).cpu().numpy()
    place = np.broadcast_to(np.arange(values.shape[1], dtype=np.float64), missing.shape)
    last = _at(values, last_known(place, missing))
    anchor, parts = last.expand(-1, horizon), [last]
    for season in features.seasons:
        # Both are choices of one value of the past: made on its places, they say where to read.
        chosen = np.nan_to_num(seasonal_naive(np.where(missing, np.nan, place), horizon, season))
        ago = _at(values, chosen)
        mean, _ = _moments(values[:, None, -season:], known[:, None, -season:], 2)
        parts += [ago, mean]
        count = min(features.reach // season, _CYCLES)
        if count > 1:
            shape, phase = (len(values), count, season), torch.arange(horizon) % season
            cycles = [each[:, -count * season :].reshape(shape) for each in (values, known)]
            parts += [each[:, phase.to(values.device)] for each in _moments(cycles[0], cycles[1], 1)]
        if season == features.anchor:
            anchor = ago
    return anchor, parts


def _at(values: Tensor, place: NDArray[np.float64]) -> Tensor:
    """Values (n, m) of the past at these places (n, m)."""
    return torch.gather(values, 1, torch.from_numpy(place.astype(np.int64)).to(values.device))


def _moments(values: Tensor, known: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of what is known along an axis; 0 where nothing is."""
    weight = known.to(values)
    count = weight.sum(axis, keepdim=True).clamp(min=1)
    mean = (values * weight).sum(axis, keepdim=True) / count
    variance = (((values - mean) * weight) ** 2).sum(axis, keepdim=True) / count
    still = variance <= _STILL
    spread = torch.where(still, torch.zeros_like(variance), variance.clamp(min=_STILL).sqrt())
    return mean.squeeze(axis), spread.squeeze(axis)


def _middle(forecaster: Forecaster, parameters: Tensor) -> Tensor:
    """(n, H): the median, or for counts the mean, of what the head says, in scaled units."""
    head = forecaster.head
    if isinstance(head, QuantileHead):
        return parameters[..., head.levels.index(0.5)]
    if isinstance(head, StudentTHead):
        return parameters[..., 0]
    if isinstance(head, NegativeBinomialHead):
        return F.softplus(parameters[..., 0])
    raise InputError(f"inspect: expected a head with a known middle, got {type(head).__name__}")


def step_meaning(frequency: Frequency) -> StepMeaning:
    """What one step of a grid is."""
    seconds = _SECONDS.get(frequency.unit)
    if seconds is None:
        return StepMeaning()
    name = frequency.unit if frequency.multiple == 1 else f"{frequency.multiple} {frequency.unit}s"
    return StepMeaning(name, seconds * frequency.multiple)


def last_windows(panel: Panel, design: Design, last: int) -> Windows:
    """The windows whose forecasts lie in the last ``last`` known values of each series.

    Raises:
        DataError: there is none.
    """
    reach, horizon = design.features.reach, design.horizon
    windows = validation_windows(panel, reach, horizon, holdout=max(last, horizon))
    if len(windows) == 0:
        raise DataError(
            f"expected series with {horizon:,} known values (the horizon) after the first one, got "
            f"{int(panel.observed.max()):,} values in the longest. Give more rows",
            column=panel.schema.target,
        )
    return windows


@dataclass(frozen=True, eq=False)
class ForecastSubject:
    """A `Forecaster` and the windows of a panel, each an example; it is judged by the loss of its head.

    Args:
        forecaster: the network; the first one of an ensemble.
        design: what it was built from.
        panel: the data, covariates scaled. windows: the examples, from `last_windows`.
        training: how it was trained, None where that was not kept.
        shown_row: the window that is drawn.
        ahead: the step of the horizon that is explained, from 1; None for their mean.
        notes: more to know, in words.
    """

    forecaster: Forecaster
    design: Design
    panel: Panel
    windows: Windows
    training: Training | None = None
    shown_row: int = 0
    ahead: int | None = None
    notes: tuple[str, ...] = ()
    baseline_name: str = "a window whose every value is its own mean"

    def __post_init__(self) -> None:
        if self.ahead is not None and not 1 <= self.ahead <= self.design.horizon:
            raise InputError(f"ahead: expected a step from 1 to {self.design.horizon}, got {self.ahead}")
        self.forecaster.eval()

    @property
    def step(self) -> StepMeaning:
        """That of the panel's grid."""
        return step_meaning(self.panel.frequency)

    @property
    def names(self) -> tuple[str, ...]:
        """The target and the covariates of the context."""
        schema = self.panel.schema
        calendar = [f"{name}, {wave}" for name in schema.calendar for wave in ("sine", "cosine")]
        return (schema.target, *schema.encoded("known"), *schema.encoded("past"), *calendar)

    @property
    def count(self) -> int:
        """Windows."""
        return len(self.windows)

    @property
    def overlap(self) -> int:
        """Windows whose horizons share a step."""
        return -(-self.design.horizon // self.windows.stride)

    @property
    def encoder(self) -> Encoder:
        """That of the forecaster."""
        return self.forecaster.encoder  # type: ignore[return-value]

    @property
    def prediction_name(self) -> str:
        """The forecast that is explained."""
        target = self.panel.schema.target
        if self.ahead is not None:
            return f"forecast of {target}, {self.step.words(self.ahead)} ahead"
        return f"forecast of {target}, mean over {self.step.words(self.design.horizon)}"

    def shown(self) -> Shown:
        """The past of the drawn window in the user's units."""
        panel, reach = self.panel, self.design.features.reach
        series, cut = (int(each[0]) for each in self.windows.pairs(np.array([self.shown_row])))
        values = self.windows.gather(*self.windows.pairs(np.array([self.shown_row]))).past[0]
        stamps = panel.stamps(series, cut - reach, reach)
        dated = panel.frequency.unit != "row" and panel.schema.time is not None
        name = f"{panel.ids[series]}, " if panel.ids[series] else ""
        last = write_stamp(int(stamps[-1]) + (0 if dated else 1), panel.frequency)
        places = stamps.astype("datetime64[us]") if dated else stamps + 1
        return Shown(f"{name}up to {last}", panel.schema.target, places, values)

    @cached_property
    def device(self) -> torch.device:
        """Where the forecaster is."""
        return next(self.forecaster.parameters()).device

    def batch(self, rows: Index) -> Past:
        """The pasts of these windows."""
        return past_of(self.design.features, self.windows, np.asarray(rows, dtype=np.int64), self.device)

    def sequence(self, batch: Past) -> Tensor:
        """The past of the target and the covariates, side by side."""
        return torch.cat([batch.values[..., None], batch.covariates], dim=-1)

    def ends(self, batch: Past) -> Tensor:
        """The last step before the forecast."""
        return torch.full((len(batch.values),), batch.values.shape[1] - 1, device=batch.values.device)

    def with_sequence(self, batch: Past, sequence: Tensor) -> Past:
        """Another past."""
        return replace(batch, values=sequence[..., 0], covariates=sequence[..., 1:])

    def outputs(self, batch: Past) -> Tensor:
        """The median of every step of the horizon, in scaled units.

        A forecaster that decodes step by step is given the true values before each step, as in training.
        """
        return _middle(self.forecaster, self.forecaster(self._inputs(batch)))

    def prediction(self, batch: Past) -> Tensor:
        """In the user's units."""
        found = self.outputs(batch)
        one = found.mean(dim=1) if self.ahead is None else found[:, self.ahead - 1]
        return batch.location[:, 0] + batch.scale[:, 0] * one

    def losses(self, batch: Past) -> Tensor:
        """The loss of the head, mean over the known steps of each horizon."""
        inputs = self._inputs(batch)
        known = ~torch.isnan(inputs.target)
        target = torch.nan_to_num(inputs.target, nan=0.0)
        losses = self.forecaster.head.loss(self.forecaster(inputs), target, inputs.scale)
        return (losses * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def _inputs(self, batch: Past) -> Inputs:
        return inputs_of(self.design.features, batch)

    def cut(self, batch: Past, lag: int) -> Past:
        """Older values are missing, and the encoder begins ``lag`` steps before the end."""
        old = self._older(batch, lag)
        return replace(
            batch,
            values=batch.values.masked_fill(old, 0.0),
            known=batch.known & ~old,
            covariates=batch.covariates.masked_fill(old[:, None], 0.0),
            context=min(batch.context, lag + 1),
        )

    def scrambled(self, batch: Past, lag: int, donors: Index) -> Past:
        """Older values and covariates are those of other windows, in the scaled units of each."""
        old, place = self._older(batch, lag), torch.as_tensor(donors, device=batch.values.device)
        return replace(
            batch,
            values=torch.where(old, batch.values[place], batch.values),
            known=torch.where(old, batch.known[place], batch.known),
            covariates=torch.where(old[:, None], batch.covariates[place], batch.covariates),
        )

    @staticmethod
    def _older(batch: Past, lag: int) -> Tensor:
        """bool (R,): the steps older than a lag."""
        steps = torch.arange(batch.values.shape[1], device=batch.values.device)
        return steps < batch.values.shape[1] - 1 - lag

    def with_encoder(self, encoder: Encoder) -> Self:
        """Another encoder in the forecaster."""
        return replace(self, forecaster=with_encoder(self.forecaster, encoder))

    def untrained(self, seed: int) -> Self:
        """A new network of the same design, without the linear map that training begins with."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "weights"))
            forecaster = build_forecaster(self.design)
        return replace(self, forecaster=forecaster.to(self.device))

    def retrained(self, encoder: str, seed: int) -> Self:
        """The same design around another encoder, trained on what lies before the validation part."""
        if self.training is None:
            raise InputError(
                f"against={encoder!r}: the model does not say how it was trained (it was made by an earlier "
                "version). Fit it again"
            )
        design = self.design.around(encoder, self.design.hidden_size)
        features, validation = design.features, self.training.validation
        training = training_part(self.panel, features, validation)
        held, numbers = held_out(self.panel, features, validation)
        forecaster, _ = train_forecaster(
            design, training, held, numbers, replace(self.training.settings, seed=seed),
            batch_size=self.training.batch_size, device=self.device,
        )  # fmt: skip
        return replace(self, forecaster=forecaster, design=design)
