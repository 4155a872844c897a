"""Generated series follow their law and their seed."""

from __future__ import annotations

import numpy as np
import pytest
from polars.testing import assert_frame_equal

from longspan.core.errors import InputError
from longspan.data.synthetic import counts, random_walk, seasonal_panel, sine


@pytest.mark.parametrize("make", [sine, random_walk, seasonal_panel, counts])
def test_the_seed_decides(make) -> None:  # type: ignore[no-untyped-def]
    assert_frame_equal(make(seed=3), make(seed=3))
    if make is not sine:
        assert not make(seed=3).equals(make(seed=4))


def test_a_sine_repeats_after_its_period() -> None:
    values = sine(300, 100)["value"].to_numpy()
    np.testing.assert_allclose(values[100:], values[:-100], atol=1e-12)
    assert abs(values).max() == pytest.approx(1.0)


def test_the_steps_of_a_random_walk_have_the_drift_and_the_scale() -> None:
    steps = np.diff(random_walk(20_000, drift=0.5, scale=2.0)["value"].to_numpy())
    assert steps.mean() == pytest.approx(0.5, abs=0.05)
    assert steps.std() == pytest.approx(2.0, abs=0.05)


def test_counts_are_whole_and_have_the_dispersion() -> None:
    values = counts(50, 700, 7, mean=4.0)["value"].to_numpy()
    assert values.dtype == np.int64
    assert values.min() >= 0
    assert values.var() > values.mean() * 1.5


def test_a_seasonal_panel_without_noise_and_trend_repeats() -> None:
    values = seasonal_panel(3, 96, 24, trend=0.0, noise=0.0)["value"].to_numpy().reshape(3, 96)
    np.testing.assert_allclose(values[:, 24:], values[:, :-24], atol=1e-9)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="length: expected a number above 0, got 0"):
        sine(0)
