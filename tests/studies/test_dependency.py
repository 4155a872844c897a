"""The quoted sentences: the whole study in small, and one real run over ten words."""

from __future__ import annotations

import json
import math

from longspan.data.problems.sentences import LITERAL
from longspan.studies.course import Course, run_study
from longspan.studies.dependency import DISTANCES, NETWORKS, STUDIES
from longspan.studies.dependency_work import _alone
from longspan.studies.study import Scale

(STUDY,) = STUDIES


def test_a_smoke_run_shows_everything_and_claims_nothing() -> None:
    outcome = run_study(STUDY, Scale((7,), smoke=True))
    findings = outcome.findings
    assert outcome.verdict == "smoke" and not outcome.left_out
    assert len(findings.figures) == 2 * len(NETWORKS) * len(DISTANCES)
    assert all(math.isfinite(each.ours) for each in findings.figures if each.ours is not None)
    assert [row[:2] for row in findings.tables[0].rows[:: len(NETWORKS)]] == [
        (f"{text} …", word) for text, word in LITERAL
    ]
    assert all(len(each.x) == len(DISTANCES) for chart in findings.charts for each in chart.lines)
    json.dumps(outcome.to_json(), allow_nan=False)


def test_no_time_leaves_everything_out_and_says_so() -> None:
    ticks = iter(range(0, 10_000, 10))
    outcome = run_study(STUDY, Scale((7,), smoke=True, seconds=1.0), clock=lambda: float(next(ticks)))
    assert "lstm-together-seed-7" in outcome.left_out and outcome.findings.figures[0].ours is None
    json.dumps(outcome.to_json(), allow_nan=False)


def test_an_lstm_finds_the_word_ten_words_back_behind_new_fillers() -> None:
    record = _alone(Course(Scale((0,))), "lstm", 10, 0, None)
    assert record["solved"] and record["right"] >= 0.99
