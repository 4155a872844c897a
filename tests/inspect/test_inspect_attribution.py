"""Attribution: complete by theory, exact for linear models; attention where there is some."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from weighted_sums import WeightedSum

from longspan.data.problems.base import Examples
from longspan.inspect.attribution import attention_maps, integrated_gradients
from longspan.inspect.probe import Visit
from longspan.models.reader import Reader
from longspan.models.subject import ReaderSubject
from longspan.nn.encoders import build_encoder


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(["rnn", "gru", "lstm", "feedforward", "transformer"]))
def test_the_shares_sum_to_the_change_of_the_prediction(seed: int, encoder: str) -> None:
    torch.manual_seed(seed)
    reader = Reader(build_encoder(encoder, 2, 5), 3, "class")
    x = np.random.default_rng(seed).normal(size=(2, 11, 2)).astype(np.float32)
    found = integrated_gradients(ReaderSubject(reader, Examples(x, np.array([0, 1]))), 1)
    assert found.shares.shape == (11, 2)
    change = found.prediction - found.baseline
    size = float(np.abs(found.shares).sum())
    # A gradient that jumps, as behind a ReLU, is seen some points too late or too early.
    least = 4 / found.points if encoder == "feedforward" else 0.001
    assert abs(found.gap) <= max(0.01 * abs(change), least * size, 1e-6)
    assert found.by_step.sum() == pytest.approx(change - found.gap, abs=1e-9)


def test_of_a_weighted_sum_each_step_adds_its_weight_times_its_value() -> None:
    weights = np.random.default_rng(0).normal(size=8)
    subject = WeightedSum(weights, 12)
    found = integrated_gradients(subject, 3)
    x = subject.all().x[3, :, 0].numpy()
    expected = np.zeros(12)
    expected[-8:] = weights[::-1] * x[-8:]
    np.testing.assert_allclose(found.by_step, expected, atol=1e-12)
    assert (found.points, found.baseline) == (16, 0.0)


def test_attention_is_a_share_of_what_was_read() -> None:
    torch.manual_seed(0)
    encoder = build_encoder("transformer", 3, 16, num_layers=2, heads=2).eval()
    x = torch.randn(2, 9, 3)
    maps = attention_maps(encoder, Visit(x, torch.tensor([9, 6]), x, []), 1)
    assert maps is not None
    assert maps.shape == (2, 2, 6, 6)
    np.testing.assert_allclose(maps.sum(axis=-1), 1.0, rtol=1e-5)
    assert not np.triu(maps, 1).any(), "a step looked at a later one"
    long = attention_maps(encoder, Visit(torch.randn(1, 600, 3), None, x, []), 0)
    assert long is not None
    assert long.shape[-1] == 512
    assert attention_maps(build_encoder("lstm", 3, 4), Visit(x, None, x, []), 0) is None
