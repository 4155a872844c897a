"""What ``fit forecast`` says of its forecast: backtest, baselines, calibration, search, stages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import longspan
from longspan.api import Model, plain
from longspan.baselines.table import BASELINES
from longspan.core.errors import InputError
from longspan.data.synthetic import counts, random_walk, seasonal_panel, sine
from longspan.evaluation.conformal import apply
from longspan.models import course, rivals
from longspan.models.backtest import member_seed
from longspan.models.session import Session
from longspan.tasks import forecast_report
from longspan.tasks.base import find_task

SMALL: dict[str, Any] = {"hidden": 8, "steps": 30, "batch": 32, "validate_every": 10}
FAST = ("last_value", "drift", "seasonal_naive")
DAILY = seasonal_panel(3, 120, 7, frequency="D")
NAMED: dict[str, Any] = {"target": "value", "series": "id", "horizon": 7}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def fit(data: Any, **options: Any) -> Model:
    return longspan.fit("forecast", data, **({"baselines": FAST, "seeds": 2} | SMALL | options))


class Cut(BaseException):
    """The process is gone."""


@pytest.fixture(autouse=True)
def no_page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing the report takes longer than all else: only tests that ask for ``page`` have one."""
    if "page" not in request.fixturenames:
        monkeypatch.setattr(forecast_report, "forecast_report", lambda *_, **__: "<!doctype html>")


@pytest.fixture
def page() -> None:
    """The report is drawn."""


@pytest.fixture(scope="module")
def model() -> Model:
    return fit(DAILY, **NAMED)


def record(made: Model) -> dict[str, Any]:
    return made.work.record  # type: ignore[attr-defined]


def test_a_fit_says_how_good_it_is_and_against_what(model: Model) -> None:
    found = record(model)["backtest"]
    assert found["origins"] == {"calibrating": 8, "testing": 8, "stride": 2, "part": 42}
    assert found["seeds"] == {"asked": 2, "tested": 2}
    assert [row["name"] for row in found["table"]] == ["model", "ensemble", *FAST]
    assert {row["origins"] for row in found["table"]} == {3 * 8}
    assert found["table"][0]["spread"]["mase"] > 0
    assert [(each["first"], each["last"]) for each in found["horizons"]] == [(n, n) for n in range(1, 8)]
    assert found["verdict"]["outcome"] in ("better", "worse", "no difference", "cannot tell")
    assert found["verdict"]["baseline"] == "seasonal_naive"
    shown = model.info()["metrics"]["backtest"]
    assert shown["verdict"] == found["verdict"]["words"]
    assert [row["method"] for row in shown["methods"]][2:] == [BASELINES[name].title for name in FAST]
    json.dumps(plain(record(model)), allow_nan=False)


def test_the_scores_are_those_that_a_person_computes(model: Model) -> None:
    """MASE of the seasonal naive on the test origins, by hand from the table."""
    errors, origins = [], [120 - 7 - 2 * back for back in range(8)]
    for name in DAILY["id"].unique().sort():
        values = DAILY.filter(pl.col("id") == name).sort("time")["value"].to_numpy()
        scale = np.abs(values[7 : 120 - 42] - values[: 120 - 42 - 7]).mean()
        errors += [np.abs(values[o : o + 7] - values[o - 7 : o]).mean() / scale for o in origins]
    row = next(each for each in record(model)["backtest"]["table"] if each["name"] == "seasonal_naive")
    assert row["scores"]["mase"] == pytest.approx(np.mean(errors), rel=1e-12)


