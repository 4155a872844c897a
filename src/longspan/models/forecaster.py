"""Forecasters: an encoder reads the past, a decoder speaks about the future, a head says how sure it is.

Two ways of decoding: `DirectForecaster` answers all steps of the horizon at once, `StepForecaster` runs the
    recurrence on, one step at a time, on its own samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from longspan.kernels import horizon
from longspan.kernels.horizon import Layer, Net
from longspan.models.features import Inputs
from longspan.nn.encoders import Encoder
from longspan.nn.heads import Head, QuantileHead

__all__ = ["DirectForecaster", "Forecast", "Forecaster", "StepForecaster", "mean_loss"]

Array = NDArray[np.float64]
_STEP_CODE = 16  # numbers that the encoder's summary gives each step of the horizon


@dataclass(frozen=True, eq=False)
class Forecast:
    """Mean (B, H) and quantiles (B, H, levels) of a batch, in scaled units."""

    mean: Array
    quantiles: Array


class Forecaster(nn.Module):
    """What every forecaster is.

    Attributes:
        head: the distribution of each value.
    """

    head: Head

    def forward(self, inputs: Inputs) -> Tensor:
        """Parameters (B, H, head.size) of the distribution of each step of the horizon."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(inputs)")

    def loss(self, inputs: Inputs) -> Tensor:
        """The loss of the head, mean over the known targets of the batch."""
        target = torch.nan_to_num(inputs.target, nan=0.0)
        losses = self.head.loss(self(inputs), target, inputs.scale)
        return horizon.mean_over_known(losses, inputs.target)

    def forecast(self, inputs: Inputs, levels: Sequence[float], draws: np.random.Generator) -> Forecast:
        """Mean and quantiles of each step of the horizon."""
        raise NotImplementedError(f"{type(self).__name__} must define forecast(inputs, levels, draws)")


