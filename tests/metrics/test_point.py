from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from longspan.baselines.naive import seasonal_naive
from longspan.core.errors import InputError
from longspan.metrics.point import by_horizon, mae, mase, mse, rmse, seasonal_scale, smape
from longspan.metrics.quantiles import weighted_quantile_loss

NAN = float("nan")
ACTUAL = np.array([[1.0, 2.0, NAN], [4.0, NAN, 0.0]])
FORECAST = np.array([[2.0, 4.0, 9.0], [1.0, 9.0, 0.0]])

numbers = st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """An actual, with at least one known value, and a forecast."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 5)))
    actual = draw(arrays.arrays(np.float64, shape, elements=numbers | st.just(NAN)))
    actual.flat[0] = draw(numbers)
    return actual, draw(arrays.arrays(np.float64, shape, elements=numbers))


def test_scores_by_hand() -> None:
    # Errors of the four known values: 1, 2, 3, 0.
    assert mae(ACTUAL, FORECAST) == 1.5
    assert mse(ACTUAL, FORECAST) == 3.5
    assert rmse(ACTUAL, FORECAST) == math.sqrt(3.5)
    # 200 · (1/3 + 2/6 + 3/5 + 0/0 taken as 0) / 4
    assert smape(ACTUAL, FORECAST) == pytest.approx(200 * (1 / 3 + 1 / 3 + 3 / 5) / 4)
    # scales 2 and 3: (1/2 + 2/2 + 3/3 + 0) / 4
    assert mase(ACTUAL, FORECAST, np.array([2.0, 3.0])) == pytest.approx(2.5 / 4)


def test_by_horizon_by_hand() -> None:
    np.testing.assert_allclose(by_horizon(mae, ACTUAL, FORECAST), [2.0, 2.0, 0.0])
    np.testing.assert_allclose(by_horizon(mase, ACTUAL, FORECAST, [2.0, 3.0]), [0.75, 1.0, 0.0])
    np.testing.assert_array_equal(by_horizon(mse, [[NAN, 1.0]], [[1.0, 3.0]]), [NAN, 4.0])


def test_by_horizon_takes_scores_of_quantiles() -> None:
    steps = by_horizon(weighted_quantile_loss, [[2.0, 4.0]], [[[1.0], [4.0]]], [0.5])
    np.testing.assert_allclose(steps, [0.5, 0.0])


def test_unknown_values_are_never_counted() -> None:
    changed = np.where(np.isnan(ACTUAL), 1e9, FORECAST)
    unknown = np.where(np.isnan(ACTUAL), NAN, FORECAST)
    for forecast in (changed, unknown):
        assert mae(ACTUAL, forecast) == mae(ACTUAL, FORECAST)
        assert smape(ACTUAL, forecast) == smape(ACTUAL, FORECAST)
        assert mase(ACTUAL, forecast, [2.0, 3.0]) == mase(ACTUAL, FORECAST, [2.0, 3.0])


@pytest.mark.parametrize("metric", [mae, mse, rmse, smape])
def test_nothing_known_is_no_score(metric) -> None:
    assert math.isnan(metric([[NAN, NAN]], [[1.0, 2.0]]))


def test_integers_do_not_overflow() -> None:
    assert mse(np.array([[100]], dtype=np.int8), np.array([[-100]], dtype=np.int8)) == 40_000


@given(pairs(), st.floats(0.01, 1000))
def test_scale_equivariance(pair, factor: float) -> None:
    actual, forecast = pair
    near = {"rel": 1e-9, "abs": 1e-9}
    assert mae(factor * actual, factor * forecast) == pytest.approx(factor * mae(actual, forecast), **near)
    assert rmse(factor * actual, factor * forecast) == pytest.approx(factor * rmse(actual, forecast), **near)
    assert smape(factor * actual, factor * forecast) == pytest.approx(smape(actual, forecast), **near)


@given(pairs())
def test_smape_is_symmetric_and_bounded(pair) -> None:
    actual, forecast = pair
    forecast_as_actual = np.where(np.isnan(actual), NAN, forecast)
    assert smape(forecast_as_actual, actual) == pytest.approx(smape(actual, forecast))
    assert 0 <= smape(actual, forecast) <= 200 * (1 + 1e-12)
    assert smape(actual, np.where(np.isnan(actual), 0, actual)) == 0


@given(pairs())
def test_mae_is_at_most_rmse(pair) -> None:
    assert mae(*pair) <= rmse(*pair) * (1 + 1e-12)


def test_smape_of_the_wrong_sign_is_200() -> None:
    assert smape([[3.0]], [[-5.0]]) == 200


def test_seasonal_scale_by_hand() -> None:
    history = [[1.0, 5.0, 2.0, 9.0], [NAN, 5.0, 2.0, 9.0], [NAN, 5.0, NAN, NAN]]
    np.testing.assert_array_equal(seasonal_scale(history, 2), [2.5, 4.0, NAN])
    assert seasonal_scale([1.0, 3.0, 2.0], 1) == 1.5


@pytest.mark.parametrize("season", [4, 5, 100])
def test_a_history_no_longer_than_a_season_has_no_scale(season: int) -> None:
    assert np.isnan(seasonal_scale([[1.0, 5.0, 2.0, 9.0]], season)).all()


def test_a_constant_history_has_no_scale_and_is_left_out() -> None:
    scale = seasonal_scale([[3.0, 3.0, 3.0], [1.0, 2.0, 3.0]], 1)
    np.testing.assert_array_equal(scale, [NAN, 1.0])
    assert mase([[3.0], [4.0]], [[9.0], [6.0]], scale) == 2.0


@pytest.mark.parametrize("size", [1.0, 1e-9, 1e9])
def test_a_history_that_is_constant_but_for_rounding_has_no_scale(size: float) -> None:
    history = size * np.array([0.3, 0.1 + 0.2, 0.3, 0.1 * 3, NAN, 0.3])
    assert len(set(history[:4])) == 2
    assert np.isnan(seasonal_scale(history, 1))
    assert np.isnan(mase([[size]], [[2 * size]], seasonal_scale([history], 1)))


def test_a_history_that_changes_a_little_has_a_scale() -> None:
    history = 1e6 + np.array([[0.0, 1e-4, 0.0, 1e-4], [NAN, 0.0, -1e-4, 0.0]])
    np.testing.assert_allclose(seasonal_scale(history, 1), [1e-4, 1e-4], rtol=1e-5)
    assert seasonal_scale([0.0, 1e-300, 0.0], 1) == 1e-300


@given(
    history=arrays.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(8, 20)), elements=numbers),
    season=st.integers(1, 7),
    factor=st.floats(0.01, 100),
)
def test_mase_of_the_seasonal_naive_in_its_own_past_is_one(history, season: int, factor: float) -> None:
    history = history + np.arange(history.shape[1]) ** 2  # no constant histories
    scale = seasonal_scale(history, season)
    for row, own in zip(history, scale, strict=True):
        if not np.isnan(own):
            assert mase([row[season:]], [row[:-season]], [own]) == pytest.approx(1)
    np.testing.assert_allclose(seasonal_scale(factor * history, season), factor * scale, rtol=1e-9)


@given(st.integers(1, 5), st.integers(0, 6))
def test_padding_on_the_left_leaves_the_scale(season: int, padding: int) -> None:
    history = np.sin(np.arange(12.0) ** 2)
    padded = np.concatenate((np.full(padding, NAN), history))
    assert seasonal_scale(padded, season) == pytest.approx(seasonal_scale(history, season), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: mae([1.0], [1.0]), "mae: expected actual of shape (B, H), got (1,)"),
        (
            lambda: mae([[1.0, 2.0]], [[1.0], [2.0]]),
            "mae: expected forecast of shape (B, H) = (1, 2), got (2, 1)",
        ),
        (
            lambda: smape([[1.0, 2.0]], [[1.0, NAN]]),
            "smape: expected a finite forecast wherever the actual is known, got nan at window 0, step 1",
        ),
        (
            lambda: mse([[math.inf]], [[1.0]]),
            "mse: expected finite values or NaN (unknown) in actual, got inf",
        ),
        (lambda: mase([[1.0]], [[1.0]], [0.0]), "mase: expected scales above zero, or NaN where"),
        (lambda: mase([[1.0]], [[1.0]], 2.0), "mase: expected scale of shape (B,) = (1,), got ()"),
        (
            lambda: seasonal_scale([1.0, 2.0], 0),
            "seasonal_scale: expected season of at least 1, got 0",
        ),
        (lambda: seasonal_scale([1.0, math.inf], 1), "seasonal_scale: expected finite values or NaN"),
        (
            lambda: seasonal_scale(3.0, 1),
            "seasonal_scale: expected history of shape (..., C), got one number",
        ),
        (lambda: by_horizon(mae, [[1.0]], [[1.0, 2.0]]), "by_horizon: expected actual (B, H) and forecast"),
    ],
)
def test_refusals_say_what_was_expected_and_got(call, text: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert text in str(caught.value)


def _m4_rows(path: Path) -> list[np.ndarray]:
    packed = path.read_bytes()
    text = (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode()
    rows = list(csv.reader(text.splitlines()))[1:]
    return [np.array([float(cell) for cell in row[1:] if cell]) for row in rows]


@pytest.mark.data
def test_m4_hourly_seasonal_naive_as_published(shared_data: Path) -> None:
    folder = shared_data / "timeseries" / "m4"
    train, test = _m4_rows(folder / "Hourly-train.csv.gz"), np.stack(_m4_rows(folder / "Hourly-test.csv"))
    longest = max(len(row) for row in train)
    past = np.stack([np.pad(row, (longest - len(row), 0), constant_values=NAN) for row in train])
    forecast = seasonal_naive(past, 48, 24)
    assert round(smape(test, forecast), 3) == 13.912
    assert round(mase(test, forecast, seasonal_scale(past, 24)), 3) == 1.193
