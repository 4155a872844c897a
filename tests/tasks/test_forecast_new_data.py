"""What a message advises a fitted forecaster has: newer data that are written otherwise, on both doors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

import longspan
from longspan.api import Model, plain
from longspan.cli import run
from longspan.core.errors import DataError, InputError
from longspan.data.synthetic import sine

SMALL: dict[str, Any] = {"horizon": 5, "hidden": 4, "steps": 10, "validate_every": 10, "backtest": 0}
ROWS = 80
VALUES = [round(1000.5 + 100 * float(np.sin(n / 3)), 2) for n in range(ROWS)]
DAYS = pl.date_range(pl.date(2023, 1, 1), pl.date(2023, 3, 21), eager=True)
PLAIN = pl.DataFrame({"day": DAYS, "y": VALUES})


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model ``m`` that was fitted on ``d.csv``."""
    folder = tmp_path_factory.mktemp("new")
    PLAIN.write_csv(folder / "d.csv")
    longspan.fit("forecast", str(folder / "d.csv"), target="y", **SMALL, out=folder / "m")
    return folder


@pytest.fixture(scope="module")
def model(place: Path) -> Model:
    return longspan.load(place / "m")


def table(days: list[str], values: list[str], separator: str = ",") -> str:
    return "\n".join(separator.join(each) for each in [("day", "y"), *zip(days, values, strict=True)]) + "\n"


ISO, TEXT = [str(day) for day in DAYS], [str(value) for value in VALUES]
GERMAN = [f"{value:,.2f}".translate(str.maketrans(",.", ".,")) for value in VALUES]
DOTTED = [day.strftime("%d.%m.%y") for day in DAYS]
# name → (the file, what Python is told, what the shell is told, words for it)
OTHERWISE: dict[str, tuple[str, dict[str, Any], str, tuple[str, ...]]] = {
    "missing": (
        table(ISO, [*TEXT[:20], "n/a", *TEXT[21:]]),
        {"missing": "n/a"},
        "--missing 'n/a'",
        ("--missing", "n/a"),
    ),
    "decimal": (
        table(ISO, [text.replace(".", ",") for text in TEXT], ";"),
        {"decimal": ","},
        "--decimal ','",
        ("--decimal", ","),
    ),
    "thousands": (
        table(ISO, [f"{value:,.0f}".replace(",", " ") for value in VALUES], ";"),
        {"thousands": " "},
        "--thousands ' '",
        ("--thousands", " "),
    ),
    "duplicates": (
        table([*ISO, ISO[-1]], [*TEXT, TEXT[-1]]),
        {"duplicates": "mean"},
        "--duplicates 'mean'",
        ("--duplicates", "mean"),
    ),
}
VERBS: dict[str, Callable[[Model, str, dict[str, Any]], Any]] = {
    "predict": lambda model, path, told: model.predict(path, **told),
    "evaluate": lambda model, path, told: model.evaluate(path, **told),
    "inspect": lambda model, path, told: model.inspect(path, **told),
}


