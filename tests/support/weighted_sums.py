"""A model whose memory is known exactly: a weighted sum of its past, judged by the squared error."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longspan.models.subject import Shown, StepMeaning
from longspan.nn.encoders import Encoder, build_encoder


@dataclass(frozen=True, eq=False)
class Rows:
    x: Tensor
    target: Tensor


@dataclass(frozen=True, eq=False)
class WeightedSum:
    """y = Σ_k weights[k] x_{T-1-k} + noise; what is cut is zero."""

    weights: np.ndarray
    steps: int
    count: int = 64
    noise: float = 0.1
    answers: np.ndarray | None = None  # in place of the sums
    seed: int = 0
    overlap: int = 1
    step: StepMeaning = StepMeaning("hour", 3600.0)  # noqa: RUF009 - it is frozen
    names: tuple[str, ...] = ("x",)
    notes: tuple[str, ...] = ()
    shown_row: int = 0
    prediction_name: str = "sum"
    baseline_name: str = "zeros"
    encoder: Encoder = field(default_factory=lambda: build_encoder("rnn", 1, 2))

    def all(self) -> Rows:
        draws = np.random.default_rng(self.seed)
        x = torch.from_numpy(draws.normal(size=(self.count, self.steps, 1)))
        noise = torch.from_numpy(draws.normal(size=self.count)) * self.noise
        target = self._sum(x) + noise if self.answers is None else torch.from_numpy(self.answers)
        return Rows(x, target)

    def _sum(self, x: Tensor) -> Tensor:
        weights = torch.from_numpy(self.weights)
        padded = torch.nn.functional.pad(x[:, :, 0], (max(0, len(weights) - x.shape[1]), 0))
        return (padded.flip(1)[:, : len(weights)] * weights).sum(dim=1)

    def batch(self, rows: Any) -> Rows:
        every = self.all()
        return Rows(every.x[rows], every.target[rows])

    def sequence(self, batch: Rows) -> Tensor:
        return batch.x

    def ends(self, batch: Rows) -> Tensor:
        return torch.full((len(batch.x),), batch.x.shape[1] - 1)

    def with_sequence(self, batch: Rows, sequence: Tensor) -> Rows:
        return replace(batch, x=sequence)

    def outputs(self, batch: Rows) -> Tensor:
        return self._sum(batch.x)[:, None]

    def prediction(self, batch: Rows) -> Tensor:
        return self._sum(batch.x)

    def losses(self, batch: Rows) -> Tensor:
        return (self._sum(batch.x) - batch.target) ** 2

    def cut(self, batch: Rows, lag: int) -> Rows:
        return replace(batch, x=batch.x[:, -(lag + 1) :])

    def scrambled(self, batch: Rows, lag: int, donors: Any) -> Rows:
        old = torch.arange(self.steps) < self.steps - 1 - lag
        return replace(batch, x=torch.where(old[:, None], batch.x[donors], batch.x))

    def with_encoder(self, encoder: Encoder) -> WeightedSum:
        return replace(self, encoder=encoder)

    def untrained(self, seed: int) -> WeightedSum:  # noqa: ARG002
        return replace(self, weights=np.zeros_like(self.weights))

    def retrained(self, encoder: str, seed: int) -> WeightedSum:  # noqa: ARG002
        return self

    def shown(self) -> Shown:
        return Shown("row 1", "x", np.arange(self.steps), self.all().x[0, :, 0].numpy())
