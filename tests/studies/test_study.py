"""The records of a study: what counts as reproduced, and what is said about it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.studies.catalogue import STUDIES, find_study
from longspan.studies.study import Bar, Figure, Findings, Outcome, Scale, Setting, Study

STUDY = Study(
    name="toy",
    title="A toy",
    source="Nobody 1900",
    about="Nothing.",
    settings=(Setting("width", 3, "4 cells"),),
    seeds=2,
    budget=1.0,
    tolerance="all is well.",
    run="longspan.studies.hochreiter_reber:embedded_reber",
)


def outcome(*figures: Figure, seeds: int = 2, smoke: bool = False, left_out: tuple[str, ...] = ()) -> Outcome:
    scale = Scale(tuple(range(seeds)), smoke=smoke)
    return Outcome(STUDY, scale, Findings(figures), left_out, 1.5)


GOOD = Figure("sequences", 8_000.0, 8_440, bar=Bar(at_most=8_440.0))
POOR = Figure("sequences", 9_284.0, 8_440, bar=Bar(at_most=8_440.0))
NONE = Figure("sequences", None, 8_440, bar=Bar(at_most=8_440.0))
FREE = Figure("weights", 276.0, 264)


def test_a_bar_has_a_bound() -> None:
    with pytest.raises(InputError, match="at_least, at_most or both, got neither"):
        Bar()


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_a_value_holds_where_nothing_is_missed(value: float, low: float, width: float) -> None:
    bar = Bar(low, low + width)
    assert bar.holds(value) == (low <= value <= low + width) == (bar.missed(value) == "")


def test_what_is_no_number_misses_every_bar() -> None:
    assert not Bar(at_most=1.0).holds(math.nan)
    assert not Bar(at_least=1.0).holds(math.nan)


def test_by_how_much_a_bar_is_missed() -> None:
    assert Bar(at_most=8_440).missed(9_284) == "9,284, 844 above the 8,440 asked for, 10.0%"
    assert Bar(at_least=99.9).missed(99.5) == "99.5, 0.4 below the 99.9 asked for, 0.4%"
    assert Bar(at_most=0).missed(2) == "2, 2 above the 0 asked for"
    assert str(Bar(at_least=1, at_most=2)) == "≥ 1 and ≤ 2"


def test_verdicts() -> None:
    assert outcome(GOOD, FREE).verdict == "reproduced"
    assert outcome(GOOD, POOR).verdict == "not reproduced"
    assert outcome(GOOD, NONE).verdict == "budget does not allow"
    assert outcome(GOOD, left_out=("lstm-seed-1",)).verdict == "budget does not allow"
    assert outcome(FREE).verdict == "reported"
    assert outcome(GOOD, smoke=True).verdict == "smoke"


def test_a_smoke_run_never_says_reproduced() -> None:
    for figures in ((GOOD,), (POOR,), (NONE,), (FREE,)):
        sentence = outcome(*figures, smoke=True).sentence
        assert "reproduced" not in sentence.lower()
        assert "smoke" in sentence


def test_a_smoke_run_says_of_no_figure_that_it_holds() -> None:
    found = outcome(GOOD, POOR, smoke=True)
    assert [found.holds(each) for each in (GOOD, POOR)] == [None, None]
    assert [each["holds"] for each in found.to_json()["figures"]] == [None, None]
    assert [outcome(GOOD, POOR).holds(each) for each in (GOOD, POOR)] == [True, False]


def test_a_lower_bound_meets_no_upper_one() -> None:
    found = outcome(replace(GOOD, censored=True))
    assert found.verdict == "not reproduced"
    assert found.sentence == (
        "Not reproduced: sequences is more than 8,000, broken off there; ≤ 8,440 is asked for."
    )
    assert replace(GOOD, bar=Bar(at_least=1.0), censored=True).holds


def test_sentences() -> None:
    assert outcome(GOOD).sentence == "Reproduced: all is well."
    assert outcome(GOOD, seeds=1).sentence == "Reproduced, with 1 of 2 seeds: all is well."
    assert outcome(POOR).sentence == (
        "Not reproduced: sequences is 9,284, 844 above the 8,440 asked for, 10.0%."
    )
    assert outcome(NONE, left_out=("a-seed-1",)).sentence == (
        "The time given does not allow a verdict. Left out: a-seed-1."
    )


def test_json_has_the_verdict_and_the_bars() -> None:
    found = json.loads(json.dumps(outcome(POOR, FREE).to_json(), allow_nan=False))
    assert found["verdict"] == "not reproduced"
    assert [each["holds"] for each in found["figures"]] == [False, None]
    assert found["figures"][0]["bar"] == "≤ 8,440"
    assert found["study"]["settings"] == [{"name": "width", "here": 3, "published": "4 cells"}]


def test_json_holds_no_number_that_is_none() -> None:
    found = outcome(replace(POOR, ours=math.nan, spread=(0.0, math.inf)))
    assert found.verdict == "not reproduced"
    kept = found.to_json()["figures"][0]
    assert (kept["ours"], kept["spread"], kept["holds"]) == (None, [0.0, None], False)
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize("seeds", [(), (1, 1), (-1,)])
def test_scales_of_no_seeds_are_refused(seeds: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="different whole numbers from 0 up"):
        Scale(seeds)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(InputError, match="expected a time above 0"):
        Scale((0,), seconds=seconds)


@pytest.mark.parametrize("name", ["", "Toy", "a b", "a--b", "a_b"])
def test_names_of_studies(name: str) -> None:
    with pytest.raises(InputError, match="expected a name such as 'embedded-reber'"):
        replace(STUDY, name=name)


def test_an_unknown_study_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"paper: expected NAME to be one of embedded-reber, .*got 'reber'"):
        find_study("reber")


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_every_study_says_where_it_is_from_and_finds_its_work(study: Study) -> None:
    assert any(letter.isdigit() for letter in study.source), "a year, a table"
    assert study.about.endswith(".")
    assert study.tolerance.endswith(".")
    assert len(study.settings) >= 3
    assert callable(study.load())
