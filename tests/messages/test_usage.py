"""What a person reads when the words on the shell, or the arguments in Python, are wrong."""

from __future__ import annotations

import json

import pytest

import longspan
from longspan.cli import run
from longspan.core.errors import InputError

pytestmark = pytest.mark.usefixtures("level_task")

FIT = ["fit", "level", "d.csv", "--out", "m"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [*FIT],
            "longspan fit level: --target is missing: Column to learn [numbers].\n"
            "Try 'longspan fit level --help'.",
        ),
        (
            ["fit", "level"],
            "longspan fit level: DATA is missing: A CSV file, or a frame, with a column of numbers.\n"
            "Try 'longspan fit level --help'.",
        ),
        (
            [*FIT, "--targt", "y"],
            "longspan fit level: no option --targt. Did you mean --target or --trim?\n"
            "Try 'longspan fit level --help'.",
        ),
        ([*FIT, "--target", "y", "--rounds", "x"], "--rounds expected a whole number, got 'x'"),
        ([*FIT, "--target", "y", "--rounds", "2.5"], "--rounds expected a whole number, got '2.5'"),
        ([*FIT, "--target", "y", "--rounds", "0"], "--rounds expected greater than or equal to 1, got 0"),
        ([*FIT, "--target", "y", "--trim", "0.7"], "--trim expected less than 0.5, got 0.7"),
        ([*FIT, "--target", "y", "--weight", "nan"], "--weight expected a finite number, got nan"),
        ([*FIT, "--target", "y", "--kind", "mode"], "--kind expected 'mean' or 'median', got 'mode'"),
        (
            [*FIT, "--target", "y", "--trim", "1", "--kind", "mode"],
            "--kind expected 'mean' or 'median', got 'mode'\n--trim expected less than 0.5, got 1.0",
        ),
        ([*FIT, "--target", "y", "--seed", "one"], "--seed expected a whole number, got 'one'"),
        ([*FIT, "--target", "y", "--seed", "-1"], "--seed expected greater than or equal to 0, got -1"),
        (
            [*FIT, "--target", "y", "--time-budget", "5x"],
            "--time-budget expected a positive length of time such as 90, '90s', '15m' or '2h', got '5x'",
        ),
        (
            [*FIT, "--target", "y", "--device", "gpu"],
            "--device expected auto, cpu, cuda, cuda:0, cuda:1 …, xpu or mps, got 'gpu'",
        ),
        (
            ["predict", "m", "d.csv", "--out", "p.xlsx"],
            "--out expected a file ending in .csv, .parquet, .jsonl, got 'p.xlsx'",
        ),
    ],
)
def test_on_the_shell(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == message + "\n"

    assert run([*words, "--json"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["message"] == message
    assert said.err == message + "\n"


@pytest.mark.parametrize("words", [["fit", "levl", "d.csv"], ["evalute", "m"]])
def test_an_unknown_verb_or_task_names_the_nearest(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert "Did you mean" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "fit level needs target=: Column to learn [numbers]."),
        ({"targt": "y"}, "fit level has no option targt=. Did you mean target=?"),
        ({"target": "y", "rounds": "3"}, "rounds= expected a whole number, got '3'"),
        ({"target": "y", "known": ["a", 3]}, "known= expected a text, got 3"),
        ({"target": "y", "centre": "no"}, "centre= expected True or False, got 'no'"),
        (
            {"target": "y", "device": "gpu"},
            "device= expected auto, cpu, cuda, cuda:0, cuda:1 …, xpu or mps, got 'gpu'",
        ),
        ({"target": "y", "resume": True}, "resume= needs out= of the interrupted run"),
        (
            {
                "target": "y",
                "zzz": 1,
            },
            "fit level has no option zzz=. Its options: target=, known=, kind=, trim=, rounds=, weight=, "
            "centre=, fail=",
        ),
    ],
)
def test_in_python(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        longspan.fit("level", "d.csv", **options)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_an_unknown_task_in_python() -> None:
    with pytest.raises(InputError, match=r"there is no task 'levels'\. Did you mean 'level'\?"):
        longspan.fit("levels", "d.csv")
