"""Hochreiter & Schmidhuber 1997: the studies as declared, run small, and the short one run in full."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from longspan.data.problems.adding import Marked1997
from longspan.data.problems.base import Problem
from longspan.data.problems.lags import LongLag
from longspan.data.problems.order import TemporalOrder
from longspan.data.problems.reber import SYMBOLS, EmbeddedReber, following, separate
from longspan.studies import hochreiter as declared
from longspan.studies.catalogue import STUDIES
from longspan.studies.course import Course, run_study
from longspan.studies.hochreiter_reber import misread, run_reber
from longspan.studies.plan import Entrant
from longspan.studies.race import Heat, race, right_share, run_heat, sequences_needed, solved_share
from longspan.studies.readers import Criterion, build_reader, widest_error
from longspan.studies.study import Bar, Figure, Scale

NAMES = [each.name for each in declared.STUDIES]


@pytest.mark.parametrize(
    ("problem", "entrants"),
    [
        (EmbeddedReber(), declared.REBER),
        (Marked1997(100), declared.entrants(declared.ADDING, 2, 1, chrono=100)),
        (TemporalOrder(3), declared.entrants(declared.ORDER, 8, 8, chrono=110)),
        (LongLag(50, 50), declared.lag_entrants(50, 50)),
        (LongLag(1000, 1000), declared.lag_entrants(1000, 1000)),
    ],
)
def test_the_networks_of_a_study_have_equally_many_weights(
    problem: Problem, entrants: tuple[Entrant, ...]
) -> None:
    counts = [
        sum(weight.numel() for weight in build_reader(problem, each.network, 0).parameters())
        for each in entrants
    ]
    assert max(counts) <= 1.05 * counts[0]
    assert min(counts) >= 0.95 * counts[0]
    assert [each.key for each in entrants] == ["lstm", "lstm-1997", "rnn"]
    assert len({(each.training.most, each.training.batch) for each in entrants}) == 1, "one budget for all"


@pytest.mark.parametrize("name", NAMES)
def test_every_study_runs_small_and_says_no_more_than_that(name: str) -> None:
    outcome = run_study(STUDIES[name], Scale((0,), smoke=True))
    assert outcome.verdict == "smoke"
    assert outcome.left_out == ()
    assert all(each.ours is not None for each in outcome.findings.figures)
    assert any(each.bar is not None for each in outcome.findings.figures)
    assert all(chart.lines for chart in outcome.findings.charts)


class Foretelling(nn.Module):
    """Gives every symbol that may come next the same, and the others less by a margin."""

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        given = torch.zeros(x.shape)
        for row, length in enumerate(lengths.tolist()):
            text = "".join(SYMBOLS[each] for each in x[row, :length].argmax(-1))
            for step, allowed in enumerate(following(text)):
                given[row, step, [SYMBOLS.index(symbol) for symbol in allowed]] = self.margin
        return given


def test_a_string_is_right_where_all_that_may_come_are_above_all_that_may_not() -> None:
    strings = separate(40, np.random.default_rng(0))
    assert not misread(Foretelling(1e-3), strings).any()  # type: ignore[arg-type]
    assert misread(Foretelling(0.0), strings).all()  # type: ignore[arg-type]
    assert misread(Foretelling(float("nan")), strings).all()  # type: ignore[arg-type]


def test_the_memory_is_what_is_judged() -> None:
    """Who foretells all but the last symbol but one, which it takes for a T, misreads the strings with P."""
    strings = separate(40, np.random.default_rng(1))

    class Forgetful(Foretelling):
        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            given = super().forward(x, lengths)
            row = torch.arange(len(x))
            given[row, lengths - 2] = 0.0
            given[row, lengths - 2, SYMBOLS.index("T")] = 1.0
            return given

    wrong = misread(Forgetful(1.0), strings)  # type: ignore[arg-type]
    assert wrong.tolist() == [text[1] == "P" for text in strings]


def test_shares_are_of_the_worst_seed_where_much_is_asked_for() -> None:
    records = [{"wrong": 1, "tests": 100, "solved": True}, {"wrong": 50, "tests": 100, "solved": False}]
    least = right_share("right", records, bar=Bar(at_least=99.0))
    assert (least.ours, least.holds, least.spread) == (50.0, False, (50.0, 99.0))
    assert right_share("right", records, best=True).ours == 99.0
    assert solved_share("solved", records).ours == 50.0
    assert right_share("right", [], bar=Bar(at_least=1.0)).ours is None


def test_sequences_of_a_seed_that_did_not_solve_it_are_a_lower_bound() -> None:
    def found(*seeds: tuple[int, bool]) -> Figure:
        records = [{"sequences": used, "solved": solved} for used, solved in seeds]
        return sequences_needed("used", records, bar=Bar(at_most=25_000.0))

    most = found((5_000, True), (20_000, False), (20_000, False))
    assert (most.ours, most.censored, most.holds) == (20_000.0, True, False)
    assert most.missed == "more than 20,000, broken off there; ≤ 25,000 is asked for"
    few = found((5_000, True), (6_000, True), (20_000, False))
    assert (few.ours, few.censored, few.holds, few.missed) == (6_000.0, False, True, "")
    half = found((5_000, True), (20_000, False))
    assert half.censored
    assert found().ours is None


def test_half_as_many_wrong_are_allowed_as_published() -> None:
    training = declared.multiplication_training(140)
    assert training.allowed * training.checked == pytest.approx(70)
    assert declared.multiplication_training(13).allowed * 2_000 == pytest.approx(6)


def test_embedded_reber_is_solved_with_fewer_sequences_than_published() -> None:
    """Two of the ten seeds, LSTM alone: test strings right, and the count below 8,440."""
    course = Course(Scale((0, 1)))
    records = [run_reber(declared.REBER[0], seed, None, course) for seed in course.scale.seeds]
    assert all(each["solved"] for each in records)
    assert [each["wrong"] for each in records] == [0, 0]
    assert all(each["sequences"] <= declared.REBER_PUBLISHED for each in records)


def test_the_adding_problem_is_learned() -> None:
    """T = 100 with one seed: the published study in its shortest row."""
    entrant = declared.entrants(declared.ADDING, 2, 1, chrono=100)[0]
    heat = Heat("t100", "T = 100", Marked1997(100), Criterion(widest_error, declared.ADDING_MARGIN), 2_560)
    record = run_heat(heat, entrant, 0, None, Course(Scale((0,))))
    assert record["solved"]
    assert record["wrong"] <= 2
    assert record["sequences"] <= declared.ADDING_PUBLISHED[100][1]


def test_a_network_that_may_have_fewer_seeds_has_the_first_ones() -> None:
    entrants = tuple(
        replace(each, training=replace(each.training, most=40, check_every=20, checked=10))
        for each in declared.entrants(declared.ADDING, 2, 1, beside=1)
    )
    heat, course = (
        Heat("t30", "T = 30", Marked1997(30), Criterion(widest_error, 0.04), 10),
        Course(Scale((4, 7))),
    )
    found = race(
        course,
        heat.key,
        entrants,
        lambda entrant, seed, keeper: run_heat(heat, entrant, seed, keeper, course),
    )
    assert {key: len(records) for key, records in found.items()} == {"lstm": 2, "lstm-1997": 1, "rnn": 1}