@pytest.mark.parametrize("name", OTHERWISE)
@pytest.mark.parametrize("verb", VERBS)
def test_what_is_advised_can_be_passed(
    place: Path, model: Model, verb: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, told, advice, words = OTHERWISE[name]
    path = tmp_path / "new.csv"
    path.write_text(text)
    ((option, value),) = told.items()
    with pytest.raises(DataError) as caught:
        VERBS[verb](model, str(path), {})
    assert f"ass {option}={value!r}" in str(caught.value)
    assert f"--{option}" not in str(caught.value)
    assert VERBS[verb](model, str(path), told) is not None

    command = (verb, str(place / "m"), str(path))
    assert run(command) == 2
    assert f"ass {advice}" in capsys.readouterr().err
    assert run((*command, *words)) == 0


def test_numbers_written_otherwise_are_the_same_numbers(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "german.csv"
    path.write_text(table(DOTTED, GERMAN, ";"))
    told = {"decimal": ",", "thousands": ".", "time_format": "%d.%m.%y"}
    assert model.predict(str(path), **told).equals(model.predict(PLAIN))
    assert plain(model.evaluate(str(path), **told)) == plain(model.evaluate(PLAIN))
    assert model.inspect(str(path), **told).sentence == model.inspect(PLAIN).sentence


def test_dates_of_either_order_are_read_as_they_are_said_to_be(tmp_path: Path) -> None:
    days = pl.date_range(pl.date(2023, 1, 1), pl.date(2023, 1, 12), eager=True)
    frame = pl.DataFrame({"day": DAYS, "y": VALUES})
    made = longspan.fit("forecast", frame, target="y", **SMALL)
    path = tmp_path / "us.csv"
    path.write_text(table([day.strftime("%m/%d/%Y") for day in days], TEXT[:12]))
    with pytest.raises(DataError, match="an order of day and month that the column proves"):
        made.predict(str(path))
    found = made.predict(str(path), day_first=False)
    assert found["day"].min() == pl.date_range(pl.date(2023, 1, 13), pl.date(2023, 1, 13), eager=True)[0]


def test_the_fit_says_how_numbers_are_written_where_nobody_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "german.csv"
    path.write_text(table(ISO, GERMAN, ";"))
    written = {"decimal": ",", "thousands": "."}
    made = longspan.fit("forecast", str(path), target="y", **SMALL, **written)
    assert made.predict(str(path))["forecast"].is_finite().all()
    path.write_text(table(ISO, TEXT))
    with pytest.raises(DataError, match=r"With decimal=',' a point is no decimal sign: .*or decimal='\.'"):
        made.predict(str(path))
    assert made.predict(str(path), decimal=".", thousands=",")["forecast"].is_finite().all()


def test_steps_are_no_dates_and_dates_no_steps(model: Model) -> None:
    with pytest.raises(
        InputError, match=r"^time_format= does not go with this model, .* in 'day'\. Leave it out"
    ):
        model.predict(PLAIN, time_format="step")
    steps = pl.DataFrame({"t": np.arange(80), "y": VALUES})
    counted = longspan.fit("forecast", steps, target="y", time="t", time_format="step", **SMALL)
    with pytest.raises(InputError, match=r"^time_format= does not go with this model, .* step in 't'"):
        counted.predict(steps, time_format="%Y")
    assert counted.predict(steps, time_format="step").equals(counted.predict(steps))
    bare = longspan.fit("forecast", sine(80, 10), **SMALL)
    with pytest.raises(InputError, match=r"^day_first= does not go .* no column of times\. Leave it out"):
        bare.predict(sine(80, 10), day_first=True)


def test_hours_into_a_daily_model_are_told_what_to_fit(model: Model) -> None:
    hours = pl.datetime_range(pl.datetime(2023, 1, 1), pl.datetime(2023, 1, 4, 7), "1h", eager=True)
    with pytest.raises(
        DataError, match=r"on a grid \(daily\) .* or fit with another frequency: frequency='row'"
    ):
        model.predict(pl.DataFrame({"day": hours, "y": VALUES}))


@pytest.mark.parametrize("kind", ["polars", "pandas", "dict", "path", "text"])
def test_a_history_is_whatever_data_may_be(model: Model, kind: str, tmp_path: Path) -> None:
    before, after = PLAIN[:60], PLAIN[60:]
    before.write_csv(tmp_path / "before.csv")
    history: dict[str, Any] = {
        "polars": before,
        "pandas": pd.DataFrame(before.to_dict(as_series=False)),
        "dict": before.to_dict(as_series=False),
        "path": tmp_path / "before.csv",
        "text": str(tmp_path / "before.csv"),
    }
    assert plain(model.evaluate(after, history=history[kind])) == plain(model.evaluate(PLAIN, last=20))


def test_a_history_leaves_no_length_to_choose(
    place: Path, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        InputError, match=r"^last= does not go with history=, which makes all of the data the"
    ):
        model.evaluate(PLAIN[60:], history=PLAIN[:60], last=5)
    data = str(place / "d.csv")
    assert run(["evaluate", str(place / "m"), data, "--history", data, "--last", "5"]) == 2
    assert capsys.readouterr().err.startswith("--last does not go with --history, which makes all")
    assert run(["evaluate", "--help"]) == 0
    assert "not with --history" in " ".join(capsys.readouterr().out.replace("│", " ").split())


@pytest.mark.parametrize(
    "levels", [np.array([0.1, 0.5, 0.9]), pd.Series([0.1, 0.5, 0.9]), pl.Series([0.1, 0.5, 0.9])]
)
def test_levels_are_any_sequence_of_numbers(model: Model, levels: Any) -> None:
    assert model.predict(PLAIN, levels=levels).equals(model.predict(PLAIN, levels=(0.1, 0.5, 0.9)))


def test_too_long_a_validation_part_is_told_how_long_it_may_be() -> None:
    with pytest.raises(
        InputError, match=r"^validation= expected at most 73, so .* left to learn from, got 500$"
    ):
        longspan.fit("forecast", PLAIN, target="y", **SMALL, validation=500)
    assert (
        longspan.fit("forecast", PLAIN, target="y", **SMALL, validation=73).info()["design"]["horizon"] == 5
    )
    with pytest.raises(DataError, match="Give more history, or ask for a shorter horizon"):
        longspan.fit("forecast", PLAIN[:11], target="y", **SMALL, validation=500)


def test_an_encoder_that_there_is_not_is_named_before_the_data_are_read() -> None:
    with pytest.raises(
        InputError, match=r"^encoder= expected one of rnn, .*, got 'lstmm'\. Did you mean 'lstm'"
    ):
        longspan.fit("forecast", "no-such-file.csv", **SMALL, encoder="lstmm")


@pytest.mark.parametrize(("backtest", "label"), [(0, None), (4, "before calibration")])
def test_scores_of_the_validation_part_say_that_they_come_before_calibration(
    backtest: int, label: str | None
) -> None:
    options = SMALL | {"backtest": backtest, "seeds": 1, "baselines": "drift"}
    made = longspan.fit("forecast", PLAIN, target="y", **options)
    assert (made.info()["calibration"] == "none") == (label is None)
    assert made.info()["metrics"]["validation"].get("intervals") == label
