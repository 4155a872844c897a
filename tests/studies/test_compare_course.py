"""The course of a comparison on a contest whose truth is known: who trains what, and what is concluded."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from compare_contest import DrawnContest

from longspan.models.session import Budget, Session
from longspan.store.workspace import Run, Workspace
from longspan.studies.compare_course import Course, chosen_encoders, matched, run_contest

LEVELS = {"lstm": 0.8, "rnn": 1.2, "gru": 0.8, "feedforward": 1.0, "cnn": 0.9, "transformer": 0.95}
SIMPLE = {"seasonal_naive": 1.1, "last_value": 1.6}


def run(contest: DrawnContest, session: Session | None = None, **how: Any) -> Course:
    names = how.pop("encoders", tuple(LEVELS))
    field = matched(contest, chosen_encoders(names, contest.encoder))
    return run_contest(contest, field, session or Session(), **({"seeds": 3, "shares": (1.0,)} | how))


def test_the_truth_is_found() -> None:
    (part,) = run(DrawnContest(LEVELS, SIMPLE)).parts
    assert part.strongest == "seasonal_naive"
    assert part.verdict.title == "An LSTM is worth it here", "the GRU is as good, and no cheaper"
    assert "No difference shown between the LSTM and the GRU" in part.verdict.words
    found = {each.other: each for each in part.duels}
    assert all(found[name].better for name in ("rnn", "feedforward", "cnn", "transformer", "seasonal_naive"))
    assert not found["gru"].better
    assert not found["gru"].worse
    assert "last_value" not in found, "of the simple methods one is tested, the strongest before the test"
    assert [each.name for each in part.rows[-2:]] == ["rnn", "last_value"]


def test_every_encoder_is_trained_with_the_same_seeds() -> None:
    contest = DrawnContest(LEVELS, SIMPLE)
    run(contest, seeds=4)
    assert Counter(job.contestant.encoder for job in contest.log) == dict.fromkeys(LEVELS, 4)
    seeds = {name: [job.seed for job in contest.log if job.contestant.encoder == name] for name in LEVELS}
    assert len({tuple(each) for each in seeds.values()}) == 1
    assert len(set(seeds["lstm"])) == 4


def test_the_time_is_split_equally() -> None:
    contest = DrawnContest(LEVELS, SIMPLE)
    course = run(contest, Session(budget=Budget(100.0)), seeds=2)
    budgets = {job.budget for job in contest.log}
    assert budgets == {course.allotted}
    assert course.allotted == pytest.approx((0.85 * 100 - 0.5) / 12)
    assert {job.budget for job in _log(DrawnContest(LEVELS))} == {None}


def _log(contest: DrawnContest) -> list[Any]:
    run(contest, seeds=1)
    return contest.log


def test_a_learning_curve_has_a_part_for_each_share() -> None:
    contest = DrawnContest(LEVELS, SIMPLE)
    course = run(contest, shares=(0.1, 0.3, 1.0))
    assert [part.share for part in course.parts] == [0.1, 0.3, 1.0]
    losses = [next(each.loss for each in part.networks if each.name == "lstm") for part in course.parts]
    assert losses == sorted(losses, reverse=True)
    naive = {next(each.loss for each in part.simple) for part in course.parts}
    assert len(naive) == 1, "what learns nothing is the same whatever the share"
    assert [job.share for job in contest.log[:18]] == [1.0] * 18, "what was asked comes first"
    assert course.parts[0].verdict.outcome != course.parts[-1].verdict.outcome


def test_an_encoder_that_cannot_be_trained_does_not_end_the_comparison() -> None:
    course = run(DrawnContest(LEVELS, SIMPLE, failing=("rnn",)))
    standing = next(each for each in course.parts[-1].networks if each.name == "rnn")
    assert math.isnan(standing.loss)
    assert course.parts[-1].rows[-1] is standing
    assert "RNN: 3 of 3 trainings failed: the loss is not finite" in course.notes
    assert "rnn" not in {each.other for each in course.parts[-1].duels}
    json.dumps(course.parts[-1].to_json(), allow_nan=False)


def test_nothing_can_be_told_where_the_reference_fails() -> None:
    (part,) = run(DrawnContest(LEVELS, SIMPLE, failing=("lstm",))).parts
    assert part.verdict.outcome == "cannot tell"
    assert "the LSTM could not be trained: the loss is not finite" in part.verdict.words


def test_another_encoder_can_be_the_reference() -> None:
    (part,) = run(DrawnContest(LEVELS | {"lstm": 0.9}, SIMPLE, encoder="gru")).parts
    assert part.networks[0].name == "gru"
    assert {each.one for each in part.duels} == {"gru"}
    assert part.verdict.title == "A GRU is worth it here"


class Interrupting(DrawnContest):
    """Ctrl-C in the sixth training."""

    def train(self, job: Any, keeper: Any, progress: Any) -> Any:
        if len(self.log) == 5:
            raise KeyboardInterrupt
        return super().train(job, keeper, progress)


def test_what_was_trained_is_not_trained_again(tmp_path: Path) -> None:
    begun = Run({}, "0", 0)
    contest = Interrupting(LEVELS, SIMPLE)
    with Workspace.create(tmp_path / "c.partial", begun) as workspace, pytest.raises(KeyboardInterrupt):
        run(contest, Session(workspace=workspace))
    resumed, whole = DrawnContest(LEVELS, SIMPLE), DrawnContest(LEVELS, SIMPLE)
    with Workspace.resume(tmp_path / "c.partial", begun) as workspace:
        found = run(resumed, Session(workspace=workspace))
    expected = run(whole)
    assert len(resumed.log) == len(whole.log) - 5
    assert [part.to_json() for part in found.parts] == [part.to_json() for part in expected.parts]