def test_the_verdict_comes_first_in_the_report_and_on_the_terminal(
    page: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fit(DAILY, **NAMED, progress=True)
    words = record(made)["backtest"]["verdict"]["words"]
    said = capsys.readouterr().err
    assert "backtest: 16 origins 2 steps apart: 8 calibrate, 8 test, on the last 42 values" in said
    assert "audit: " in said
    assert words in said
    made.save(tmp_path / "m")
    text = (tmp_path / "m" / "report.html").read_text()
    assert text.index(words[:40]) < text.index("<svg")


def test_the_values_of_the_backtest_part_train_no_tested_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """With noise after the first origin every tested network forecasts that origin with the same bits."""
    row = pl.int_range(pl.len()).over("id")
    noisy = DAILY.with_columns(value=pl.when(row < 78).then("value").otherwise(pl.col("value") * 7 - 3))
    found: list[Any] = []
    real = course.run_backtest

    def kept(*given: Any, **named: Any) -> Any:
        found.append(real(*given, **named).backtest)
        raise Cut

    monkeypatch.setattr(course, "run_backtest", kept)
    for data in (DAILY, noisy):
        with pytest.raises(Cut):
            fit(data, **NAMED, nonnegative=False)
    one, other = found
    first = one.origin == 78
    assert first.sum() == 3
    assert one.scale.tolist() == other.scale.tolist()
    for a, b in zip((*one.model, *one.baselines), (*other.model, *other.baselines), strict=True):
        assert a.median[first].tobytes() == b.median[first].tobytes(), a.name
        assert not np.array_equal(a.median[~first], b.median[~first])


def test_intervals_are_calibrated_and_the_model_keeps_the_calibration(model: Model, tmp_path: Path) -> None:
    work = model.work
    kept = work.calibration  # type: ignore[attr-defined]
    assert kept.n > 39
    again = longspan.load(model.save(tmp_path / "m"))
    assert again.work.calibration == kept  # type: ignore[attr-defined]
    found = model.predict(DAILY)
    assert again.predict(DAILY).equals(found)
    without = type(work)(**(vars(work) | {"calibration": None}))  # type: ignore[call-arg]
    options = find_task("forecast").predict_options()
    raw = without.predict(DAILY, options)
    assert raw["forecast"].equals(found["forecast"])
    levels = tuple(float(name[1:]) for name in raw.columns if name.startswith("q"))
    before, after = (each.select(pl.col("^q.*$")).to_numpy().reshape(3, 7, -1) for each in (raw, found))
    expected = np.maximum(apply(kept, before, levels), 0.0)
    np.testing.assert_array_equal(after, expected)
    assert not np.array_equal(after, before)
    # A level is the same whichever others are asked for.
    some = model.predict(DAILY, levels=(0.1, 0.5, 0.85))
    assert some["q0.1"].equals(found["q0.1"])
    quantiles = model.predict(DAILY, levels=(0.05, 0.5, 0.8, 0.85, 0.97)).select(pl.col("^q.*$")).to_numpy()
    assert (np.diff(quantiles, axis=1) >= 0).all()


def test_a_folder_without_calibration_is_read(model: Model, tmp_path: Path) -> None:
    """As they were before there was a backtest."""
    contents = model.work.contents()
    config = {key: each for key, each in contents.config.items() if key not in ("calibration", "members")}
    old = {key: config["record"][key] for key in ("data", "validation", "notes", "steps")}
    kept = type(contents)(config=config | {"record": old}, tensors=contents.tensors, files=contents.files)
    again = find_task("forecast").load_work().restore(kept)
    assert again.calibration is None
    assert set(again.describe()["metrics"]) == {"validation"}
    options = find_task("forecast").predict_options()
    assert again.predict(DAILY, options)["forecast"].equals(model.predict(DAILY)["forecast"])


def test_an_ensemble_is_the_mean_of_its_members(tmp_path: Path) -> None:
    both = fit(DAILY, **NAMED, ensemble=True, out=str(tmp_path / "m"))
    work = both.work
    assert len(work.forecasters) == 2  # type: ignore[attr-defined]
    singles = [fit(DAILY, **NAMED, seed=seed) for seed in (0, member_seed(0, 1))]
    expected = np.mean([each.predict(DAILY)["forecast"].to_numpy() for each in singles], axis=0)
    np.testing.assert_allclose(both.predict(DAILY)["forecast"].to_numpy(), expected, rtol=1e-12)
    assert longspan.load(tmp_path / "m").predict(DAILY).equals(both.predict(DAILY))
    assert both.info()["sizes"]["parameters"] == 2 * singles[0].info()["sizes"]["parameters"]
    assert record(both)["backtest"]["ensemble"] is True


def test_series_too_short_for_a_backtest_are_learned_and_it_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = fit(random_walk(22), horizon=10, progress=True)
    found = record(made)["backtest"]
    assert found["verdict"]["outcome"] == "not tested"
    assert "the series has 22 values and a backtest of 10 steps needs 50" in found["reason"]
    assert found["reason"] in capsys.readouterr().err
    assert made.predict(random_walk(22)).height == 10
    assert made.info()["calibration"] == "none"


def test_no_backtest_where_none_is_asked() -> None:
    made = fit(DAILY, **NAMED, backtest=0)
    assert record(made)["backtest"]["reason"] == "the backtest was turned off"
    assert made.info()["metrics"]["backtest"]["outcome"] == "not tested"


def test_what_cannot_be_learned_before_the_part_is_no_reason_to_fail() -> None:
    """All values before the backtest part are missing but a few."""
    steps = pl.int_range(pl.len())
    data = sine(200, 20).with_columns(value=pl.when((steps < 3) | (steps > 125)).then("value"))
    made = fit(data, horizon=5, season=0)
    found = record(made)["backtest"]
    assert found["verdict"]["outcome"] == "not tested"
    assert found["reason"].startswith("what lies before the backtest part cannot be learned from: ")
    assert made.predict(data).height == 5


def test_a_search_is_kept_and_its_best_trial_is_used(tmp_path: Path) -> None:
    made = fit(DAILY, **(NAMED | {"batch": 64}), tune=4, out=str(tmp_path / "m"))
    table = record(made)["tuning"]
    assert [row["trial"] for row in table] == [1, 2, 3, 4]
    assert {row["batch_size"] for row in table} == {64}, "what the user sets is not searched"
    assert {row["hidden_size"] for row in table} == {8}
    best = min(table, key=lambda row: row["loss"])
    design = made.info()["design"]
    assert (design["num_layers"], design["dropout"], design["context"]) == (
        best["num_layers"],
        best["dropout"],
        best["context"],
    )
    again = fit(DAILY, **(NAMED | {"batch": 64}), tune=4)
    assert [row["loss"] for row in record(again)["tuning"]] == [row["loss"] for row in table]
    assert longspan.load(tmp_path / "m").info()["tuning"] == made.info()["tuning"]


def test_baselines_are_chosen_by_name_and_all_are_offered() -> None:
    options = find_task("forecast").fit_options
    named = options.model_fields["baselines"].annotation
    assert set(named.__args__[0].__args__) == set(BASELINES)
    with pytest.raises(InputError, match="baselines= expected 'last_value'"):
        fit(DAILY, **NAMED, baselines="naive")
    found = record(fit(DAILY, **NAMED, baselines=("ridge", "drift")))["backtest"]
    assert [row["name"] for row in found["table"]] == ["model", "ensemble", "drift", "ridge"]


def test_counts_stay_counts_after_calibration() -> None:
    data = counts(2, 120)
    found = fit(data, **NAMED, head="negative-binomial", seeds=1).predict(data)
    quantiles = found.select(pl.col("^q.*$")).to_numpy()
    np.testing.assert_array_equal(quantiles, np.round(quantiles))
    assert (quantiles >= 0).all()


@pytest.mark.parametrize(("count", "expected"), [(2, (1, 1)), (5, (2, 3))])
def test_the_number_of_origins_is_as_asked(count: int, expected: tuple[int, int]) -> None:
    found = record(fit(DAILY, **NAMED, backtest=count, seeds=1))["backtest"]["origins"]
    assert (found["calibrating"], found["testing"]) == expected


def test_a_number_of_origins_that_does_not_fit_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected at most \d+ origins for series of 120 values"):
        fit(DAILY, **NAMED, backtest=100, out=str(tmp_path / "m"))
    assert list(tmp_path.iterdir()) == []


# Stages.


def test_cut_after_any_stage_it_goes_on_to_the_same_bits_and_does_no_stage_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {**NAMED, "tune": 2, "ensemble": True, "baselines": ("drift", "ridge", "ets")}
    options |= {"steps": 6, "validate_every": 3}
    done: list[str] = []
    last: list[int] = []
    real = Session.stage

    def stage(self: Session, name: str, work: Any) -> Any:
        def noted(each: Any) -> Any:
            done.append(name)
            return work(each)

        found = real(self, name, noted)
        if last and len(done) == last[0]:
            raise Cut
        return found

    monkeypatch.setattr(Session, "stage", stage)
    whole = fit(DAILY, **options, out=str(tmp_path / "whole"))
    names = list(done)
    assert names == [
        "audit", "trial-1", "trial-2", "baseline-drift", "baseline-ridge", "baselines-of-series",
        "seed-1", "seed-2", "final-1", "final-2",
    ]  # fmt: skip
    done.clear()
    for count in (1, 3, 6, 7, 9, 10):
        last[:] = [count]
        with pytest.raises(Cut):
            fit(DAILY, **options, out=str(tmp_path / "cut"), resume=count > 1)
    last.clear()
    made = fit(DAILY, **options, out=str(tmp_path / "cut"), resume=True)
    assert done == names, "each stage once"
    weights = [(tmp_path / each / "weights.safetensors").read_bytes() for each in ("whole", "cut")]
    assert weights[0] == weights[1]
    assert timeless(record(made)) == timeless(record(whole))
    assert made.work.calibration == whole.work.calibration  # type: ignore[attr-defined]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cut", "whole"]


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if key != "seconds"}
    return [timeless(each) for each in value] if isinstance(value, list | tuple) else value


