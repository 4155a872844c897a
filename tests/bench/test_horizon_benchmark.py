"""``benchmarks/horizon.py`` runs, and its bars can be missed."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import pytest


@pytest.fixture(scope="module")
def horizon(repository: Any) -> Any:
    folder = str(repository / "benchmarks")
    sys.path.insert(0, folder)
    yield importlib.import_module("horizon")
    sys.path.remove(folder)


def test_a_smoke_run_finds_the_marks_and_keeps_nothing(
    horizon: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = sys.modules["machine"]
    monkeypatch.setattr(machine, "product_gflops", lambda: 300.0)
    before = machine.RESULTS.joinpath("horizon.json").read_bytes()
    assert horizon.main(["marked", "--smoke"]) == 0
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["all_bars_held"]
    rows = line["sections"]["marked"]["rows"]
    assert [(row["k"], row["cut"], row["scrambled"]) for row in rows] == [(2, 2, 2), (10, 10, 10)]
    assert machine.RESULTS.joinpath("horizon.json").read_bytes() == before


def test_a_reader_that_did_not_learn_is_refused(horizon: Any) -> None:
    with pytest.raises(
        sys.modules["machine"].GateError, match=r"k = 10: expected a loss below 0\.05 in 5 steps"
    ):
        horizon.learned(10, 0, 5)
