"""What a forecaster reads: scaled by its own past, blind to the future, missing values masked."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from longspan.baselines.naive import seasonal_naive
from longspan.data.windows import WindowBatch
from longspan.models.features import Inputs, WindowFeatures

FEATURES = WindowFeatures(context=12, horizon=5, seasons=(4,), anchor=4)
READ = ("steps", "future", "window", "anchor", "scale")


def batch_of(past: NDArray[np.float64], future: NDArray[np.float64]) -> WindowBatch:
    count, horizon = len(past), future.shape[1]
    number = np.arange(count)
    nothing = np.empty((count, past.shape[1], 0), np.float32)
    ahead = np.empty((count, horizon, 0), np.float32)
    return WindowBatch(number, number, past, future, nothing, ahead, np.empty((count, 0), np.float32))


def windows(seed: int = 0, features: WindowFeatures = FEATURES) -> WindowBatch:
    draws = np.random.default_rng(seed)
    values = draws.normal(size=(3, features.reach + features.horizon)).cumsum(axis=1)
    return batch_of(values[:, : features.reach], values[:, features.reach :])


def read(batch: WindowBatch, features: WindowFeatures = FEATURES) -> Inputs:
    return features.inputs(batch)[0]


def same(one: Inputs, two: Inputs, names: tuple[str, ...] = READ) -> bool:
    return all(torch.equal(getattr(one, name), getattr(two, name)) for name in names)


def test_shapes_are_the_declared_ones() -> None:
    found = read(windows())
    assert found.steps.shape == (3, 12, FEATURES.step_size) == (3, 12, 3)
    assert found.future.shape == (3, 5, FEATURES.future_size) == (3, 5, 5)
    assert found.window.shape == (3, FEATURES.reach) == (3, 16)
    assert found.anchor.shape == found.target.shape == (3, 5)
    assert found.scale.shape == (3, 1)
    assert {getattr(found, each.name).dtype for each in fields(found)} == {torch.float32}


@given(st.floats(1e-3, 1e3), st.floats(-1e6, 1e6), st.integers(0, 100))
def test_inputs_do_not_change_with_the_unit_of_measurement(a: float, b: float, seed: int) -> None:
    batch = windows(seed)
    moved = replace(batch, past=a * batch.past + b, future=a * batch.future + b)
    one, two = read(batch), read(moved)
    # Rounding of a·y + b in float64, as seen in the scaled units, and then of float32.
    tolerance = 1e-5 + 1e-14 * abs(b) / a
    for name in ("steps", "future", "window", "anchor", "target"):
        torch.testing.assert_close(getattr(two, name), getattr(one, name), atol=tolerance, rtol=1e-5)
    torch.testing.assert_close(two.scale, a * one.scale, rtol=1e-4, atol=1e-9)


@given(st.floats(1, 1e3), st.integers(0, 100))
def test_counts_are_scaled_but_never_shifted(a: float, seed: int) -> None:
    features = replace(FEATURES, centred=False)
    values = np.random.default_rng(seed).poisson(9.0, (2, features.reach + 5)).astype(np.float64)
    past, future = values[:, : features.reach], values[:, features.reach :]
    one, two = read(batch_of(past, future), features), read(batch_of(a * past, a * future), features)
    for name in ("steps", "future", "window", "anchor", "target"):
        torch.testing.assert_close(getattr(two, name), getattr(one, name), atol=1e-5, rtol=1e-5)
    assert (one.window >= 0).all()


def test_a_huge_offset_costs_no_precision() -> None:
    steps = np.arange(FEATURES.reach + 5)[None]
    wave = np.sin(steps * np.pi / 2 + 0.3)
    far = wave + 1e9
    one = read(batch_of(wave[:, :16], wave[:, 16:]))
    two = read(batch_of(far[:, :16], far[:, 16:]))
    torch.testing.assert_close(two.window, one.window, atol=1e-6, rtol=0)
    torch.testing.assert_close(two.target, one.target, atol=1e-6, rtol=0)


@pytest.mark.parametrize("season", [0, 4])
def test_the_future_changes_no_bit_of_what_is_read(season: int) -> None:
    features = replace(FEATURES, anchor=season)
    batch = windows()
    noise = np.random.default_rng(9).normal(scale=1e6, size=batch.future.shape)
    for future in (noise, np.full_like(noise, np.nan), batch.future * 1e300):
        other = replace(batch, future=future)
        assert same(read(batch, features), read(other, features))
        for one, two in zip(features.scaling(batch.past), features.scaling(other.past), strict=True):
            assert np.array_equal(one, two)


def test_every_value_of_the_past_is_read() -> None:
    batch = windows()
    for place in range(FEATURES.reach):
        past = batch.past.copy()
        past[:, place] += 0.5
        assert not torch.equal(read(batch).window, read(replace(batch, past=past)).window), place


def test_the_last_observation_moves_the_anchor() -> None:
    batch, features = windows(), replace(FEATURES, anchor=0)
    past = batch.past.copy()
    past[:, -1] += 1.0
    location, scale = features.scaling(past)
    found = read(replace(batch, past=past), features).anchor
    expected = np.broadcast_to((past[:, -1:] - location) / scale, (3, 5))
    torch.testing.assert_close(found, torch.from_numpy(expected.astype(np.float32)))


def test_the_seasonal_anchor_is_the_last_season_over_and_over() -> None:
    past = np.arange(16.0)[None]
    location, scale = FEATURES.scaling(past)
    found = read(batch_of(past, np.zeros((1, 5)))).anchor.numpy() * scale + location
    np.testing.assert_allclose(found, [[12, 13, 14, 15, 12]], atol=1e-5)


def test_the_lag_at_each_step_is_the_value_one_season_before() -> None:
    past = np.arange(16.0)[None]
    location, scale = FEATURES.scaling(past)
    lags = read(batch_of(past, np.zeros((1, 5)))).steps[0, :, 2].numpy() * scale[0] + location[0]
    np.testing.assert_allclose(lags, np.arange(12.0), atol=1e-5)


@pytest.mark.parametrize("place", [5, 10, 15])
def test_a_missing_value_is_masked_and_never_filled_from_its_neighbours(place: int) -> None:
    batch = windows()
    holed = batch.past.copy()
    holed[:, place] = np.nan
    found = read(replace(batch, past=holed))
    location, scale = FEATURES.scaling(holed)
    np.testing.assert_allclose(location, np.nanmean(holed[:, 4:], axis=1, keepdims=True))
    expected = (holed - location) / scale
    others = np.arange(16) != place
    np.testing.assert_allclose(found.window.numpy()[:, others], expected[:, others], atol=1e-5)
    assert (found.window[:, place] == 0).all()
    mask = np.ones(12)
    mask[place - 4] = 0
    np.testing.assert_array_equal(found.steps[..., 1].numpy(), np.broadcast_to(mask, (3, 12)))


def test_the_value_under_a_mask_cannot_be_told() -> None:
    """Two pasts that differ only where both are then blanked give the same bits."""
    one, two = windows().past.copy(), windows().past.copy()
    two[:, 8] += 100
    one[:, 8] = two[:, 8] = np.nan
    future = windows().future
    assert same(read(batch_of(one, future)), read(batch_of(two, future)))


def test_where_the_last_values_are_missing_the_last_known_one_counts() -> None:
    past = windows().past.copy()
    past[:, -2:] = np.nan
    features = replace(FEATURES, anchor=0)
    location, scale = features.scaling(past)
    found = read(batch_of(past, np.zeros((3, 5))), features).anchor.numpy()
    expected = np.broadcast_to((past[:, -3:-2] - location) / scale, (3, 5))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def of_future(
    found: Inputs, location: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What is offered of the future, in the user's units: last, a season ago, mean of the season, of the
    phase; and the spread of the phase."""
    values = found.future.numpy().astype(np.float64)
    values[..., :-1] = values[..., :-1] * scale[..., None] + location[..., None]
    values[..., -1] *= scale
    return values