def test_a_run_with_finished_stages_is_not_thrown_away_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Session.stage

    def stage(self: Session, name: str, work: Any) -> Any:
        found = real(self, name, work)
        if name == "audit":
            raise Cut
        return found

    monkeypatch.setattr(Session, "stage", stage)
    with pytest.raises(Cut):
        fit(DAILY, **NAMED, out=str(tmp_path / "m"))
    assert (tmp_path / "m.partial" / "stage.audit.safetensors").is_file()
    monkeypatch.setattr(Session, "stage", real)
    with pytest.raises(InputError, match="an interrupted run is kept at"):
        fit(DAILY, **NAMED, out=str(tmp_path / "m"))
    with pytest.raises(InputError, match="option 'seeds' was 2, now 3"):
        fit(DAILY, **NAMED, seeds=3, out=str(tmp_path / "m"), resume=True)
    fit(DAILY, **NAMED, out=str(tmp_path / "m"), force=True)
    assert not (tmp_path / "m.partial").exists()
    shutil.rmtree(tmp_path / "m")


# Time.


def test_little_time_means_fewer_seeds_and_the_report_says_so(
    page: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every training is stopped by the clock, so there is time for one seed and the final network."""
    monkeypatch.setattr(rivals, "measured_sample", pytest.fail)
    made = fit(DAILY, **NAMED, steps=10**6, patience=10**6, seeds=3, time_budget=3.0, out=str(tmp_path / "m"))
    found = record(made)
    assert found["backtest"]["seeds"] == {"asked": 3, "tested": 1}
    note = "1 of 3 seeds were tested: the time budget allowed no more"
    assert note in found["backtest"]["notes"]
    assert note in (tmp_path / "m" / "report.html").read_text()
    stages = {each["stage"]: each for each in found["time"]["stages"]}
    assert made.info()["training"]["stopped_by"] == "time_budget"
    assert 0 < stages["seed-1"]["allotted"] < 1.5
    assert stages["seed-1"]["seconds"] >= stages["seed-1"]["allotted"]
    before = sum(each["seconds"] for name, each in stages.items() if name != "final-1")
    assert stages["final-1"]["allotted"] == pytest.approx(max(0.8 * 3 - before, 1e-3))
