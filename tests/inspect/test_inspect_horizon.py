"""The memory horizon: exact where the truth is known, silent where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weighted_sums import WeightedSum

from longspan.inspect.horizon import (
    Ablation,
    Estimate,
    Horizon,
    Removal,
    ablate,
    gate_horizon,
    gradient_horizon,
    removal_estimate,
    share_horizon,
)
from longspan.inspect.words import disagreements, sentence
from longspan.models.subject import StepMeaning


def summed(lag: int, steps: int, *, first: float = 1.0) -> WeightedSum:
    weights = np.zeros(lag + 1)
    weights[0], weights[lag] = first, 1.0
    return WeightedSum(weights, steps)


def both(subject, count: int = 64, seed: int = 0) -> Horizon:
    rows = np.arange(count)
    ablations = (ablate(subject, rows, "cut", seed), ablate(subject, rows, "scrambled", seed))
    return Horizon(tuple(map(removal_estimate, ablations)), ablations)


@settings(max_examples=25)
@given(st.integers(1, 45), st.integers(0, 5))
def test_the_horizon_of_a_known_sum_is_exact(lag: int, more: int) -> None:
    found = both(summed(lag, lag + 2 + more))
    assert [each.horizon for each in found.ablations] == [lag, lag]
    assert found.used == lag
    assert found.window == lag + 1


def test_a_long_horizon_is_within_two_percent() -> None:
    found = ablate(summed(700, 2000), np.arange(64), "scrambled", 0)
    assert abs(found.horizon - 700) <= 0.02 * 700
    assert len(found.removals) < 40


def test_the_last_step_alone_is_no_memory() -> None:
    found = both(WeightedSum(np.array([1.0]), 20))
    assert found.used == 0
    words = sentence(found, StepMeaning())
    assert words.startswith("What this model is given of the past makes no difference")


def test_what_does_not_help_is_not_used() -> None:
    """Noise moves the answer, and its removal does not cost: the target knows nothing of it."""
    found = both(WeightedSum(np.zeros(1), 30, noise=1.0))
    assert not any(any(each.costs) for each in found.ablations)


def test_chance_is_seldom_taken_for_use() -> None:
    """Losses that rise and fall by chance alone: at 5 % for all lags of an ablation together."""
    wrong = 0
    for seed in range(40):
        draws = np.random.default_rng(seed)
        subject = WeightedSum(0.3 * draws.normal(size=20), 30, seed=seed, answers=draws.normal(size=64))
        found = ablate(subject, np.arange(64), "scrambled", seed)
        wrong += any(found.costs)
    assert wrong <= 6  # 40 at 5 % give more than 6 in one case of a thousand


def test_at_the_edge_a_longer_window_may_gain_more() -> None:
    found = both(summed(19, 20))
    assert all(each.at_the_edge for each in found.ablations)
    assert sentence(found, StepMeaning("hour", 3600.0)) == (
        "This model uses all of its past, 20 steps (20 hours): a longer window may gain more."
    )


def test_the_sentence_names_steps_and_time() -> None:
    found = both(summed(31, 70))
    assert sentence(found, StepMeaning("hour", 3600.0)) == (
        "This model uses about 31 steps (1.3 days); a window longer than 32 gains nothing."
    )
    assert sentence(found, StepMeaning()) == (
        "This model uses about 31 steps; a window longer than 32 gains nothing."
    )


def _removed(lag: int, rise: float, high: float, p: float) -> Removal:
    return Removal(lag, rise, rise - (high - rise), high, p)


def _cut(*removals: Removal, horizon: int, costs: tuple[bool, ...]) -> Horizon:
    """The same removals by cutting and by scrambling, of a loss of 2."""
    ablations = tuple(
        Ablation(how, removals, 2.0, removals[0].rise, costs, horizon, 30) for how in ("cut", "scrambled")
    )
    return Horizon(tuple(map(removal_estimate, ablations)), ablations)


def test_nothing_is_gained_only_where_next_to_nothing_may_be_left() -> None:
    """What was not shown to help is not said to be of no use while it may be worth a tenth of the past."""
    first = _removed(0, 1.0, 1.5, 0.001)
    for high, said in (
        (0.08, "; a window longer than 4 gains nothing."),
        (0.69, "; up to 69% of what its past"),
    ):
        found = _cut(first, _removed(3, 0.05, high, 0.3), horizon=3, costs=(True, False))
        assert said in sentence(found, StepMeaning()), high
    assert sentence(found, StepMeaning()).startswith("This model was shown to use about 3 steps; up to")
    wide = _cut(first, _removed(3, 0.7, 1.27, 0.06), horizon=3, costs=(True, False))
    assert "up to 100% of what its past is worth may lie further back" in sentence(wide, StepMeaning())


def test_a_past_that_was_not_shown_to_help_may_be_used_all_the_same() -> None:
    for high, said in (
        (0.1, "its last step alone does as well"),
        (3.1, "may rise by up to 3.1, or not at all"),
    ):
        found = _cut(_removed(0, 0.05, high, 0.4), horizon=0, costs=(False,))
        assert said in sentence(found, StepMeaning()), high


def test_a_small_part_of_the_gain_does_not_count() -> None:
    found = ablate(WeightedSum(np.array([0.0, 1.0, 0.0, 0.0, 0.02]), 30, noise=0.0), np.arange(64), "cut", 0)
    tiny = next(each for each in found.removals if each.lag == 3)
    assert tiny.p is not None
    assert tiny.p < 1e-3
    assert found.horizon == 1


@pytest.mark.parametrize("lag", [2, 10])
def test_the_marked_symbol_is_found_where_it_stands(lag: int, solved) -> None:
    found = both(solved(lag), 256)
    assert [each.horizon for each in found.ablations] == [lag, lag]
    gates = gate_horizon(solved(lag), np.arange(64), 0.05)
    assert gates.lag is not None
    assert lag <= gates.lag <= 2 * lag


def test_estimates_that_there_are_not_say_why(subject_of) -> None:
    rnn = gate_horizon(subject_of("rnn"), np.arange(8), 0.05)
    assert (rnn.lag, rnn.rule) == (None, "a cell of kind 'rnn' keeps nothing by a gate")
    cnn = gate_horizon(subject_of("cnn"), np.arange(8), 0.05)
    assert cnn.rule == "the encoder is not recurrent: it has no gates"
    assert gradient_horizon(np.zeros((2, 5)), 0.05).lag is None


def test_a_share_of_a_curve() -> None:
    assert share_horizon(np.array([0.9, 0.05, 0.05]), 0.95) == 1
    assert share_horizon(np.array([1.0, 0.0, 0.0]), 0.95) == 0
    assert gradient_horizon(np.array([[0.0, 0.0, 1.0, 0.1]]), 0.05).lag == 2


def test_words_say_where_the_estimates_part() -> None:
    found = both(summed(10, 40))
    removed = list(map(removal_estimate, found.ablations))
    named = [Estimate("forget gates", 30, ""), Estimate("gradients", 3, ""), *removed]
    words = disagreements(Horizon(tuple(named), found.ablations), StepMeaning())
    assert words[1] == "The forget gates hold for 30 steps: the states keep more than the answer uses."
    assert words[2].startswith("Most of the gradient comes from 3 steps: older steps count")
    agreed = [Estimate("forget gates", 11, ""), Estimate("gradients", None, ""), *removed]
    assert disagreements(Horizon(tuple(agreed), found.ablations), StepMeaning())[1:] == (
        "The estimates agree.",
    )
