"""Gradients by lag and by depth, against theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from longspan.core.errors import InputError
from longspan.data.problems.base import Examples
from longspan.inspect.depth import depth_gradients, plain_net, unrolled
from longspan.inspect.gradients import lag_gradients, rate_of
from longspan.inspect.probe import Probe, Visit, lag_grid
from longspan.models.reader import Reader
from longspan.models.subject import ReaderSubject
from longspan.nn import LSTM, RNN
from longspan.nn.encoders import RecurrentEncoder, build_encoder


def reader_subject(encoder: Any, x: np.ndarray, outputs: int = 3) -> ReaderSubject:
    torch.manual_seed(3)
    reader = Reader(encoder, outputs, "number")
    target = np.zeros((len(x), outputs), dtype=np.float32)
    return ReaderSubject(reader, Examples(x.astype(np.float32), target))


def positive_rnn(weight: np.ndarray, inputs: int = 1) -> RecurrentEncoder:
    """relu of what is never negative: a linear recurrence."""
    layer = RNN(inputs, len(weight), nonlinearity="relu", batch_first=True, bias=False)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.from_numpy(weight))
        layer.weight_ih_l0.fill_(0.5)
    return RecurrentEncoder(layer)


@pytest.mark.parametrize("radius", [0.7, 1.0, 1.05])
def test_the_rate_of_a_linear_network_is_its_spectral_radius(radius: float) -> None:
    turn = radius * np.roll(np.eye(6), 1, axis=0)  # every eigenvalue of this size
    x = np.abs(np.random.default_rng(0).normal(size=(3, 60, 1)))
    found = lag_gradients(reader_subject(positive_rnn(turn), x, 1), np.arange(3), "linear")
    rate = found.input.rate
    assert rate is not None
    assert rate.value == pytest.approx(radius, rel=0.02)
    state = found.states[0].rate
    assert state is not None
    assert state.value == pytest.approx(radius, rel=1e-5)
    assert state.low == pytest.approx(state.high, rel=1e-5)


def test_a_general_positive_matrix_has_the_rate_of_its_largest_eigenvalue() -> None:
    weight = np.random.default_rng(1).uniform(0.0, 0.3, (6, 6))
    radius = float(np.abs(np.linalg.eigvals(weight)).max())
    x = np.ones((2, 50, 1))
    found = lag_gradients(reader_subject(positive_rnn(weight), x, 2), np.arange(2), "linear").input
    late = found.lags >= 8  # the other eigenvalues are gone by then
    rate = rate_of(found.lags[late], found.size[:, late])
    assert rate is not None
    assert rate.value == pytest.approx(radius, rel=1e-3)


@pytest.mark.parametrize("encoder", ["rnn", "gru", "lstm", "feedforward", "cnn", "transformer"])
def test_sizes_are_those_of_the_jacobian(encoder: str) -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(3, 12, 2))
    subject = reader_subject(build_encoder(encoder, 2, 5), x)
    found = lag_gradients(subject, np.arange(3), "m").input
    batch = subject.batch(np.array([1]))
    jacobian = torch.autograd.functional.jacobian(
        lambda given: subject.outputs(subject.with_sequence(batch, given))[0], batch.x
    )
    expected = jacobian[:, 0].double().square().sum(dim=(0, 2)).sqrt().flip(0)
    np.testing.assert_allclose(found.size[1], expected.numpy(), rtol=1e-4, atol=1e-9)


def test_of_many_outputs_random_mixtures_come_near() -> None:
    x = np.random.default_rng(0).normal(size=(4, 10, 2))
    torch.manual_seed(0)
    subject = reader_subject(build_encoder("lstm", 2, 8), x, 40)
    found = lag_gradients(subject, np.arange(4), "m").input.size
    batch = subject.batch(np.arange(4))
    jacobian = torch.autograd.functional.jacobian(
        lambda given: subject.outputs(subject.with_sequence(batch, given)), batch.x
    )
    exact = torch.stack([jacobian[row, :, row].square().sum(dim=(0, 2)).sqrt().flip(0) for row in range(4)])
    np.testing.assert_allclose(found, exact.numpy(), rtol=0.35)
    assert abs(np.log(found / exact.numpy()).mean()) < 0.2


def test_ragged_examples_are_aligned_at_their_ends() -> None:
    torch.manual_seed(0)
    encoder = build_encoder("gru", 2, 5)
    x = np.random.default_rng(0).normal(size=(3, 9, 2)).astype(np.float32)
    lengths = np.array([9, 4, 9])
    for row, length in enumerate(lengths):
        x[row, length:] = 0.0
    whole = reader_subject(encoder, x)
    ragged = ReaderSubject(whole.reader, Examples(x, whole.examples.target, lengths))
    found = lag_gradients(ragged, np.arange(3), "m")
    short = ReaderSubject(whole.reader, Examples(x[1:2, :4], whole.examples.target[1:2]))
    alone = lag_gradients(short, np.arange(1), "m")
    row = next(row for row in range(3) if np.isnan(found.input.size[row, 4:]).all())
    np.testing.assert_allclose(found.input.size[row, :4], alone.input.size[0], rtol=1e-5)
    states = found.states[0]
    np.testing.assert_allclose(
        states.size[row, : len(alone.states[0].lags)], alone.states[0].size[0], rtol=1e-5
    )


def test_one_step_has_no_lag_and_hides_none_of_the_others() -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(2, 6, 2)).astype(np.float32)
    x[0, 1:] = 0.0
    whole = reader_subject(build_encoder("rnn", 2, 4), x)
    found = lag_gradients(
        ReaderSubject(whole.reader, Examples(x, whole.examples.target, np.array([1, 6]))), np.arange(2), "m"
    )
    assert found.states[0].lags.tolist() == [1, 2, 3, 4, 5]
    assert np.isnan(found.input.size[0, 1:]).all()


def test_reading_in_pieces_is_reading_at_once() -> None:
    torch.manual_seed(0)
    encoder = build_encoder("lstm", 2, 5, num_layers=2).eval()
    x = torch.randn(3, 30, 2)
    seen: list[Visit] = []
    y, state = Probe(encoder, seen.append, lag_grid(29).tolist())(x)
    expected, last = encoder(x)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(state, last)
    assert [lag for lag, _ in seen[0].states] == list(range(29, -1, -1))


def test_an_unrolled_network_is_a_feed_forward_net_with_shared_weights() -> None:
    torch.manual_seed(0)
    layer = RNN(3, 5, batch_first=True, dtype=torch.float64)
    x = torch.randn(4, 12, 3, dtype=torch.float64)
    net = unrolled(layer, 12)
    y, _ = layer(x)
    activations = net(x, torch.zeros(4, 5, dtype=torch.float64))
    torch.testing.assert_close(torch.stack(activations, dim=1), y, rtol=0, atol=1e-14)
    weights = list(layer.parameters())
    target = torch.randn(4, 5, dtype=torch.float64)
    ours = torch.autograd.grad(((y[:, -1] - target) ** 2).sum(), weights)
    theirs = torch.autograd.grad(((activations[-1] - target) ** 2).sum(), weights)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_gradients_by_depth_of_the_unrolled_net_are_those_by_lag() -> None:
    torch.manual_seed(0)
    encoder = build_encoder("rnn", 2, 5)
    x = np.random.default_rng(0).normal(size=(2, 20, 2))
    subject = reader_subject(encoder, x)
    found = lag_gradients(subject, np.arange(2), "m").states[0]
    net = unrolled(encoder.layer, 20)
    batch = subject.batch(np.arange(2))
    activations = net(batch.x, torch.zeros(2, 5))
    loss = subject.reader.output(activations[-1]).square().mean(dim=1).sum()
    sizes = torch.stack([each.norm(dim=1) for each in torch.autograd.grad(loss, activations)], dim=1).flip(1)
    np.testing.assert_allclose(found.size, sizes[:, found.lags].numpy(), rtol=1e-4)


def test_only_a_plain_layer_can_be_unrolled() -> None:
    with pytest.raises(
        InputError, match=r"unrolled: expected one layer of tanh rnn in one direction, got LSTM"
    ):
        unrolled(LSTM(2, 3), 4)


def test_gradients_vanish_with_depth_in_a_plain_net() -> None:
    for shared in (False, True):
        curve = depth_gradients(plain_net(32, 40, 0, shared=shared), 32, 8, 0)
        assert curve.size.shape == (8, 40)
        rate = curve.rate
        assert rate is not None
        assert 0.3 < rate.low <= rate.value <= rate.high < 0.9


def test_a_rate_is_fitted_only_where_digits_are_left() -> None:
    lags = np.arange(200)
    size = np.maximum(0.5 ** lags.astype(float), 0.0)[None].repeat(2, axis=0)
    size[:, 150:] = 0.0
    rate = rate_of(lags, size)
    assert rate is not None
    assert rate.value == pytest.approx(0.5, rel=1e-9)
    assert (rate.first, rate.last) == (1, 99)  # 0.5^100 < 1e-30
    assert rate_of(lags[:3], size[:, :3]) is None


def test_a_layer_that_is_not_recurrent_has_no_states() -> None:
    subject = reader_subject(build_encoder("cnn", 2, 5), np.random.default_rng(0).normal(size=(2, 8, 2)))
    assert lag_gradients(subject, np.arange(2), "m").states == ()
    assert isinstance(subject.encoder, nn.Module)
