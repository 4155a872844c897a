"""``benchmarks/by_hand.py`` against longspan and against numbers worked out here; runs of ``trust.py``."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.data.inference import Roles, read_panel
from longspan.data.synthetic import random_walk
from longspan.evaluation.backtest import Backtest, Method
from longspan.evaluation.verdict import judge
from longspan.metrics.significance import diebold_mariano
from longspan.models.origins import origin_windows, plan_origins


@pytest.fixture(scope="module")
def scripts(repository: Any) -> Any:
    """How a script of the benchmarks is imported: beside those that it imports itself."""
    folder = str(repository / "benchmarks")
    sys.path.insert(0, folder)
    yield importlib.import_module
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def hand(scripts: Any) -> Any:
    return scripts("by_hand")


@pytest.fixture(scope="module")
def trust(scripts: Any) -> Any:
    return scripts("trust")


LENGTHS = {"sine": 5001, "etth1": 17_420, "exchange": 7588, "sunspots": 309, "co2": 2284}


@pytest.mark.parametrize("name", LENGTHS)
def test_the_origins_by_hand_are_those_of_a_fit(name: str, hand: Any) -> None:
    case = hand.CASES[name]
    panel = read_panel(random_walk(LENGTHS[name]), Roles(), seasons=())
    plan = plan_origins(panel, case.horizon, None)
    windows = origin_windows(panel, plan, np.array([0]), 8)
    cuts = [int(cut) for each in windows for cut in each.pairs(np.arange(len(each)))[1]]
    assert hand.origins(LENGTHS[name], case) == cuts
    assert cuts[-1] + case.horizon == LENGTHS[name]


def test_no_test_origin_comes_before_the_last_value_that_calibrates(hand: Any) -> None:
    for case in hand.CASES.values():
        cuts = hand.origins(20_000, case)
        assert len(cuts) == 16
        assert cuts[7] + case.horizon <= cuts[8]


def test_simple_methods_worked_out(hand: Any) -> None:
    nan = np.nan
    case = hand.Case(horizon=3, season=2, stride=3, window=4)
    found = hand.simple(np.array([nan, 1.0, 4.0, 2.0, nan, 5.0, nan]), case)
    assert found["last_value"].tolist() == [5, 5, 5]
    assert found["drift"].tolist() == [7, 8, 9]  # from 1 at row 1 to 5 at row 5, two rows on
    assert found["seasonal_naive"].tolist() == [5, 4, 5]  # row 7 is as row 5, row 8 as row 2
    assert "seasonal_naive" not in hand.simple(np.arange(4.0), case._replace(season=1))


def test_ridge_finds_a_linear_recurrence(hand: Any) -> None:
    case = hand.Case(horizon=5, season=1, stride=5, window=20)
    values = np.sin(np.arange(600) / 7)[None]
    weights = hand.ridge(values, 500, case)
    window, level, unit = hand.scaled(values[0, 480:500], 20)
    forecast = level + unit * (np.r_[window, 1.0] @ weights)
    np.testing.assert_allclose(forecast, values[0, 500:505], atol=1e-3)


def test_losses_are_scaled_by_the_past_alone(hand: Any) -> None:
    case = hand.Case(horizon=2, season=1, stride=2, window=4)
    series = np.r_[np.arange(68.0), np.full(32, 100.0)][None]  # steps of 1 before the backtest part
    cuts = hand.origins(100, case)
    assert cuts[0] == 68
    found = hand.losses(series, case, np.zeros((1, 16, 2)))
    assert found[0, 0].tolist() == [100, 100]
    constant = hand.losses(np.full((1, 100), 3.0), case, np.zeros((1, 16, 2)))
    assert constant[0, 0].tolist() == [3, 3]  # without a scale they are absolute


@given(st.integers(0, 10_000), st.integers(8, 40), st.integers(1, 8))
@settings(max_examples=40)
def test_p_by_hand_is_that_of_a_fit(hand: Any, seed: int, n: int, reach: int) -> None:
    gap = np.random.default_rng(seed).normal(0.3, size=n)
    expected = diebold_mariano(gap, np.zeros(n), reach).p
    assert hand.p_value(gap, reach) == pytest.approx(expected, rel=1e-9)


def backtest(seed: int, shift: float, horizon: int, stride: int) -> Backtest:
    """Sixteen origins of one series, absolute errors about 1, those of the model lower by ``shift``."""
    draws = np.random.default_rng(seed)
    shape = (16, horizon)
    levels = {name: 1 + draws.uniform(0, 0.5) for name in ("a", "b", "c")}

    def method(name: str, level: float) -> Method:
        values = np.abs(level + 0.3 * draws.normal(size=shape))
        return Method(name, name, values, values, None, None, 0.0)

    numbers = np.arange(16)
    return Backtest(
        np.zeros(16, dtype=np.int64),
        (100 + stride * numbers).astype(np.int64),
        np.zeros(shape),
        np.ones(16),
        numbers < 8,
        1,
        (0.5,),
        (method("one", 1 - shift), method("two", 1 - shift)),
        tuple(method(name, level) for name, level in levels.items()),
    )


@given(
    st.integers(0, 10_000), st.sampled_from((-0.5, -0.1, 0.0, 0.1, 0.3, 0.6)), st.integers(1, 12), st.data()
)
@settings(max_examples=50)
def test_the_verdict_by_hand_is_that_of_a_fit(
    hand: Any, trust: Any, seed: int, shift: float, horizon: int, data: st.DataObject
) -> None:
    made = backtest(seed, shift, horizon, data.draw(st.integers(max(1, horizon // 3), horizon)))
    found = judge(made)
    outcome, baseline, p = trust.judge(made, np.abs)
    assert (outcome, baseline) == (found.outcome, found.baseline)
    assert p == pytest.approx(found.comparisons[0].adjusted, rel=1e-9)


def test_every_outcome_is_reached_by_hand(trust: Any) -> None:
    shifts = (-0.8, 0.0, 0.8)
    found = {trust.judge(backtest(seed, shift, 4, 4), np.abs)[0] for shift in shifts for seed in range(6)}
    assert found == {"better", "worse", "no difference"}


def test_false_claims_are_counted_over_all_walks(trust: Any) -> None:
    def part(*outcomes: str) -> dict[str, Any]:
        return {"walks": [{"outcome": each} for each in outcomes]}

    rest = ["no difference"] * 18
    found = trust.all_walks([part("better", *rest[:9]), part("worse", *rest[9:])])
    assert (found["outcomes"]["better"], found["outcomes"]["worse"]) == (1, 1)
    assert (found["bars"][0]["reached"], found["bars"][0]["held"]) == (5.0, True)
    assert not trust.all_walks([part("better", "better", *rest)])["bars"][0]["held"]


def test_a_leak_that_is_not_named_misses_its_bar(scripts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    leaks = scripts("trust_leaks")
    module = ModuleType("plants")

    def named(seed: int) -> None:
        assert seed != 2

    vars(module)["named"] = named
    monkeypatch.setattr(leaks, "_plants", lambda: module)
    monkeypatch.setitem(leaks.PLANTED, "a kind", ("named", ((),)))
    found = leaks.planted("a kind", 4)
    assert (found["planted"], found["missed"]) == (4, [(2,)])
    assert not found["bars"][0]["held"]


@pytest.mark.parametrize(
    "words", [("leaks", "--part", "a training window over the cut"), ("verdicts", "--part", "sunspots")]
)
def test_a_run_of_a_few_steps_holds_and_keeps_nothing(repository: Any, words: tuple[str, ...]) -> None:
    place = repository / "benchmarks" / "results" / "trust.json"
    before = place.read_bytes() if place.is_file() else None
    command = [
        sys.executable,
        str(repository / "benchmarks" / "trust.py"),
        *words,
        "--smoke",
        "--threads",
        "1",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert (place.read_bytes() if place.is_file() else None) == before
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["all_bars_held"]
    ((name, record),) = told["sections"].items()
    assert name == f"{words[0]}: {words[2]}"
    assert record["bars"]
    if words[0] == "verdicts":
        assert record["by_hand"]["outcome"] == record["verdict"]["outcome"]
        assert set(record["by_hand"]["scores"]) == {"last_value", "drift", "ridge"}
