"""Streams without an end and timed spikes: the measures by hand, an oracle, the studies in small."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from longspan.data.problems.continual import ContinualReber, possible_next
from longspan.data.problems.reber import SYMBOLS, following
from longspan.data.problems.timed import GeneratedSpikes
from longspan.models.reader import Sequences, sequences
from longspan.studies.course import Course, run_study
from longspan.studies.gers import LEAST, MARGIN, SPIKES, STREAM, STUDIES, TIMED
from longspan.studies.gers_timed import farthest_off
from longspan.studies.gers_work import doubt, first_errors
from longspan.studies.race import Heat, run_heat
from longspan.studies.readers import Criterion, train_reader
from longspan.studies.study import Scale


class Oracle:
    """Knows the grammar, carries the text so far as its state, and is wrong once in the second stream."""

    def __init__(self, wrong_at: int) -> None:
        self.wrong_at = wrong_at

    def encoder(self, x: Tensor, _lengths: None, state: Any) -> tuple[Tensor, Any]:
        texts = [""] * len(x) if state is None else state
        rows = []
        for row, (before, symbols) in enumerate(zip(texts, x.argmax(-1), strict=True)):
            texts[row] = before + "".join(SYMBOLS[each] for each in symbols)
            allowed = following(texts[row])[len(before) :]
            rows.append([[float(symbol in each) for symbol in SYMBOLS] for each in allowed])
            if len(before) <= self.wrong_at < len(texts[row]) and row == 1:
                rows[-1][self.wrong_at - len(before)] = [0.0] * len(SYMBOLS)
        return torch.tensor(rows), texts

    def output(self, y: Tensor) -> Tensor:
        return y


@pytest.mark.parametrize("stretch", [20, 50, 200])
def test_a_stream_is_read_on_from_stretch_to_stretch(stretch: int) -> None:
    found = first_errors(Oracle(137), 3, 200, np.random.default_rng(0), stretch)  # type: ignore[arg-type]
    assert found.tolist() == [200, 137, 200]


def test_doubt_is_the_likelihood_of_what_may_not_come_over_that_of_what_may() -> None:
    drawn = ContinualReber(30).draw(2, np.random.default_rng(1))
    possible = torch.from_numpy(possible_next(drawn.x))
    given = torch.where(possible, 0.0, math.log(0.01))
    assert doubt(given, sequences(drawn)).tolist() == pytest.approx([0.01, 0.01])
    given[1, 7] = 0.0
    assert doubt(given, sequences(drawn)).tolist() == pytest.approx([0.01, 1.0])


def test_only_answers_that_count_can_be_off() -> None:
    given = torch.tensor([0.9, 0.2, 0.5]).logit()[None, :, None]
    target = torch.tensor([1.0, 0.0, 0.0])[None, :, None]
    drawn = Sequences(target, target, None, torch.tensor([[True, True, False]]))
    assert farthest_off(given, drawn).tolist() == pytest.approx([0.2])


@pytest.mark.parametrize("study", STUDIES, ids=lambda each: each.name)
def test_a_smoke_run_shows_everything_and_claims_nothing(study) -> None:  # type: ignore[no-untyped-def]
    outcome = run_study(study, Scale((7,), smoke=True))
    assert outcome.verdict == "smoke" and not outcome.left_out
    assert all(math.isfinite(each.ours) for each in outcome.findings.figures if each.ours is not None)
    assert any(each.bar is not None for each in outcome.findings.figures)
    json.dumps(outcome.to_json(), allow_nan=False)


def test_forget_gates_follow_streams_far_longer_than_those_of_training() -> None:
    entrant, steps = STREAM[0], 40  # a tenth of the study's, to be quick
    training = replace(entrant.training, batch=20, most=80_000, check_every=2_000)
    found = train_reader(ContinualReber(steps), entrant.network, training, Criterion(doubt, 0.1), 0)
    assert entrant.ours and found.solved
    read = first_errors(found.reader, 10, 5_000, np.random.default_rng(0))
    assert read.mean() > 25 * steps


def test_a_network_with_peepholes_makes_spikes_at_the_very_step() -> None:
    heat = Heat("generated", "", GeneratedSpikes(LEAST, SPIKES), Criterion(farthest_off, MARGIN), 1_000)
    record = run_heat(heat, TIMED[0], 2, None, Course(Scale((2,))))
    assert record["solved"] and record["wrong"] <= 1
