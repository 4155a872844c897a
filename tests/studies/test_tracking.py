"""State tracking: the measures by hand, the whole study in small, and one real run of parity."""

from __future__ import annotations

import json
import math

import pytest
import torch

from longspan.data.problems.groups import cyclic
from longspan.models.reader import Sequences
from longspan.studies.course import Course, run_study
from longspan.studies.study import Scale
from longspan.studies.tracking import NETWORKS, STUDIES
from longspan.studies.tracking_work import _trained, least_sure, misread_end

STUDY = {each.name: each for each in STUDIES}


def words(lengths: tuple[int, ...]) -> tuple[torch.Tensor, Sequences]:
    """Two words of at most three steps and what was answered: logits of 0.9 to 0.1 for class 1."""
    given = torch.tensor([0.1, 0.9]).log().expand(2, 3, 2).clone()
    given[1, 2] = torch.tensor([0.6, 0.4]).log()
    target = torch.ones(2, 3, dtype=torch.int64)
    ends = torch.tensor(lengths)
    return given, Sequences(torch.zeros(2, 3, 2), target, ends, torch.arange(3) < ends[:, None])


def test_a_word_is_as_sure_as_its_least_sure_answer() -> None:
    assert least_sure(*words((3, 3))).tolist() == pytest.approx([0.1, 0.6])
    assert least_sure(*words((3, 2))).tolist() == pytest.approx([0.1, 0.1])  # the doubt is past the end


def test_only_the_last_answer_counts_at_the_end() -> None:
    assert misread_end(*words((3, 3))).tolist() == [0.0, 1.0]
    assert misread_end(*words((3, 2))).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", STUDY)
def test_a_smoke_run_shows_everything_and_claims_nothing(name: str) -> None:
    outcome = run_study(STUDY[name], Scale((7,), smoke=True))
    assert outcome.verdict == "smoke" and not outcome.left_out
    assert all(math.isfinite(each.ours) for each in outcome.findings.figures if each.ours is not None)
    steps, learning = outcome.findings.charts
    assert {each.name for each in steps.lines} == set(NETWORKS) == {each.name for each in learning.lines}
    json.dumps(outcome.to_json(), allow_nan=False)


def test_an_lstm_trained_on_40_bits_counts_256_and_2048() -> None:
    record = _trained(Course(Scale((0,))), cyclic(2), "lstm", 0, None)
    assert record["solved"] and record["sequences"] <= 100_000
    assert record["at 256"]["end"] >= 0.999
    assert min(record["by step"]) >= 0.99
