"""The time budget of a fit, and its stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.models.session import Budget, Session
from longspan.store.workspace import Run, Workspace

RUN = Run({}, "a" * 64, 0)


def test_without_a_budget_nothing_is_limited() -> None:
    free = Budget()
    free.charge("audit", 1e9)
    assert (free.slow(), free.trial(3), free.training(2)) == (None, None, None)


def test_slow_baselines_have_a_fifth_and_trainings_share_what_is_left() -> None:
    budget = Budget(100.0)
    assert budget.slow() == 20.0
    budget.charge("reading", 5.0)
    assert budget.training(2) == pytest.approx((100 - 5 - 5) / 2)  # 5 are reserved for the report
    assert budget.trial(4) == pytest.approx((100 - 5 - 5 - 20) / 2 / 4)
    searching = Budget(100.0)
    for number in range(4):
        searching.charge(f"trial-{number}", searching.trial(4 - number) or 0.0)
    assert searching.spent == pytest.approx((100 - 5 - 20) / 2)
    budget.charge("seed-1", 45.0, 45.0)
    assert budget.training(1) == pytest.approx(45.0)
    assert budget.to_json()["stages"][1] == {"stage": "seed-1", "seconds": 45.0, "allotted": 45.0}


@given(st.floats(0.5, 1e5), st.lists(st.floats(0, 1e4), max_size=5), st.integers(1, 5))
def test_what_is_allotted_never_exceeds_the_budget(total: float, spent: list[float], count: int) -> None:
    budget = Budget(total)
    for seconds in spent:
        budget.charge("stage", seconds)
    every = budget.training(count) * count
    assert 0 < every <= max(total - sum(spent), 1e-3) + 1e-9


def test_a_stage_read_back_costs_what_it_cost(tmp_path: Path) -> None:
    """So that a resumed run allots what the interrupted one did."""
    allotted = []
    for begin in (Workspace.create, Workspace.resume):
        with begin(tmp_path / "m.partial", RUN) as workspace:
            session = Session(0, Budget(60.0), workspace)
            session.begin(0.0)  # since the clock's zero: surely more than nothing
            session.stage("baseline-x", lambda _: ({"seconds": 1.25}, {"x": np.zeros(2)}))
            allotted.append(session.budget.training(2))
            assert [each["stage"] for each in session.budget.stages] == ["reading", "baseline-x"]
    assert allotted[0] == allotted[1]


def test_without_a_budget_the_reading_is_no_stage(tmp_path: Path) -> None:
    with Workspace.create(tmp_path / "m.partial", RUN) as workspace:
        session = Session(0, Budget(), workspace)
        session.begin(0.0)
        assert session.budget.stages == []
        assert not list((tmp_path / "m.partial").glob("stage.*"))


def test_without_a_work_folder_stages_are_done_and_not_kept() -> None:
    done: list[Any] = []

    def work(stage: Any) -> Any:
        done.append(stage)
        return {"seconds": 2.0, "budget": 3.0}, {}

    session = Session()
    assert session.stage("a", work) == ({"seconds": 2.0, "budget": 3.0}, {})
    session.stage("a", work)
    assert done == [None, None]
    assert session.budget.spent == 4.0
    assert session.progress() is None