class DirectForecaster(Forecaster):
    """All steps of the horizon at once: encoder, then one small network for every step of the horizon.

    The forecast is the anchor (last value or seasonal naive), plus an optional linear map of the window (as
    LSTNet's autoregressive part: Lai et al. 2018, section 3.4), plus what the network has learned.

    Args:
        encoder: reads (B, C, X).
        head: the distribution.
        horizon: H.
        future_size: Y, numbers known of each step of the horizon.
        hidden_size: units of the decoder's two layers.
        shortcut: steps of the window that the linear map reads, 0 for none.
        dropout: in the decoder.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: Head,
        horizon: int,
        future_size: int,
        hidden_size: int,
        shortcut: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.horizon = encoder, head, horizon
        width = encoder.output_size
        self.plan = nn.Linear(width, horizon * _STEP_CODE)
        # One layer on [summary, step], in two parts, since the summary is the same at every step.
        self.from_summary = nn.Linear(width, hidden_size)
        self.from_step = nn.Linear(_STEP_CODE + future_size, hidden_size, bias=False)
        self.decoder = nn.Sequential(
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_size, hidden_size),
            nn.ReLU(),
            nn.Linear(hidden_size, head.size),
        )
        # Held apart, since looking them up among modules takes a step of a small network too long.
        second, third = cast(nn.Linear, self.decoder[2]), cast(nn.Linear, self.decoder[4])
        self._linear = (self.plan, self.from_summary, self.from_step, second, third)
        self._dropout = dropout
        self.shortcut = nn.Linear(shortcut, horizon) if shortcut else None
        if self.shortcut is not None:
            nn.init.zeros_(self.shortcut.weight)
            nn.init.zeros_(self.shortcut.bias)

    def forward(self, inputs: Inputs) -> Tensor:
        """Parameters (B, H, head.size)."""
        parameters = self._decode(self.encoder.summary(inputs.steps), inputs.future)
        return self.head.place(parameters, self._anchor(inputs))

    def loss(self, inputs: Inputs) -> Tensor:
        """As that of every forecaster; where it is that of quantiles, with the decoder in one piece."""
        if self._drops() or not isinstance(self.head, QuantileHead):
            return super().loss(inputs)
        summary = self.encoder.summary(inputs.steps)
        return horizon.learn(
            summary,
            inputs.future,
            self._net(),
            self._anchor(inputs),
            inputs.target,
            self.head.levels_like(summary),
        )

    def _anchor(self, inputs: Inputs) -> Tensor:
        if self.shortcut is None:
            return inputs.anchor
        return inputs.anchor + cast(Tensor, self.shortcut(inputs.window[:, -self.shortcut.in_features :]))

    def _decode(self, summary: Tensor, future: Tensor) -> Tensor:
        """Parameters (B, H, head.size) from a summary (B, W) and what is known of each step (B, H, ·)."""
        if not self._drops():
            return horizon.decode(summary, future, self._net())
        plan = self.plan(summary).unflatten(1, (self.horizon, _STEP_CODE))
        steps = self.from_step(torch.cat([plan, future], dim=-1))
        return cast(Tensor, self.decoder(steps + self.from_summary(summary)[:, None]))

    def _drops(self) -> bool:
        return self.training and self._dropout > 0

    def _net(self) -> Net:
        plan, shared, *layers = [Layer(linear.weight, linear.bias) for linear in self._linear]
        return Net(plan, shared, layers)

    def forecast(self, inputs: Inputs, levels: Sequence[float], draws: np.random.Generator) -> Forecast:  # noqa: ARG002
        """Mean and quantiles of each step of the horizon."""
        parameters = self(inputs).double().cpu().numpy()
        scale = np.broadcast_to(inputs.scale.double().cpu().numpy(), parameters.shape[:2])
        return Forecast(self.head.mean(parameters, scale), self.head.quantiles(parameters, levels, scale))


class StepForecaster(Forecaster):
    """One step after the other: a recurrent decoder reads each value and gives the distribution of the next.

    In training it reads the true values (teacher forcing: Williams & Zipser 1989); a forecast runs on its own
    samples (ancestral sampling, as DeepAR: Salinas et al. 2020), so that the spread of the paths grows as it
    should.

    Args:
        encoder: reads (B, C, X).
        decoder: reads (B, H, ·): the encoder's summary, what is known of the step, and the value before.
        head: the distribution.
        walk: the distribution lies around the value before; otherwise around the anchor of the inputs.
        paths: sample paths of a forecast.
    """

    def __init__(self, encoder: Encoder, decoder: Encoder, head: Head, walk: bool, paths: int = 200) -> None:
        super().__init__()
        self.encoder, self.decoder, self.head, self.walk, self.paths = encoder, decoder, head, walk, paths
        self.output = nn.Linear(decoder.output_size, head.size)

    @staticmethod
    def decoder_size(encoder: Encoder, future_size: int) -> int:
        """Numbers that the decoder reads at each step."""
        return encoder.output_size + future_size + 1

    def forward(self, inputs: Inputs) -> Tensor:
        """Parameters (B, H, head.size), each given the true values before it."""
        summary = self.encoder.summary(inputs.steps)
        truth = torch.where(torch.isnan(inputs.target), inputs.anchor, inputs.target)
        before = torch.cat([inputs.future[:, :1, 0], truth[:, :-1]], dim=1)  # (B, H)
        return self._decode(summary, inputs.future, before, inputs.anchor, None)[0]

    def forecast(self, inputs: Inputs, levels: Sequence[float], draws: np.random.Generator) -> Forecast:
        """Mean and quantiles of each step of the horizon, over sample paths."""
        end = self.encoder.summary(inputs.steps)
        many = [each.repeat_interleave(self.paths, dim=0) for each in (end, inputs.future, inputs.anchor)]
        summary, future, anchor = many
        scale = inputs.scale.repeat_interleave(self.paths, dim=0).double().cpu().numpy()
        before, state, drawn = future[:, :1, 0], None, []
        for step in range(future.shape[1]):
            here = slice(step, step + 1)
            parameters, state = self._decode(summary, future[:, here], before, anchor[:, here], state)
            value = self.head.sample(parameters.double().cpu().numpy(), scale, draws)
            before = torch.from_numpy(value).to(before)
            drawn.append(value[:, 0])
        paths = np.stack(drawn, axis=1).reshape(-1, self.paths, future.shape[1])
        # A quantile of counts is a count.
        method: Literal["inverted_cdf", "linear"] = "inverted_cdf" if self.head.whole else "linear"
        quantiles = np.quantile(paths, np.asarray(levels), axis=1, method=method)
        return Forecast(paths.mean(axis=1), np.moveaxis(quantiles, 0, -1))

    def _decode(
        self, summary: Tensor, future: Tensor, before: Tensor, anchor: Tensor, state: Any
    ) -> tuple[Tensor, Any]:
        everywhere = summary[:, None].expand(-1, future.shape[1], -1)
        read, state = self.decoder(torch.cat([everywhere, future, before[..., None]], dim=-1), None, state)
        return self.head.place(self.output(read), before if self.walk else anchor), state


def mean_loss(forecaster: nn.Module, inputs: Inputs) -> Tensor:
    """The loss of a `Forecaster`."""
    return cast(Forecaster, forecaster).loss(inputs)
