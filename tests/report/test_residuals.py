from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.report.residuals import (
    autocorrelation,
    autocorrelation_chart,
    residual_histogram,
    residuals_over_time,
)
from longspan.report.svg import svg_text

NAN = float("nan")


def _axes(figure):
    (axes,) = figure.axes
    return axes


def test_an_autoregression_decays_by_its_coefficient() -> None:
    """AR(1): ρ_k = φ^k (Box and Jenkins)."""
    draw = np.random.default_rng(0)
    values = np.zeros((40, 500))
    for t in range(1, 500):
        values[:, t] = 0.7 * values[:, t - 1] + draw.normal(size=40)
    found, width = autocorrelation(values, 5)
    np.testing.assert_allclose(found, 0.7 ** np.arange(1, 6), atol=0.03)
    np.testing.assert_allclose(width, 1.96 / np.sqrt(40 * (500 - np.arange(1, 6))))


def test_a_season_comes_back_at_its_length() -> None:
    found, _ = autocorrelation(np.sin(2 * np.pi * np.arange(480) / 24)[None], 24)
    assert found[23] == pytest.approx(1, abs=0.02)
    assert found[11] == pytest.approx(-1, abs=0.02)


def test_noise_stays_inside_its_interval_as_often_as_it_says() -> None:
    draw = np.random.default_rng(1)
    inside = []
    for _ in range(40):
        found, width = autocorrelation(draw.normal(size=(1, 1000)), 25)
        inside.extend(np.abs(found) <= width)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


def test_gaps_do_not_draw_it_to_zero() -> None:
    draw = np.random.default_rng(2)
    values = np.zeros((500, 400))
    for t in range(1, 400):
        values[:, t] = 0.8 * values[:, t - 1] + draw.normal(size=500)
    values[draw.random(values.shape) < 0.5] = NAN
    found, width = autocorrelation(values, 1)
    assert found[0] == pytest.approx(0.8, abs=0.03)
    pairs = int((~np.isnan(values[:, 1:]) & ~np.isnan(values[:, :-1])).sum())
    assert width[0] == pytest.approx(1.96 / np.sqrt(pairs))


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3), st.integers(0, 100))
def test_scale_and_shift_do_not_change_it(scale: float, shift: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(3, 30))
    one, _ = autocorrelation(values, 5)
    other, _ = autocorrelation(scale * values + shift, 5)
    np.testing.assert_allclose(other, one, atol=1e-7)


def test_nothing_to_say_is_not_a_number() -> None:
    found, width = autocorrelation(np.full((2, 5), 3.0), 8)
    assert np.isnan(found).all()
    assert np.isnan(width).tolist() == [False] * 4 + [True] * 4
    assert np.isnan(autocorrelation(np.full((2, 5), NAN), 3)[0]).all()
    with pytest.raises(InputError, match=r"expected residuals of shape \(N, T\), got \(5,\)"):
        autocorrelation(np.zeros(5), 2)


def test_dots_of_many_residuals_are_an_even_part() -> None:
    values = np.arange(10_000.0)
    values[:5000] = NAN
    dots = _axes(residuals_over_time(np.arange(10_000), values, "error")).lines[1]
    assert len(dots.get_xdata()) == 500
    assert (dots.get_xdata()[0], dots.get_xdata()[-1]) == (5000, 9999)
    few = _axes(residuals_over_time(np.arange(3), [1.0, NAN, -1.0], "error")).lines[1]
    np.testing.assert_array_equal(few.get_xydata(), [(0, 1.0), (2, -1.0)])
    with pytest.raises(InputError, match=r"expected residuals of shape \(3,\), got \(2,\)"):
        residuals_over_time(np.arange(3), [1.0, 2.0], "error")


def test_a_histogram_counts_all_but_the_outermost() -> None:
    values = np.concatenate((np.random.default_rng(0).normal(size=998), [1e6, NAN]))
    axes = _axes(residual_histogram(values, "error"))
    heights = [bar.get_height() for bar in axes.patches]
    assert sum(heights) == pytest.approx(999 * 0.99, abs=2)
    assert axes.get_xlim()[1] > 1000, "the mean is drawn where it is"
    assert len(_axes(residual_histogram([NAN, NAN], "error")).patches) == 0
    assert svg_text(residual_histogram([2.0, 2.0], "用电量"), "equal").startswith("<svg")


def test_correlations_are_drawn_with_noise_and_seasons() -> None:
    found, width = np.array([0.6, 0.1, NAN, 0.5]), np.full(4, 0.2)
    axes = _axes(autocorrelation_chart(found, width, season=2))
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == pytest.approx([0.4] * 4 + [0.6, 0.1, 0, 0.5])
    marks = [line.get_xdata()[0] for line in axes.lines if line.get_xdata()[0] == line.get_xdata()[1]]
    assert marks == [2, 4]
    assert axes.get_ylim() == pytest.approx((-0.72, 0.72))
    small = _axes(autocorrelation_chart(np.full(4, 0.01), np.full(4, 0.02)))
    assert small.get_ylim()[1] == pytest.approx(0.3), "what is small looks small"