@pytest.mark.parametrize("centred", [True, False])
def test_a_missing_season_is_the_last_known_value_of_its_phase(centred: bool) -> None:
    features = replace(FEATURES, centred=centred)
    past = np.arange(20.0, 36.0)[None].copy()
    past[0, [8, 12, 13]] = np.nan  # phase 0 is known 12 steps ago, phase 1 8 steps ago
    location, scale = features.scaling(past)
    found = read(batch_of(past, np.zeros((1, 5))), features)
    expected = [[24.0, 29.0, 34.0, 35.0, 24.0]]
    np.testing.assert_allclose(found.anchor.numpy() * scale + location, expected, rtol=1e-6)
    np.testing.assert_allclose(of_future(found, location, scale)[..., 1], expected, rtol=1e-6)


def test_a_phase_without_any_value_is_the_last_known_value() -> None:
    past = np.arange(20.0, 36.0)[None].copy()
    past[0, 1::4] = np.nan
    location, scale = FEATURES.scaling(past)
    found = read(batch_of(past, np.zeros((1, 5))))
    np.testing.assert_allclose(found.anchor.numpy() * scale + location, [[32, 35, 34, 35, 32]], rtol=1e-6)
    # Nothing is known of the cycles of this phase, nor is anything said of them.
    assert found.future[0, 1, 3:].tolist() == [0, 0]


