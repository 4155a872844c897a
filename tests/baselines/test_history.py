"""What a model that is fitted to one series is shown of it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from longspan.baselines.base import Unsuited
from longspan.baselines.history import heard, make_ready, one_thread
from longspan.core.errors import InputError

NAN = float("nan")


def ready(history, origins, season: int = 1, centred: bool = True):
    return make_ready(
        np.asarray(history, dtype=float), np.asarray(origins), 2, season, "here", centred=centred
    )


def test_the_scale_is_of_the_values_before_the_first_origin() -> None:
    history = np.concatenate([np.arange(20.0), np.full(20, 1e6)])
    found = ready(history, [25, 20])
    assert (found.first, found.origins.tolist()) == (20, [25, 20])
    assert (found.centre, found.unit) == (9.5, pytest.approx(np.arange(20.0).std()))
    np.testing.assert_allclose(found.values * found.unit + found.centre, history[:25])
    assert ready(history, [20], centred=False).centre == 0


@pytest.mark.parametrize(("season", "kept"), [(1, 1000), (24, 1000), (168, 1680)])
def test_a_long_history_is_cut(season: int, kept: int) -> None:
    history = np.random.default_rng(0).normal(size=4000)
    found = ready(history, [3000, 3100], season)
    assert (found.first, len(found.values)) == (kept, kept + 100)
    np.testing.assert_allclose(found.values * found.unit + found.centre, history[3000 - kept : 3100])


def test_gaps_take_the_value_of_a_season_before() -> None:
    history = [NAN, NAN, 1, 2, NAN, 4, 5, 6, 7, NAN, NAN, 10, 11, 12, NAN, 14, 13]
    found = ready(history, [16], season=3)
    filled = found.filled * found.unit + found.centre
    np.testing.assert_allclose(filled, [1, 2, 2, 4, 5, 6, 7, 5, 6, 10, 11, 12, 10, 14])
    assert np.isnan(found.values).sum() == 4
    assert found.notes == ("4 of 14 values are missing",)


def test_without_two_seasons_there_is_none() -> None:
    found = ready(np.arange(24.0), [24], season=12)
    assert found.season == 1
    assert found.notes == ("without a season: there are not two of 12 steps before the first origin",)
    assert ready(np.arange(25.0), [25], season=12).season == 12


@pytest.mark.parametrize(
    ("history", "text"),
    [
        (np.arange(9.0), "it has 9 known values before the first origin, and 10 are needed"),
        (np.full(12, NAN), "it has 0 known values before the first origin, and 10 are needed"),
        (np.full(12, 0.1), "all its values before the first origin are 0.1, and nothing can be estimated"),
        (
            np.where(np.arange(40) % 4 == 0, np.arange(40.0), NAN),
            "27 of its 37 values before the first origin are missing",
        ),
    ],
)
def test_what_no_model_can_be_fitted_to(history, text: str) -> None:
    with pytest.raises(Unsuited) as caught:
        ready(history, [len(history) - 3 if len(history) == 40 else len(history)])
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("history", "origins", "text"),
    [
        (np.zeros((2, 3)), [1], "here: expected past of shape (B, C) with C of at least 1, got (1, 2, 3)"),
        (np.full(12, np.inf), [12], "here: expected finite values or NaN (missing) in past, got an infinity"),
        (np.arange(12.0), [], "here: expected origins as whole numbers of shape (k,), got array([]"),
        (np.arange(12.0), [1.5], "here: expected origins as whole numbers of shape (k,), got array([1.5])"),
        (np.arange(12.0), [0, 12], "here: expected origins in 1 … 12, got 0 … 12"),
        (np.arange(12.0), [11, 13], "here: expected origins in 1 … 12, got 11 … 13"),
    ],
)
def test_refusals(history, origins, text: str) -> None:
    with pytest.raises(InputError) as caught:
        ready(history, origins)
    assert str(caught.value).startswith(text)


def test_forecasts_go_back_to_the_unit_and_what_is_not_finite_is_said() -> None:
    found = ready(np.arange(10.0, 30.0), [18, 19, 20])
    forecast = found.forecast(np.array([[0.0, 1.0], [NAN, 1.0], [1.0, np.inf]]), "model", ("careful",))
    np.testing.assert_allclose(forecast.values[0], [found.centre, found.centre + found.unit])
    assert np.isnan(forecast.values[1:]).all()
    assert forecast.form == "model on the last 18 values"
    assert forecast.notes == ("careful", "no finite forecast from 2 of 3 origins")


def test_warnings_become_notes_once_each() -> None:
    notes = ["said before"]
    with heard(notes):
        for _ in range(2):
            warnings.warn("it did\n not converge", UserWarning, stacklevel=1)
        warnings.warn("said before", RuntimeWarning, stacklevel=1)
        np.log(np.zeros(1))
    assert notes == ["said before", "it did not converge"]


def test_linear_algebra_is_on_one_thread_only_inside() -> None:
    def threads() -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with one_thread():
            assert threads() == {1}
        assert threads() == before
