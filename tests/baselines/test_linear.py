"""Ridge from window to future: exact on linear data, deaf to windows whose future is not wholly known."""

from __future__ import annotations

import numpy as np

from longspan.baselines.linear import ridge_map


def linear(windows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    weights, offsets = draws.normal(size=(3, 5)), draws.normal(size=3)
    past = draws.normal(size=(windows, 5))
    return past, past @ weights.T + offsets, weights, offsets


def test_it_finds_the_map_that_made_the_data() -> None:
    past, future, weights, offsets = linear()
    found, shift = ridge_map(past, future)
    # The least penalty, 1e-3 a window, shrinks weights on inputs of variance one by about a thousandth.
    np.testing.assert_allclose(found, weights, rtol=5e-3, atol=2e-3)
    np.testing.assert_allclose(shift, offsets, rtol=5e-3, atol=2e-3)


def test_windows_with_an_unknown_future_change_nothing() -> None:
    past, future, *_ = linear()
    alone = ridge_map(past[:300], future[:300])
    future[300:, 1], past[300:] = np.nan, 1e6
    for found, expected in zip(ridge_map(past, future), alone, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_without_a_known_future_the_map_is_zero() -> None:
    weights, offsets = ridge_map(np.ones((4, 5)), np.full((4, 2), np.nan))
    assert weights.shape == (2, 5) and offsets.shape == (2,)
    assert not weights.any() and not offsets.any()


def test_one_step_ahead_keeps_two_dimensions() -> None:
    past, future, *_ = linear()
    weights, offsets = ridge_map(past, future[:, :1])
    assert weights.shape == (1, 5) and offsets.shape == (1,)


def test_noise_is_not_learned() -> None:
    draws = np.random.default_rng(1)
    past, future = draws.normal(size=(40, 30)), draws.normal(size=(40, 1))
    free = np.linalg.lstsq(past - past.mean(0), future - future.mean(0), rcond=None)[0]
    assert np.abs(ridge_map(past, future)[0]).sum() < 0.7 * np.abs(free).sum()
