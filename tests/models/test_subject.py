"""Subjects: what is cut is gone, what is scrambled is another's, and gradients reach all of the past."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from longspan.core.errors import DataError, InputError
from longspan.data.frequency import Frequency
from longspan.data.problems.base import Examples
from longspan.data.windows import Windows
from longspan.models.design import Design, build_forecaster
from longspan.models.features import WindowFeatures
from longspan.models.forecast_subject import (
    ForecastSubject,
    Training,
    inputs_of,
    last_windows,
    past_of,
    step_meaning,
)
from longspan.models.forecaster import mean_loss
from longspan.models.forecasting import forecast_all
from longspan.models.reader import Reader
from longspan.models.subject import ReaderSubject, StepMeaning, fresh, spread_rows, with_encoder
from longspan.nn.encoders import build_encoder
from longspan.training.settings import Settings

CPU = torch.device("cpu")


def test_words_of_a_step() -> None:
    hour = StepMeaning("hour", 3600.0)
    assert hour.words(31) == "31 steps (1.3 days)"
    assert hour.words(1) == "1 step (1 hour)"
    assert hour.words(0) == "0 steps"
    assert StepMeaning().words(31) == "31 steps"
    assert StepMeaning("month", 365.2425 * 86400 / 12).words(240) == "240 steps (20 years)"
    assert hour.time(2.5) == "2.5 hours"
    assert step_meaning(Frequency.parse("15min")) == StepMeaning("15 minutes", 900.0)
    assert step_meaning(Frequency.parse("row")) == StepMeaning()


def test_rows_are_spread_evenly() -> None:
    assert spread_rows(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert spread_rows(101, 5).tolist() == [0, 25, 50, 75, 100]


def ragged(count: int = 5, seed: int = 0) -> ReaderSubject:
    draws = np.random.default_rng(seed)
    lengths = draws.integers(2, 9, count)
    x = draws.normal(size=(count, 9, 2)).astype(np.float32)
    x[np.arange(9) >= lengths[:, None]] = 0.0
    torch.manual_seed(seed)
    reader = Reader(build_encoder("lstm", 2, 4), 3, "class")
    return ReaderSubject(reader, Examples(x, draws.integers(0, 3, count), lengths))


@given(st.integers(0, 10), st.integers(0, 100))
def test_a_cut_sequence_is_its_own_end(lag: int, seed: int) -> None:
    subject = ragged(seed=seed)
    batch = subject.batch(np.arange(5))
    cut = subject.cut(batch, lag)
    for row in range(5):
        end, kept = int(batch.ends[row]), int(cut.ends[row]) + 1
        assert kept == min(end + 1, lag + 1)
        torch.testing.assert_close(cut.x[row, :kept], batch.x[row, end + 1 - kept : end + 1])
        assert not cut.x[row, kept:].any()


@given(st.integers(0, 10), st.integers(0, 100))
def test_a_scrambled_sequence_ends_as_its_own_and_begins_as_another(lag: int, seed: int) -> None:
    subject = ragged(seed=seed)
    batch = subject.batch(np.arange(5))
    donors = np.roll(np.arange(5), 2)
    found = subject.scrambled(batch, lag, donors)
    for row, donor in enumerate(donors.tolist()):
        end, other = int(batch.ends[row]), int(batch.ends[donor])
        own, older = min(end + 1, lag + 1), max(0, other - lag)
        assert int(found.ends[row]) == own + older - 1
        torch.testing.assert_close(found.x[row, :older], batch.x[donor, :older])
        torch.testing.assert_close(found.x[row, older : older + own], batch.x[row, end + 1 - own : end + 1])
        assert not found.x[row, older + own :].any()


def test_removing_nothing_changes_nothing() -> None:
    subject = ragged()
    batch = subject.batch(np.arange(5))
    whole = subject.losses(batch)
    torch.testing.assert_close(subject.losses(subject.cut(batch, 8)), whole)
    torch.testing.assert_close(subject.losses(subject.scrambled(batch, 8, np.roll(np.arange(5), 1))), whole)


def test_a_reader_with_an_answer_at_every_step_is_judged_at_the_end() -> None:
    torch.manual_seed(0)
    reader = Reader(build_encoder("gru", 2, 4), 3, "class", every_step=True)
    x, lengths = torch.randn(2, 6, 2).numpy(), np.array([6, 3])
    target = np.arange(12).reshape(2, 6) % 3
    subject = ReaderSubject(reader, Examples(x, target, lengths))
    batch = subject.batch(np.arange(2))
    given_out = reader(batch.x, batch.lengths)
    torch.testing.assert_close(subject.outputs(batch), given_out[[0, 1], [5, 2]])
    assert batch.target.tolist() == [int(target[0, 5]), int(target[1, 2])]


def test_another_encoder_leaves_the_model_as_it_is() -> None:
    subject = ragged()
    before = subject.reader.encoder
    other = build_encoder("rnn", 2, 4)
    changed = subject.with_encoder(other)
    assert changed.encoder is other
    assert subject.reader.encoder is before
    assert changed.reader.output is subject.reader.output
    model = with_encoder(subject.reader, other)
    assert {id(p) for p in model.parameters()} >= {id(p) for p in subject.reader.output.parameters()}


def test_fresh_weights_are_drawn_anew_and_only_there() -> None:
    subject = ragged()
    kept = {name: each.clone() for name, each in subject.reader.state_dict().items()}
    new = subject.untrained(3).reader.state_dict()
    assert all(not torch.equal(new[name], kept[name]) for name in kept)
    assert all(torch.equal(each, kept[name]) for name, each in subject.reader.state_dict().items())
    assert all(
        torch.equal(each, new[name]) for name, each in subject.untrained(3).reader.state_dict().items()
    )

    class Stubborn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

    with pytest.raises(InputError, match=r"reset_parameters, which draws them anew; 'weight' has none"):
        fresh(Stubborn(), 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ("a",)}, r"expected 2 names of features, got 1"),
        ({"shown_row": 5}, r"expected shown_row from 0 to 4, got 5"),
        ({"output": 3}, r"expected output from 0 to 2, got 3"),
    ],
)
def test_a_reader_subject_refuses_what_does_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(ragged(), **options)


def holed(seed: int, count: int, share: float) -> np.ndarray:
    draws = np.random.default_rng(seed)
    values = np.sin(np.arange(count) / 3) + 0.3 * draws.normal(size=count)
    values[draws.random(count) < share] = np.nan
    values[-1] = 1.0
    return values


FORMS = [
    WindowFeatures(12, 5),
    WindowFeatures(12, 5, (4,), 4),
    WindowFeatures(10, 9, (4, 7), 0, window=30),
    WindowFeatures(6, 3, (6,), 6, centred=False),
]


@pytest.mark.parametrize("features", FORMS, ids=str)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.2, 0.6, 0.95]))
def test_what_is_derived_in_torch_is_what_the_features_derive(
    features, panel_of, seed: int, share: float
) -> None:
    panel = panel_of(holed(seed, 60, share))
    windows = Windows(
        panel, features.reach, features.horizon, 1, 60 - features.horizon, min_past=0, min_future=0
    )
    past = past_of(features, windows, np.arange(len(windows)), CPU)
    found = inputs_of(features, past)
    for name in ("steps", "future", "window", "anchor"):
        torch.testing.assert_close(
            getattr(found, name), getattr(past.inputs, name), rtol=1e-4, atol=2e-6, msg=name
        )


def forecast_subject(panel, features: WindowFeatures, **options: Any) -> ForecastSubject:
    design = Design(
        context=features.context,
        horizon=features.horizon,
        seasons=features.seasons,
        anchor=features.anchor,
        step_size=features.step_size,
        future_size=features.future_size,
        hidden_size=4,
        shortcut=features.window,
        **options,
    )
    torch.manual_seed(0)
    windows = last_windows(panel, design, 20)
    return ForecastSubject(build_forecaster(design), design, panel, windows)


@pytest.fixture
def subject(panel_of) -> ForecastSubject:
    return forecast_subject(panel_of(holed(1, 90, 0.0), holed(2, 90, 0.1)), FORMS[2])


@pytest.mark.parametrize("head", ["quantile", "student-t", "negative-binomial"])
@pytest.mark.parametrize("decoding", ["direct", "step"])
def test_gradients_reach_the_whole_past(head: str, decoding: str, panel_of) -> None:
    """Each gradient is the slope of the outputs, measured by moving that value."""
    centred = head != "negative-binomial"
    values = holed(3, 70, 0.1) if centred else np.random.default_rng(0).poisson(5, 70).astype(float)
    panel = panel_of(values)
    features = WindowFeatures(8, 3, (4,), 4, centred=centred)
    subject = forecast_subject(panel, features, head=head, decoding=decoding)
    subject.forecaster.double()
    batch = subject.batch(np.arange(2))
    double = {name: each.double() for name, each in vars(batch.inputs).items()}
    batch = replace(batch, inputs=type(batch.inputs)(**double), values=batch.values.double())
    batch = replace(batch, covariates=batch.covariates.double())
    sequence = subject.sequence(batch).requires_grad_()

    def total(given_sequence: torch.Tensor) -> torch.Tensor:
        return subject.outputs(subject.with_sequence(batch, given_sequence)).sum()

    (slope,) = torch.autograd.grad(total(sequence), sequence)
    assert slope.abs().sum() > 0
    for place in range(sequence.shape[1]):
        step = torch.zeros_like(sequence)
        step[0, place, 0] = 1e-5
        with torch.no_grad():
            measured = (total(sequence + step) - total(sequence - step)) / 2e-5
        assert slope[0, place, 0].item() == pytest.approx(measured.item(), rel=1e-3, abs=1e-7), place


def test_what_is_cut_can_be_anything(subject: ForecastSubject) -> None:
    batch = subject.batch(np.arange(6))
    for lag in (0, 3, 9, 15, subject.design.features.reach - 1):
        old = torch.arange(batch.values.shape[1]) < batch.values.shape[1] - 1 - lag
        spoilt = replace(batch, values=torch.where(old, torch.full_like(batch.values, 7.0), batch.values))
        torch.testing.assert_close(
            subject.losses(subject.cut(spoilt, lag)), subject.losses(subject.cut(batch, lag))
        )
        donors = np.roll(np.arange(6), 1)
        mixed = subject.scrambled(batch, lag, donors)
        torch.testing.assert_close(mixed.values[:, old], batch.values[donors][:, old])
        torch.testing.assert_close(mixed.values[:, ~old], batch.values[:, ~old])
    torch.testing.assert_close(subject.losses(subject.cut(batch, lag)), subject.losses(batch))


def test_losses_are_those_of_training(subject: ForecastSubject) -> None:
    batch = subject.batch(np.arange(1))
    expected = mean_loss(subject.forecaster, batch.inputs)
    torch.testing.assert_close(subject.losses(batch)[0], expected, rtol=1e-5, atol=1e-6)


def test_a_prediction_is_in_the_units_of_the_user(panel_of) -> None:
    panel = panel_of(100 + 10 * holed(1, 90, 0.0))
    subject = forecast_subject(panel, FORMS[1], head="student-t")
    rows, design = np.arange(4), subject.design
    expected = forecast_all(
        subject.forecaster, design.features, subject.windows, rows, design.levels, nonnegative=False
    ).mean
    batch = subject.batch(rows)
    found = replace(subject, ahead=2).prediction(batch).detach().numpy()
    np.testing.assert_allclose(found, expected[:, 1], rtol=1e-5)
    np.testing.assert_allclose(subject.prediction(batch).detach().numpy(), expected.mean(axis=1), rtol=1e-5)
    with pytest.raises(InputError, match=r"ahead: expected a step from 1 to 5, got 6"):
        replace(subject, ahead=6)


def test_a_panel_without_a_known_future_is_refused(panel_of) -> None:
    with pytest.raises(
        DataError, match=r"expected series with 5 known values \(the horizon\) after the first one"
    ):
        last_windows(panel_of(holed(0, 4, 0.0)), Design(context=12, horizon=5, step_size=2, future_size=1), 1)


def test_options_of_an_encoder_stay_with_it() -> None:
    design = Design(
        context=12, horizon=5, step_size=2, future_size=1, encoder="lstm", encoder_options={"peephole": True}
    )
    same, other = design.around("lstm", 7), design.around("gru", design.hidden_size)
    assert (same.encoder_options, same.hidden_size) == ({"peephole": True}, 7)
    assert (other.encoder, other.encoder_options, other.hidden_size) == ("gru", {}, design.hidden_size)


def test_it_is_trained_again_in_the_same_way(subject: ForecastSubject) -> None:
    with pytest.raises(InputError, match=r"against='rnn': the model does not say how it was trained"):
        subject.retrained("rnn", 0)
    settings = Settings(max_steps=3, validate_every=3)
    able = replace(subject, training=Training(settings, 8, 20))
    one, two = able.retrained("rnn", 5), able.retrained("rnn", 5)
    assert one.design.encoder == "rnn"
    assert one.design.hidden_size == subject.design.hidden_size
    for a, b in zip(one.forecaster.parameters(), two.forecaster.parameters(), strict=True):
        assert torch.equal(a, b)
