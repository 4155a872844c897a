"""The well-known case study: its simple forecasts and its feeding back by hand, and the study in small."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from longspan.studies.course import Course, run_study
from longspan.studies.study import Scale
from longspan.studies.timeseries_case import CASES, NETWORKS, STRIDE, STUDIES, WINDOW
from longspan.studies.timeseries_case_work import (
    SeriesWindows,
    Split,
    _trained,
    fed_back,
    naive,
    one_step,
    split,
)


def last_value(x: Tensor) -> Tensor:
    """A network that predicts the last value it reads."""
    return x[:, -1]


def one_more(x: Tensor) -> Tensor:
    """A network that predicts one hundredth more than the last value."""
    return x[:, -1] + 0.01


def test_a_network_that_repeats_the_last_value_is_the_naive_forecast() -> None:
    draws = np.random.default_rng(0)
    parts = Split(draws.uniform(50, 90, 300), draws.uniform(50, 90, 260))
    simple = naive(parts, 1)
    known = WINDOW - 1
    assert one_step(last_value, parts.test, True) == pytest.approx(simple["point"], rel=1e-5)  # type: ignore[arg-type]
    whole = fed_back(last_value, parts.test[None, :known], 260 - known, True)  # type: ignore[arg-type]
    assert whole[0] == pytest.approx(simple["whole"], rel=1e-5)
    starts = parts.test[np.arange(4)[:, None] * STRIDE + np.arange(known)]
    multiple = fed_back(last_value, starts, STRIDE, True)  # type: ignore[arg-type]
    assert multiple.ravel() == pytest.approx(simple["multiple"], rel=1e-5)


def test_the_seasonal_forecast_of_a_season_is_exact() -> None:
    wave = np.sin(2 * np.pi * np.arange(600) / 100)
    parts = Split(wave[:300], wave[300:])
    for way, values in naive(parts, 100).items():
        wanted = parts.test[WINDOW - 1 :][: len(values)]
        assert values == pytest.approx(wanted, abs=1e-9), way


def test_no_simple_forecast_looks_ahead() -> None:
    parts = Split(np.arange(200.0), np.arange(200.0, 400.0))
    for lag in (1, 5, 100):
        simple = naive(parts, lag)
        first = 200 + WINDOW - 1
        assert (simple["point"] < first + np.arange(len(simple["point"]))).all()
        assert (simple["whole"] < first).all()
        assert (simple["multiple"] < np.repeat(first + np.arange(3) * STRIDE, STRIDE)).all()


def test_what_is_predicted_is_read_again_in_its_own_scale() -> None:
    starts = np.array([np.full(WINDOW - 1, 200.0), np.full(WINDOW - 1, 10.0)])
    found = fed_back(one_more, starts, 3, True)  # type: ignore[arg-type]
    assert found == pytest.approx(np.array([[202.0, 204.0, 206.0], [10.1, 10.2, 10.3]]), rel=1e-5)
    assert fed_back(one_more, starts[1:], 2, False) == pytest.approx(np.array([[10.01, 10.02]]))  # type: ignore[arg-type]


@given(st.integers(0, 2**32), st.booleans())
def test_a_window_is_of_the_series_and_begins_with_nothing_where_it_is_relative(
    seed: int, relative: bool
) -> None:
    values = np.random.default_rng(1).uniform(10, 20, 80)
    drawn = SeriesWindows(values, relative).draw(4, np.random.default_rng(seed))
    assert drawn.x.shape == (4, WINDOW - 1, 1) and drawn.target.shape == (4, 1)
    windows = np.concatenate([drawn.x[..., 0], drawn.target], axis=1)
    every = np.lib.stride_tricks.sliding_window_view(values, WINDOW)
    every = every / every[:, :1] - 1 if relative else every
    assert all(np.abs(every - window).max(axis=1).min() < 1e-5 for window in windows)


@pytest.mark.data
def test_the_series_are_those_of_the_case_study(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSPAN_DATA", str(shared_data))
    sine, index = (split(case) for case in CASES)
    assert (len(sine.train), len(sine.test)) == (4_000, 1_001)
    assert len(index.train) == int(len(np.concatenate(index)) * 0.85) and index.train.min() > 500
    one_period_apart = naive(sine, 100)["point"] - sine.test[WINDOW - 1 :]
    assert float(np.abs(one_period_apart).max()) < 0.05


@pytest.mark.data
def test_a_smoke_run_shows_everything_and_claims_nothing(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGSPAN_DATA", str(shared_data))
    outcome = run_study(STUDIES[0], Scale((7,), smoke=True))
    assert outcome.verdict == "smoke" and not outcome.left_out
    assert all(math.isfinite(each.ours) for each in outcome.findings.figures if each.ours is not None)
    assert len(outcome.findings.charts) == 3 * len(CASES)
    assert len(outcome.findings.tables[0].rows) == len(CASES) * (len(NETWORKS) + 2)
    assert torch.is_grad_enabled()
    json.dumps(outcome.to_json(), allow_nan=False)


@pytest.mark.data
def test_an_lstm_that_reads_its_own_predictions_goes_on_with_the_wave(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGSPAN_DATA", str(shared_data))
    parts = split(CASES[0])
    record = _trained(Course(Scale((0,))), CASES[0], parts, "lstm", 0, None)
    assert record["errors"]["whole"] <= 0.5 * parts.test.std()
    assert record["errors"]["point"] <= record["errors"]["whole"]


@pytest.mark.data
def test_the_whole_study_reproduces(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every seed of both networks on both series: it takes less than two minutes."""
    monkeypatch.setenv("LONGSPAN_DATA", str(shared_data))
    outcome = run_study(STUDIES[0], Scale(tuple(range(STUDIES[0].seeds))))
    assert outcome.verdict == "reproduced", outcome.sentence
    assert not outcome.left_out
