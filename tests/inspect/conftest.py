"""Readers to look into: some that nobody trained, some that have solved the marked symbol."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from longspan.core.seeds import derive
from longspan.data.problems.marked import MarkedSymbol
from longspan.models.reader import Reader, reader_loss, sequences
from longspan.models.subject import ReaderSubject
from longspan.nn.encoders import build_encoder
from longspan.training.loop import train
from longspan.training.settings import Settings


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


def untrained_subject(encoder: str = "lstm", lag: int = 5, count: int = 24, **options: Any) -> ReaderSubject:
    problem = MarkedSymbol(lag)
    torch.manual_seed(0)
    reader = Reader(build_encoder(encoder, problem.input_size, 6, **options), problem.output_size, "class")
    return ReaderSubject(reader, problem.draw(count, np.random.default_rng(1)), symbols=tuple("abcd"))


@pytest.fixture(scope="session")
def subject_of() -> Callable[..., ReaderSubject]:
    """A reader with an encoder of this name, as it is before training."""
    return untrained_subject


@pytest.fixture(scope="session")
def solved() -> Callable[[int], ReaderSubject]:
    """A small LSTM that has learned the marked symbol at this lag."""
    kept: dict[int, ReaderSubject] = {}

    def make(lag: int) -> ReaderSubject:
        if lag not in kept:
            kept[lag] = _solve(lag)
        return kept[lag]

    return make


def _solve(lag: int) -> ReaderSubject:
    problem = MarkedSymbol(lag)
    torch.manual_seed(0)
    encoder = build_encoder("lstm", problem.input_size, 16, forget_bias=math.log(max(lag, 2)))
    reader = Reader(encoder, problem.output_size, "class")
    held = sequences(problem.draw(128, np.random.default_rng(1)))

    def batch(step: int) -> Any:
        return sequences(problem.draw(32, np.random.default_rng(derive(0, "batch", step))))

    settings = Settings(max_steps=300, validate_every=50, learning_rate=1e-2, patience=None)
    history = train(reader, reader_loss, batch, lambda module: float(reader_loss(module, held)), settings)
    assert history.best_loss is not None
    assert history.best_loss < 0.05, "the reader did not learn what is measured here"
    return ReaderSubject(reader, problem.draw(256, np.random.default_rng(2)), symbols=tuple("abcd"))
