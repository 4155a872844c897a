"""The verbs from the first word to the exit code: fit, predict, evaluate, info, save and load."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import longspan
from longspan.cli import run

pytestmark = pytest.mark.usefixtures("level_task")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with data whose mean is 5 and whose median is 4."""
    monkeypatch.chdir(tmp_path)
    Path("d.csv").write_text("t,y\n1,2.0\n2,4.0\n3,9.0\n")
    return tmp_path


@pytest.fixture
def model(place: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run(["fit", "level", "d.csv", "--target", "y", "--out", "m", "--quiet"]) == 0
    capsys.readouterr()
    return place / "m"


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one JSON document on standard output."""
    return json.loads(capsys.readouterr().out)


def listing(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_the_whole_road(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "level", "d.csv", "--target", "y", "--seed", "3", "--time-budget", "2m", "--out", "m"]
    assert run(words) == 0
    said = capsys.readouterr()
    assert "3 rows, seed 3, budget 120.0" in said.err
    assert "level      5" in said.out
    assert listing(place) == ["d.csv", "m"]

    assert run(["info", "m", "--json"]) == 0
    found = answer(capsys)
    assert found["task"] == "level"
    assert found["command"] == "longspan " + " ".join(words)
    assert found["data"]["source"] == "d.csv"
    assert found["data"]["rows"] == {"read": 3}
    assert len(found["data"]["sha256"]) == 64
    assert found["metrics"] == {"level": 5.0, "undefined": None}
    assert found["sizes"]["parameters"] == 1
    assert found["sizes"]["bytes"] == sum(
        each.stat().st_size for each in Path("m").iterdir() if each.name != "model.json"
    )
    assert {"longspan", "python", "torch", "polars"} <= set(found["versions"])

    assert run(["predict", "m", "d.csv", "--steps", "3"]) == 0
    frame = pl.read_csv(io.StringIO(capsys.readouterr().out))
    assert frame["level"].to_list() == [5.0, 5.0, 5.0]
    assert frame["time"][0] == "2024-01-01 00:00:00+01:00"

    assert run(["evaluate", "m", "d.csv", "--squared", "--json"]) == 0
    assert answer(capsys)["scores"] == {
        "error": 26 / 3,
        "undefined": None,
        "by step": [{"step": 1, "error": 26 / 3}],
    }


def test_fit_answers_with_one_json_document(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", "level", "d.csv", "--target", "y", "--out", "m", "--json", "--kind", "median"]) == 0
    found = answer(capsys)
    assert found["model"] == "m"
    assert found["metrics"]["level"] == 4.0


def test_fit_alone_lists_the_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit"]) == 0
    assert "The level of a column." in capsys.readouterr().out
    assert run(["fit", "--json"]) == 0
    assert {"name": "level", "summary": "The level of a column."} in answer(capsys)["tasks"]


def test_every_kind_of_option_reaches_the_task(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--known", "a,'b',\"c,d\"", "--known", "e", "--rounds", "7", "--weight", "0.5", "--no-centre"]
    assert run(["fit", "level", "d.csv", "--target", "y", "--out", "m", *words]) == 0
    options = json.loads(Path("m/model.json").read_text())["config"]["options"]
    assert options["known"] == ["a", "'b'", "c,d", "e"]
    assert (options["rounds"], options["weight"], options["centre"], options["trim"]) == (7, 0.5, False, 0.0)


def test_a_tuple_is_repeated_or_separated_by_commas(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    for words in (["--levels", "0.1,0.9"], ["--levels", "0.1", "--levels", "0.9"], ["--levels", "0.1, 0.9"]):
        assert run(["predict", "m", "d.csv", "--json", *words]) == 0
        seen.append([row["quantile"] for row in answer(capsys)["predictions"]])
    assert seen == [[0.1, 0.1, 0.9, 0.9]] * 3


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_predictions_are_written_to_a_file(
    model: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path("p" + suffix)
    assert run(["predict", "m", "d.csv", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert f"2 rows written to {out}" in said.err
    readers = {".csv": pl.read_csv, ".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson}
    assert readers[suffix](out)["level"].to_list() == [5.0, 5.0]
    assert run(["predict", "m", "d.csv", "--steps", "1", "--out", str(out), "--force"]) == 0
    assert f"1 row written to {out}" in capsys.readouterr().err
    assert listing(model.parent) == ["d.csv", "m", out.name]


def test_an_output_that_exists_is_refused_before_any_work(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path("p.csv")
    out.write_text("mine")
    assert run(["predict", "no-such-model", "d.csv", "--out", "p.csv"]) == 2
    assert capsys.readouterr().err == "--out 'p.csv' exists. Pass --force to replace it, or another name\n"
    assert out.read_text() == "mine"
    assert run(["predict", "m", "d.csv", "--out", "p.csv", "--force"]) == 0
    assert out.read_text().startswith("step,")


def test_a_model_that_exists_is_refused_before_any_work(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (model / "model.json").read_bytes()
    assert run(["fit", "level", "no-such-file.csv", "--target", "y", "--out", "m"]) == 2
    assert capsys.readouterr().err == "--out 'm' exists. Pass --force to replace it, or another name\n"
    assert (model / "model.json").read_bytes() == before
    assert run(["fit", "level", "d.csv", "--target", "y", "--kind", "median", "--out", "m", "--force"]) == 0
    assert longspan.load("m").info()["metrics"]["level"] == 4.0


def test_force_replaces_only_a_model(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos").mkdir()
    Path("photos/one.jpg").write_bytes(b"dear")
    assert run(["fit", "level", "d.csv", "--target", "y", "--out", "photos", "--force"]) == 2
    assert "not a longspan model" in capsys.readouterr().err
    assert listing(place / "photos") == ["one.jpg"]


@pytest.mark.parametrize("words", [["--fail", "data"], ["--fail", "crash"]])
def test_nothing_is_left_when_a_fit_fails(
    place: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(["fit", "level", "d.csv", "--target", "y", "--out", "m", *words])
    assert listing(place) == ["d.csv"]


def test_data_errors_say_where(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", "level", "d.csv", "--target", "z", "--out", "m", "--json"]) == 2
    said = capsys.readouterr()
    found = json.loads(said.out)["error"]
    assert found == {
        "type": "DataError",
        "message": "d.csv, column 'z': expected it among ['t', 'y'], got none",
        "exit_code": 2,
        "source": "d.csv",
        "row": None,
        "column": "z",
    }
    assert said.err == found["message"] + "\n"


def test_an_interrupted_fit_says_how_to_go_on_and_does(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", "level", "d.csv", "--target", "y", "--fail", "interrupt", "--out", "m"]
    assert run(words) == 130
    assert f"Interrupted. Go on with: longspan {' '.join(words)} --resume" in capsys.readouterr().err
    assert listing(place) == ["d.csv", "m.partial"]

    assert run(words) == 2
    assert "Pass --resume to go on with it, or --force to start anew" in capsys.readouterr().err

    assert run([*words, "--resume", "--trim", "0.1"]) == 2
    assert "option 'trim' was 0.0, now 0.1" in capsys.readouterr().err
    assert listing(place) == ["d.csv", "m.partial"]

    assert run([*words, "--resume"]) == 0
    assert listing(place) == ["d.csv", "m"]


def test_ctrl_c_in_any_verb_is_130(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("level_task.Level.predict", interrupt)
    assert run(["predict", "m", "d.csv", "--json"]) == 130
    said = capsys.readouterr()
    assert json.loads(said.out)["error"] == {
        "type": "Interrupted",
        "message": "Interrupted.",
        "exit_code": 130,
    }
    assert said.err == "Interrupted.\n"


def test_training_that_was_stopped_says_itself_how_to_go_on(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from longspan.core.errors import Interrupted

    def stop(*_: Any) -> None:
        raise Interrupted("stopped after step 7. Go on with --resume", step=7, workspace=None, number=15)

    monkeypatch.setattr("level_task.Level.fit", stop)
    assert run(["fit", "level", "d.csv", "--target", "y", "--out", "m"]) == 128 + 15
    assert capsys.readouterr().err == "stopped after step 7. Go on with --resume\n"


def test_no_words_at_all_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    said = capsys.readouterr()
    assert "evaluate" in said.out
    assert said.err.strip() == ""


def test_resume_without_an_interrupted_run_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fit", "level", "d.csv", "--target", "y", "--out", "m", "--resume"]) == 2
    assert "Leave --resume out to start one" in capsys.readouterr().err


def test_an_unexpected_error_is_short_unless_debugged(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", "level", "d.csv", "--target", "y", "--fail", "crash", "--out", "m", "--quiet"]
    assert run(words) == 1
    short = capsys.readouterr().err
    assert "RuntimeError: boom" in short
    assert "--debug" in short
    assert "Traceback" not in short
    assert run([*words, "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_missing_model_is_no_traceback(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "nothing-here", "--json"]) == 1
    found = answer(capsys)["error"]
    assert found["type"] == "ModelError"
    assert "nothing-here" in found["message"]


def test_quiet_is_quiet(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", "level", "d.csv", "--target", "y", "--out", "m", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
