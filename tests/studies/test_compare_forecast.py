"""The whole road of a comparison: from Python and from the shell, kept, gone on with, and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import longspan
from longspan.cli import run
from longspan.core.errors import InputError
from longspan.models.forecast_contest import ForecastContest
from longspan.studies.compare import Comparison
from longspan.tasks.base import TASKS

QUICK: dict[str, Any] = {
    "target": "y",
    "horizon": 4,
    "season": 12,
    "hidden": 6,
    "context": 24,
    "steps": 6,
    "validate_every": 3,
    "batch": 16,
    "baselines": ("last_value", "seasonal_naive", "ridge"),
}
LINE = (
    "--target y --horizon 4 --season 12 --hidden 6 --context 24 --steps 6 --validate-every 3 --batch 16 "
    "--baselines last_value,seasonal_naive,ridge --encoders gru --seeds 2"
)
WORDS = LINE.split()


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def frame() -> pl.DataFrame:
    noise = np.random.default_rng(0).normal(0, 0.3, 240)
    return pl.DataFrame({"y": 10 + 3 * np.sin(2 * np.pi * np.arange(240) / 12) + noise})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: pl.DataFrame) -> Path:
    monkeypatch.chdir(tmp_path)
    frame.write_csv("d.csv")
    return tmp_path


def listing(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_all_encoders_are_compared_from_python(frame: pl.DataFrame, tmp_path: Path) -> None:
    found = longspan.compare("forecast", frame, seeds=2, **QUICK)
    assert isinstance(found, Comparison)
    networks = found.parts[-1].networks
    assert {each.name for each in networks} == {"lstm", "rnn", "gru", "feedforward", "cnn", "transformer"}
    sizes = [each.network.contestant.parameters for each in networks if each.network is not None]
    assert max(sizes) / min(sizes) < 1.2, "tiny networks; those far off are noted"
    assert all(len(each.network.seeds) == 2 for each in networks if each.network is not None)
    assert "Only 2 seeds were trained" in found.verdict.words or found.verdict.outcome == "cannot tell"
    record = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert record["encoder"] == "lstm"
    assert record["verdict"]["words"] == found.verdict.words
    assert record["rows"][0]["loss"] == found.rows[0].loss
    found.write(tmp_path / "c")
    assert listing(tmp_path / "c") == ["comparison.json", "report.html"]
    assert json.loads((tmp_path / "c" / "comparison.json").read_text()) == record
    with pytest.raises(InputError, match="exists"):
        found.write(tmp_path / "c")
    found.write(tmp_path / "c", force=True)
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="no folder that a comparison was written to"):
        found.write(tmp_path / "mine", force=True)


def test_the_same_seed_gives_the_same_figures(frame: pl.DataFrame) -> None:
    one, other = (longspan.compare("forecast", frame, seeds=1, encoders=("rnn",), **QUICK) for _ in range(2))
    assert [each.loss for each in one.rows] == [each.loss for each in other.rows]
    assert one.verdict.words == other.verdict.words


def test_the_shell_writes_a_page_a_table_and_json(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "forecast", "d.csv", *WORDS]) == 0
    said = capsys.readouterr()
    assert "training 4 of 4: GRU of width" in said.err
    assert "Page: comparison/report.html" in said.err
    assert "seasonal naive" in said.out
    assert "Only 2 seeds were trained" in said.out
    assert listing(place) == ["comparison", "d.csv"]
    assert run(["compare", "forecast", "d.csv", *WORDS]) == 2
    assert "--out 'comparison' exists. Pass --force to replace it" in capsys.readouterr().err
    assert run(["compare", "forecast", "d.csv", *WORDS, "--force", "--json", "--quiet"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["out"] == "comparison"
    assert record["command"].startswith("longspan compare forecast d.csv --target y")
    assert record["settings"]["encoders"] == ["gru"]


def test_the_learning_curve(frame: pl.DataFrame) -> None:
    found = longspan.compare("forecast", frame, seeds=1, encoders=("rnn",), learning_curve=True, **QUICK)
    assert [part.share for part in found.parts] == [0.1, 0.3, 1.0]
    ridge = [next(each.loss for each in part.simple if each.name == "ridge") for part in found.parts]
    naive = {next(each.loss for each in part.simple if each.name == "seasonal_naive") for part in found.parts}
    assert len(set(ridge)) == 3, "what is fitted has the same share of the data"
    assert len(naive) == 1
    assert "With less to learn from" in found.html()


def test_an_interrupted_comparison_goes_on(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Any] = []
    real = ForecastContest.train

    def train(self: ForecastContest, job: Any, keeper: Any, progress: Any) -> Any:
        jobs.append(job)
        if len(jobs) == 3:
            raise KeyboardInterrupt
        return real(self, job, keeper, progress)

    monkeypatch.setattr(ForecastContest, "train", train)
    assert run(["compare", "forecast", "d.csv", *WORDS, "--out", "c", "--quiet"]) == 130
    assert "Go on with: longspan compare forecast d.csv" in capsys.readouterr().err
    assert listing(place) == ["c.partial", "d.csv"]
    assert run(["compare", "forecast", "d.csv", *WORDS, "--out", "c", "--quiet"]) == 2
    assert "an interrupted comparison is kept at" in capsys.readouterr().err
    other = ["compare", "forecast", "d.csv", *WORDS, "--out", "c", "--quiet", "--resume", "--seed", "4"]
    assert run(other) == 2
    assert "the seed was 0, now 4" in capsys.readouterr().err
    assert run(["compare", "forecast", "d.csv", *WORDS, "--out", "c", "--quiet", "--resume", "--json"]) == 0
    resumed = json.loads(capsys.readouterr().out)
    assert len(jobs) == 5, "two were kept, one was begun and done again, one was new"
    assert listing(place) == ["c", "d.csv"]
    assert run(["compare", "forecast", "d.csv", *WORDS, "--out", "e", "--quiet", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert [row["loss"] for row in resumed["rows"]] == [row["loss"] for row in whole["rows"]]
    assert resumed["verdict"] == whole["verdict"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--encoders ltsm", "encoders: expected names among rnn, gru, lstm"),
        ("--seeds 0", "--seeds expected greater than or equal to 1, got 0"),
        ("--test 2", "test: expected at least the horizon, 4 values, got 2"),
        ("--tune 3", "no option --tune"),
        ("--resume", "no interrupted comparison at"),
        ("--out nowhere/c", "the folder"),
        ("--test 235", "cannot be learned from"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_any_work(
    words: str, message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["compare", "forecast", "d.csv", "--target", "y", "--horizon", "4", "--quiet", *words.split()]
    assert run(given) == 2
    assert message in capsys.readouterr().err
    assert listing(place) == ["d.csv"], "nothing was written"


def test_another_folder_is_never_replaced(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "thesis.tex").write_text("…")
    for words in (("--out", "mine", "--force"), ("--out", "mine"), ("--out", "d.csv")):
        assert run(["compare", "forecast", "d.csv", *WORDS, *words]) == 2
        assert "no folder that a comparison was written to" in capsys.readouterr().err
    assert listing(place / "mine") == ["thesis.tex"]


@pytest.mark.usefixtures("level_task")
def test_a_task_without_a_contest_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        InputError, match=r"task 'level' cannot be compared: it has no contest\. Tasks that have:"
    ):
        longspan.compare("level", "d.csv", target="y")
    assert run(["compare", "--json"]) == 0
    able = [each["name"] for each in json.loads(capsys.readouterr().out)["tasks"]]
    assert able == [name for name, task in TASKS.items() if task.compare_options is not None]
    assert "level" not in able


def test_the_options_are_those_of_the_task_and_of_a_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "forecast", "--help"]) == 0
    text = capsys.readouterr().out
    for name in ("--horizon", "--test", "--encoders", "--seeds", "--learning-curve", "--steps", "--resume"):
        assert name in text, name
    for name in ("--tune", "--backtest", "--ensemble"):
        assert name not in text, name


@pytest.mark.data
def test_nothing_is_worth_it_on_a_sine(shared_data: Path) -> None:
    """Its period is exactly 100 samples: the seasonal naive makes no error at all."""
    found = longspan.compare(
        "forecast",
        shared_data / "timeseries" / "sinewave.csv",
        horizon=20,
        steps=20,
        encoders=("rnn",),
        baselines=("last_value", "seasonal_naive"),
        test=400,
    )
    assert found.rows[0].name == "seasonal_naive"
    assert found.rows[0].loss == pytest.approx(0, abs=1e-12)
    assert found.verdict.use == "seasonal_naive"
    assert found.verdict.title == "The seasonal naive wins"
