"""Adding and copying: the loss by hand, and both studies in small."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from longspan.data.problems.adding import Adding
from longspan.data.problems.copying import CopyMemory
from longspan.models.reader import sequences
from longspan.studies.course import run_study
from longspan.studies.memory import ADDING, COPYING, STUDIES
from longspan.studies.memory_work import mean_loss
from longspan.studies.study import Scale


def test_to_answer_one_always_has_the_loss_that_is_said_of_adding() -> None:
    drawn = sequences(Adding(40).draw(20_000, np.random.default_rng(0)))
    losses = mean_loss(torch.ones(20_000, 1), drawn)
    assert float(losses.mean()) == pytest.approx(1 / 6, rel=0.03)


def test_the_best_answer_without_memory_has_the_loss_that_is_said_of_copying() -> None:
    problem = CopyMemory(50)
    drawn = sequences(problem.draw(3, np.random.default_rng(0)))
    given = torch.full((3, problem.steps, 9), -1e4)
    given[:, : -problem.kept, 0] = 0.0  # sure of the blank
    given[:, -problem.kept :, 1:] = 0.0  # any of the symbols
    assert mean_loss(given, drawn).tolist() == pytest.approx([problem.memoryless_loss] * 3, rel=1e-5)


@pytest.mark.parametrize("study", STUDIES, ids=lambda each: each.name)
def test_a_smoke_run_shows_everything_and_claims_nothing(study) -> None:  # type: ignore[no-untyped-def]
    outcome = run_study(study, Scale((7,), smoke=True))
    entrants = ADDING if study.name == "adding-600" else COPYING
    assert outcome.verdict == "smoke" and not outcome.left_out
    assert len(outcome.findings.figures) == len(entrants)
    assert all(math.isfinite(each.ours) for each in outcome.findings.figures if each.ours is not None)
    assert {each.name for each in outcome.findings.charts[0].lines} == {each.title for each in entrants}
    json.dumps(outcome.to_json(), allow_nan=False)


def test_all_starts_are_of_one_network_and_one_training() -> None:
    for entrants in (ADDING, COPYING):
        lstms = [each for each in entrants if each.network.encoder == "lstm"]
        assert len({each.network.width for each in lstms}) == 1 and len(lstms) == 3
        assert len({each.training for each in lstms}) == 1
