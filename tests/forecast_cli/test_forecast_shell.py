"""``fit forecast``, ``predict``, ``evaluate`` and ``info`` as the shell sees them."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import longspan
from longspan.api import plain

Shell = Callable[..., subprocess.CompletedProcess[str]]
Listing = Callable[[Path], dict[str, bytes]]


def test_fit_says_one_json_document_and_writes_one_folder(fitted: Path) -> None:
    found = json.loads((fitted / "stdout").read_text())
    assert found["task"] == "forecast"
    assert found["model"] == "m"
    assert found["design"]["horizon"] == 7
    assert found["data"]["source"] == "d.csv"
    assert found["data"]["rows"]["series"] == 2
    assert found["command"].startswith("longspan fit forecast d.csv --target value")
    assert set(found["metrics"]) == {"backtest", "validation"}
    assert found["metrics"]["backtest"]["verdict"]
    assert set(found["metrics"]["validation"]) == {"intervals", "model", "baselines", "strongest", "season"}
    assert {each.name for each in (fitted / "m").iterdir()} == {
        "model.json",
        "weights.safetensors",
        "report.html",
    }
    assert not (fitted / "m.partial").exists()


def test_fit_prints_what_it_inferred(fitted: Path) -> None:
    said = (fitted / "stderr").read_text()
    for part in (
        *("2 series, 180 values, daily", "season: 7 steps", "forecasts 7", "audit: "),
        *("backtest: 16 origins", "backtest: training 2 of 2", "final training", "the LSTM"),
    ):
        assert part in said


def test_forecasts_go_to_standard_output_as_csv(fitted: Path, shell: Shell) -> None:
    done = shell("predict", "m", "d.csv", cwd=fitted)
    assert (done.returncode, done.stderr) == (0, "")
    found = pl.read_csv(io.StringIO(done.stdout), try_parse_dates=True)
    assert found.columns[:4] == ["id", "time", "forecast", "mean"]
    assert found.equals(longspan.load(fitted / "m").predict(str(fitted / "d.csv")))


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("f.csv", lambda path: pl.read_csv(path, try_parse_dates=True)),
        ("f.parquet", pl.read_parquet),
        ("f.jsonl", pl.read_ndjson),
    ],
)
def test_forecasts_go_to_files_of_three_kinds(
    fitted: Path, tmp_path: Path, inside: Shell, name: str, read: Callable[[Path], pl.DataFrame]
) -> None:
    out = tmp_path / name
    done = inside(
        "predict", "m", "d.csv", "--out", str(out), "--levels", "0.5", "--levels", "0.9", cwd=fitted
    )
    assert done.returncode == 0, done.stderr
    found, expected = read(out), longspan.load(fitted / "m").predict(str(fitted / "d.csv"), levels=(0.5, 0.9))
    assert found.columns == expected.columns == ["id", "time", "forecast", "mean", "q0.5", "q0.9"]
    days = found["time"].str.to_date() if found["time"].dtype == pl.String else found["time"]
    assert found.with_columns(days).equals(expected)
    again = inside("predict", "m", "d.csv", "--out", str(out), cwd=fitted)
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert read(out).equals(found)


def test_json_is_one_document_for_every_verb(fitted: Path, shell: Shell, inside: Shell) -> None:
    predicted = json.loads(shell("predict", "m", "d.csv", "--json", cwd=fitted).stdout)
    assert (predicted["task"], predicted["rows"], len(predicted["predictions"])) == ("forecast", 14, 14)
    assert predicted["predictions"][0]["time"] == "2020-03-31"
    model = longspan.load(fitted / "m")
    scored = json.loads(inside("evaluate", "m", "d.csv", "--last", "14", "--json", cwd=fitted).stdout)
    assert scored["scores"] == plain(model.evaluate(str(fitted / "d.csv"), last=14))
    described = json.loads(inside("info", "m", "--json", cwd=fitted).stdout)
    assert described == plain(model.info())


def test_people_are_shown_tables(fitted: Path, inside: Shell) -> None:
    scored, described = inside("evaluate", "m", "d.csv", cwd=fitted), inside("info", "m", cwd=fitted)
    assert (scored.returncode, described.returncode) == (0, 0)
    assert "seasonal_naive" in scored.stdout
    assert "verdict" in scored.stdout
    assert "longspan fit forecast" in described.stdout


def test_an_existing_model_is_replaced_only_by_force(
    fitted: Path, tmp_path: Path, inside: Shell, listing: Listing
) -> None:
    shutil.copytree(fitted / "m", tmp_path / "m")
    shutil.copy(fitted / "d.csv", tmp_path)
    before = listing(tmp_path)
    words = (
        "fit",
        "forecast",
        "d.csv",
        "--target",
        "value",
        "--series",
        "id",
        "--horizon",
        "3",
        "--out",
        "m",
    )
    small = ("--hidden", "4", "--steps", "3", "--quiet")
    refused = inside(*words, *small, cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--out 'm' exists. Pass --force to replace it" in refused.stderr
    assert listing(tmp_path) == before
    assert inside(*words, *small, "--force", cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "m" / "model.json").read_text())["config"]["design"]["horizon"] == 3


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--horizont", "3"), "Did you mean --horizon"),
        (("--horizon", "3", "--seasno", "7"), "Did you mean --season"),
        (("--horizon", "three"), "'three'"),
        (("--horizon", "0"), "--horizon expected"),
        ((), "--horizon is missing: steps to forecast"),
        (("--horizon", "3", "--decoding", "beam"), "'beam'"),
    ],
)
def test_wrong_options_are_named_and_nothing_is_written(
    fitted: Path, inside: Shell, listing: Listing, words: tuple[str, ...], text: str
) -> None:
    before = listing(fitted)
    done = inside("fit", "forecast", "d.csv", "--target", "value", *words, "--out", "n", cwd=fitted)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in " ".join(done.stderr.split())
    assert listing(fitted) == before


def test_a_model_that_is_not_there_is_no_traceback(fitted: Path, inside: Shell) -> None:
    done = inside("predict", "nowhere", "d.csv", cwd=fitted)
    assert done.returncode != 0
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
