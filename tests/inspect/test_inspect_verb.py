"""``longspan inspect`` and ``Model.inspect`` of a forecaster, from the words to the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import longspan
from longspan.api import Model
from longspan.cli import run
from longspan.core.errors import InputError
from longspan.data.synthetic import seasonal_panel

DATA = seasonal_panel(2, 120, 7, frequency="D")
NAMED: dict[str, Any] = {"target": "value", "series": "id", "horizon": 7, "hidden": 4, "steps": 10}


@pytest.fixture(scope="module")
def model() -> Model:
    return longspan.fit("forecast", DATA, **NAMED, validate_every=10, backtest=0)


@pytest.fixture
def place(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model.save("m")
    DATA.write_csv("d.csv")
    return tmp_path


def test_a_page_json_and_words(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "m", "d.csv", "--out", "p.html", "--json", "--untrained", "--quiet"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["out"] == "p.html"
    assert found["step"] == {"name": "day", "seconds": 86400.0}
    assert [each["model"] for each in found["gradients"]] == ["m", "untrained"]
    assert "What m remembers" in Path("p.html").read_text("utf-8")
    assert said.err == ""

    assert run(["inspect", "m", "d.csv"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(found["sentence"])
    assert "forget gates" in said.out
    assert "memory horizon" in said.err


def test_an_existing_file_is_refused_before_any_work(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("p.html").write_text("mine")
    assert run(["inspect", "no-model", "d.csv", "--out", "p.html"]) == 2
    assert capsys.readouterr().err == "--out 'p.html' exists. Pass --force to replace it, or another name\n"
    assert run(["inspect", "m", "d.csv", "--out", "p.pdf"]) == 2
    assert "ending in .html, .json, .safetensors, got 'p.pdf'" in capsys.readouterr().err
    assert run(["inspect", "m", "d.csv", "--out", "p.html", "--force", "--quiet"]) == 0
    assert Path("p.html").read_text("utf-8").startswith("<!doctype html>")


def test_the_drawn_series_and_time_are_chosen(model: Model) -> None:
    found = model.inspect(DATA, of="series_1", at="2020-04-20", ahead=3)
    assert found.shown.title == "series_1, up to 2020-04-20"
    assert found.attribution.name == "forecast of value, 3 steps (3 days) ahead"
    assert model.inspect(DATA).shown.title == "series_2, up to 2020-04-22"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"of": "series_9"}, r"of: expected one of the series, such as 'series_1', got 'series_9'"),
        ({"at": "1999-01-01"}, r"at: expected a time from 2020-0\d-\d\d to 2020-04-22, written like these"),
        ({"ahead": 8}, r"ahead: expected a step from 1 to 7, got 8"),
        ({"threshold": 2.0}, r"threshold= expected less than 1, got 2\.0"),
        ({"treshold": 0.1}, r"inspect a forecast model has no option treshold="),
        ({"against": ("lstn",)}, r"^against= expected one of rnn, gru, lstm.*'lstn'\. Did you mean 'lstm'\?"),
    ],
)
def test_wrong_options_are_named(model: Model, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        model.inspect(DATA, **options)


def test_a_plain_network_trained_the_same_way(place: Path) -> None:
    """From the folder, so that the recipe must have been kept there."""
    found = longspan.load("m").inspect(DATA, against=("rnn",))
    assert [each.title for each in found.gradients] == ["this model", "rnn, trained the same way"]
    assert [curve.name for curve in found.gradients[1].states] == ["loss by h"]


@pytest.mark.usefixtures("level_task")
def test_a_task_that_cannot_be_looked_into_says_so(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("l.csv").write_text("t,y\n1,2.0\n2,4.0\n")
    assert run(["fit", "level", "l.csv", "--target", "y", "--out", "level", "--quiet"]) == 0
    capsys.readouterr()
    assert run(["inspect", "level", "l.csv"]) == 2
    expected = "inspect: a level model cannot be looked into. Tasks that can: forecast\n"
    assert capsys.readouterr().err == expected