@given(st.integers(0, 10_000), st.floats(0.05, 0.9), st.booleans())
def test_what_is_offered_of_the_future_is_of_known_values_only(
    seed: int, share: float, centred: bool
) -> None:
    features = replace(FEATURES, centred=centred)
    draws = np.random.default_rng(seed)
    past = draws.uniform(49, 51, size=(4, 16))
    past[draws.random(past.shape) < share] = np.nan
    past[:, 5:7] = 49, 51  # values are known, and spread so far that none is cut off
    location, scale = features.scaling(past)
    found = of_future(read(batch_of(past, np.zeros((4, 5))), features), location, scale)
    np.testing.assert_allclose(found[..., 1], seasonal_naive(past, 5, 4), rtol=1e-5)
    for row, values in enumerate(past):
        season = values[-4:][~np.isnan(values[-4:])]
        level = season.mean() if len(season) else location[row, 0]
        np.testing.assert_allclose(found[row, :, 2], level, rtol=1e-5)
        for step in range(5):
            phase = values[step % 4 :: 4]
            phase = phase[~np.isnan(phase)]
            mean, spread = (phase.mean(), phase.std()) if len(phase) else (location[row, 0], 0)
            np.testing.assert_allclose(found[row, step, 3:], [mean, spread], rtol=1e-5, atol=1e-5)


def test_a_hole_in_one_window_changes_no_bit_of_the_others() -> None:
    batch = windows()
    holed = batch.past.copy()
    holed[1, [3, 13]] = np.nan
    one, two = read(batch), read(replace(batch, past=holed))
    for name in READ:
        kept, found = getattr(one, name), getattr(two, name)
        assert torch.equal(kept[[0, 2]], found[[0, 2]]), name


def test_an_unknown_target_stays_unknown() -> None:
    batch = windows()
    batch.future[1, 2] = np.nan
    target = read(batch).target
    assert torch.isnan(target[1, 2])
    assert int(torch.isnan(target).sum()) == 1


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize(
    "past",
    [
        np.full((1, 16), 7.0),
        np.full((1, 16), 0.0),
        np.full((1, 16), 0.1),
        np.full((1, 16), -1e12),
        np.full((1, 16), np.nan),
        np.r_[np.full(15, np.nan), 3.0][None],
        np.r_[3.0, np.full(15, np.nan)][None],
        np.r_[np.zeros(15), 1e15][None],
    ],
    ids=["seven", "zero", "tenth", "large", "empty", "padded", "context empty", "spike"],
)
def test_odd_windows_give_finite_inputs(past: NDArray[np.float64], centred: bool) -> None:
    features = replace(FEATURES, centred=centred)
    found = read(batch_of(past, np.zeros((1, 5))), features)
    for each in fields(found):
        assert torch.isfinite(getattr(found, each.name)).all(), each.name
    location, scale = features.scaling(past)
    assert np.isfinite(location).all()
    assert (scale > 0).all()


def test_a_constant_window_is_scaled_by_its_size_and_not_by_rounding() -> None:
    location, scale = FEATURES.scaling(np.full((1, 16), 0.1))
    assert location[0, 0] == pytest.approx(0.1)
    assert scale[0, 0] == pytest.approx(1e-4)
    assert FEATURES.scaling(np.zeros((1, 16)))[1][0, 0] == 1.0


def test_covariates_and_static_values_stand_behind_the_own_ones() -> None:
    batch = replace(
        windows(),
        past_covariates=np.full((3, 16, 2), 5, np.float32),
        future_covariates=np.full((3, 5, 1), 6, np.float32),
        static=np.array([[7], [8], [np.nan]], np.float32),
    )
    batch.past_covariates[0, 10, 1] = np.nan
    found = read(batch)
    assert found.steps.shape[2] == FEATURES.step_size + 3
    assert found.steps[1, 0, -3:].tolist() == [5, 5, 8]
    assert found.steps[0, 6, -3:].tolist() == [5, 0, 7]  # a missing covariate reads as its mean
    assert found.future[2, 0, -2:].tolist() == [6, 0]
