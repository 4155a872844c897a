"""The forecasting task from a table to a forecast, through the Python door."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

import longspan
from longspan.api import Model, plain
from longspan.core.errors import DataError, InputError
from longspan.data.synthetic import counts, random_walk, seasonal_panel, sine

# What the backtest adds is tested in test_forecast_backtest.py.
SMALL: dict[str, Any] = {"hidden": 8, "steps": 20, "batch": 32, "validate_every": 10, "backtest": 0}
LEARNING: dict[str, Any] = {
    "backtest": 0,
    "hidden": 16,
    "steps": 300,
    "learning_rate": 0.02,
    "validate_every": 50,
}
DAILY = seasonal_panel(3, 90, 7, frequency="D")
NAMED: dict[str, Any] = {"target": "value", "series": "id", "horizon": 7}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def fit(data: Any, **options: Any) -> Model:
    return longspan.fit("forecast", data, **(SMALL | options))


def values(frame: pl.DataFrame) -> np.ndarray:
    return frame.select(pl.selectors.float()).to_numpy()


@pytest.fixture(scope="module")
def model() -> Model:
    return fit(DAILY, **NAMED)


def part(frame: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    """Rows ``first:last`` of every series."""
    row = pl.int_range(pl.len()).over("id")
    return frame.filter((row >= first) & (row < last))


def test_saved_and_loaded_forecasts_the_same_bits(model: Model, tmp_path: Path) -> None:
    again = longspan.load(model.save(tmp_path / "m"))
    assert again.predict(DAILY).equals(model.predict(DAILY))
    assert again.info() == model.info()
    assert plain(again.evaluate(DAILY)) == plain(model.evaluate(DAILY))
    assert (tmp_path / "m" / "report.html").read_bytes().startswith(b"<!doctype html>")


def test_the_same_seed_gives_the_same_weights_and_another_does_not(model: Model) -> None:
    again, other = fit(DAILY, **NAMED), fit(DAILY, **NAMED, seed=1)
    assert again.predict(DAILY).equals(model.predict(DAILY))
    assert not other.predict(DAILY).equals(model.predict(DAILY))


def test_a_forecast_has_one_row_a_value_and_quantiles_in_order(model: Model) -> None:
    found = model.predict(DAILY)
    assert found.columns[:4] == ["id", "time", "forecast", "mean"]
    assert found.height == 3 * 7
    assert found["time"].unique().sort().to_list() == [
        dt.date(2020, 3, 31) + dt.timedelta(days=n) for n in range(7)
    ]
    quantiles = found.select(pl.col("^q.*$")).to_numpy()
    assert quantiles.shape[1] == 11
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert found["forecast"].equals(found["q0.5"].alias("forecast"))


def test_levels_are_asked_for_at_predict(model: Model) -> None:
    found = model.predict(DAILY, levels=(0.05, 0.5, 0.8))
    assert found.columns[4:] == ["q0.05", "q0.5", "q0.8"]
    assert found["q0.8"].equals(model.predict(DAILY)["q0.8"])
    with pytest.raises(
        InputError, match=r"levels: expected levels from 0\.025 to 0\.975, .* got 0\.999\. Fit with"
    ):
        model.predict(DAILY, levels=(0.5, 0.999))
    with pytest.raises(InputError, match=r"with 0\.5 among them, got \(0\.1, 0\.9\)"):
        model.predict(DAILY, levels=(0.1, 0.9))


def test_newer_data_are_forecast_from_their_own_end(model: Model) -> None:
    whole = seasonal_panel(3, 120, 7, frequency="D")
    assert part(whole, 0, 90).height == DAILY.height
    found = model.predict(whole)
    assert found["time"].min() == dt.date(2020, 4, 30)
    assert np.isfinite(values(found)).all()
    # A forecast knows the past alone: the last rows are what counts, however much history comes with them.
    reach = model.info()["design"]["context"] + 7
    np.testing.assert_allclose(values(model.predict(part(whole, 120 - reach, 120))), values(found), rtol=1e-6)


def test_a_series_never_seen_is_forecast_by_its_own_level(model: Model) -> None:
    stranger = (
        part(DAILY, 0, 90)
        .filter(pl.col("id") == "series_1")
        .with_columns(pl.lit("new").alias("id"), pl.col("value") * 1000 + 1e6)
    )
    found = model.predict(stranger)
    known = model.predict(DAILY).filter(pl.col("id") == "series_1")
    assert found["id"].unique().to_list() == ["new"]
    np.testing.assert_allclose(values(found), values(known) * 1000 + 1e6, atol=0.5)


def test_the_order_of_rows_does_not_count(model: Model) -> None:
    shuffled = DAILY.sample(fraction=1, shuffle=True, seed=1)
    assert model.predict(shuffled).equals(model.predict(DAILY))


def test_evaluate_with_history_is_evaluate_on_the_joined_table(model: Model, tmp_path: Path) -> None:
    part(DAILY, 0, 76).write_csv(tmp_path / "before.csv")
    joined = model.evaluate(DAILY, last=14)
    apart = model.evaluate(part(DAILY, 76, 90), history=str(tmp_path / "before.csv"))
    assert plain(apart) == plain(joined)
    assert (joined["windows"], joined["series"]) == (3 * 8, 3)
    assert plain(model.evaluate(DAILY, last=14, stride=7))["windows"] == 3 * 2


def test_scores_are_plain_and_name_the_strongest_baseline(model: Model) -> None:
    found = model.evaluate(DAILY)
    json.dumps(plain(found), allow_nan=False)
    counts, judged = {"windows", "series", "learned_windows"}, {"strongest", "verdict", "outcome"}
    assert set(found) == {"model", "baselines", "season"} | counts | judged
    assert set(found["baselines"]) == {"last_value", "drift", "seasonal_naive", "seasonal_mean"}
    assert found["strongest"] in found["baselines"]
    assert found["strongest"].replace("_", " ") in found["verdict"]
    ours, theirs = found["model"]["mase"], found["baselines"][found["strongest"]]["mase"]
    assert ("the LSTM erred less than" in found["verdict"]) == (ours < theirs)
    assert f"(MASE {ours:.4g} against {theirs:.4g})" in found["verdict"]


def test_values_that_were_learned_from_are_no_test(model: Model, tmp_path: Path) -> None:
    for each in (model, longspan.load(model.save(tmp_path / "m"))):
        found = each.evaluate(DAILY, last=20)
        assert (found["outcome"], found["learned_windows"], found["windows"]) == ("not tested", 42, 42)
        assert found["verdict"].startswith(
            "This is no test: the model has learned from values of 42 windows. "
        )
    later = pl.concat([DAILY, part(DAILY, 62, 90).with_columns(pl.col("time") + dt.timedelta(days=28))])
    mixed = model.evaluate(later, last=40)
    assert (mixed["outcome"], mixed["learned_windows"], mixed["windows"]) == ("not tested", 36, 102)
    assert "has learned from values of 36 of 102 windows. Here the LSTM erred " in mixed["verdict"]
    fresh = model.evaluate(later, last=28)
    assert (fresh["learned_windows"], fresh["windows"]) == (0, 66)
    assert fresh["outcome"] != "not tested"
    assert "no test" not in fresh["verdict"]


def test_too_few_windows_claim_nothing(model: Model) -> None:
    whole = seasonal_panel(3, 97, 7, frequency="D")
    found = model.evaluate(whole)
    assert (found["windows"], found["learned_windows"], found["outcome"]) == (3, 0, "cannot tell")
    assert found["verdict"].startswith("On 3 windows the LSTM erred ")
    assert found["verdict"].endswith("; too few to test, since there is 1 test origin, and the test needs 8.")
    one = model.evaluate(part(whole, 0, 97).filter(pl.col("id") == "series_1"))
    assert one["verdict"].startswith("On 1 window the LSTM erred ")


def test_enough_windows_are_tested_as_the_backtest_is(model: Model) -> None:
    """On random walks nothing is better than the last value, and hardly ever is it said."""
    said = []
    for seed in range(12):
        walk = np.cumsum(np.random.default_rng(seed).normal(size=150))
        data = DAILY.head(1).select("id").join(pl.DataFrame({"value": walk}), how="cross")
        days = pl.date_range(dt.date(2021, 1, 1), dt.date(2021, 5, 30), "1d", eager=True).cast(
            DAILY["time"].dtype
        )
        found = model.evaluate(data.with_columns(days.alias("time")), last=100)
        assert (found["windows"], found["learned_windows"]) == (94, 0)
        said.append(found["outcome"])
        if found["outcome"] != "worse":
            assert "Diebold–Mariano over origins, n = 94" in found["verdict"]
    assert set(said) <= {"better", "worse", "no difference"}
    assert said.count("better") <= 1


def test_a_clear_advantage_is_told_with_its_test() -> None:
    data = seasonal_panel(2, 240, 7, frequency="D", noise=0.3)
    made = fit(part(data, 0, 160), **(NAMED | LEARNING))
    found = made.evaluate(data, last=80)
    assert found["outcome"] in ("better", "no difference", "worse")
    assert found["verdict"].startswith(
        {"better": "The LSTM is better than ", "worse": "The LSTM loses to "}.get(
            found["outcome"], "No difference shown between the LSTM and "
        )
    )
    assert "adjusted p" in found["verdict"]


def test_a_folder_of_before_does_not_know_what_was_learned(model: Model) -> None:
    work: Any = model.work
    record = {name: value for name, value in work.record.items() if name != "learned"}
    found = replace(work, record=record).evaluate(DAILY, model.task.evaluate_options())
    assert (found["learned_windows"], found["outcome"]) == (0, "cannot tell")


def test_the_test_part_decides_nothing_before_it(model: Model) -> None:
    """Noise after the cut changes the scores and not one bit of the forecasts or of the scale of MASE."""
    row = pl.int_range(pl.len()).over("id")
    noisy = DAILY.with_columns(value=pl.when(row < 83).then("value").otherwise(pl.col("value") * -50))
    one, two = model.predict(part(DAILY, 0, 83)), model.predict(part(noisy, 0, 83))
    assert one.equals(two)
    assert model.evaluate(noisy)["model"]["mae"] > 10 * model.evaluate(DAILY)["model"]["mae"]


def test_a_test_part_too_short_is_refused(model: Model) -> None:
    with pytest.raises(DataError, match=r"test part of at least 7 values .*got none\. Give more rows"):
        model.evaluate(DAILY, last=3)


def test_info_tells_where_the_model_comes_from(model: Model) -> None:
    found = model.info()
    assert found["task"] == "forecast"
    assert found["data"]["rows"] == {"values": 270, "series": 3, "windows": found["data"]["rows"]["windows"]}
    assert len(found["data"]["sha256"]) == 64
    assert found["design"]["horizon"] == 7
    assert found["columns"]["target"] == "value"
    assert found["sizes"]["parameters"] == sum(each.numel() for each in model.work.forecaster.parameters())  # type: ignore[attr-defined]
    assert found["training"]["steps"] == 20
    assert "horizon=7" in found["command"]


def test_pandas_in_pandas_out(model: Model) -> None:
    frame = pd.DataFrame(DAILY.to_dict(as_series=False))
    found = model.predict(frame)
    assert isinstance(found, pd.DataFrame)
    np.testing.assert_array_equal(found["forecast"].to_numpy(), model.predict(DAILY)["forecast"].to_numpy())
    again = fit(frame, **NAMED)
    assert again.predict(DAILY).equals(model.predict(DAILY))
    assert again.info()["data"]["sha256"] == model.info()["data"]["sha256"]


@pytest.mark.parametrize("head", ["quantile", "student-t", "negative-binomial"])
@pytest.mark.parametrize("decoding", ["direct", "step"])
def test_every_head_and_decoding_from_end_to_end(head: str, decoding: str, tmp_path: Path) -> None:
    data = counts(2, 120)
    made = fit(data, **NAMED, head=head, decoding=decoding, out=str(tmp_path / "m"))
    found = made.predict(data)
    assert np.isfinite(values(found)).all()
    assert (np.diff(found.select(pl.col("^q.*$")).to_numpy(), axis=1) >= 0).all()
    assert (values(found) >= 0).all()
    if head == "negative-binomial":
        quantiles = found.select(pl.col("^q.*$")).to_numpy()
        np.testing.assert_allclose(quantiles, np.round(quantiles), atol=1e-6)
    assert longspan.load(tmp_path / "m").predict(data).equals(found)


def test_nonnegative_series_stay_nonnegative() -> None:
    draws = np.random.default_rng(0)
    data = pl.DataFrame({"y": np.maximum(draws.normal(0.2, 1.0, 200), 0)})
    bound, free = (
        fit(data, horizon=5, learning_rate=0.05),
        fit(data, horizon=5, learning_rate=0.05, nonnegative=False),
    )
    assert bound.info()["design"]["nonnegative"] is True
    assert values(bound.predict(data)).min() == 0.0
    assert values(free.predict(data)).min() < 0.0


@pytest.mark.parametrize("value", [0.0, 5.0, -1e9])
def test_a_constant_series_is_learned_saved_and_forecast(value: float, tmp_path: Path) -> None:
    data = pl.DataFrame({"y": [value] * 80})
    made = fit(data, horizon=4, out=str(tmp_path / "m"))
    again = longspan.load(tmp_path / "m")
    assert again.info()["metrics"]["validation"]["model"]["mase"] is None
    assert again.predict(data).equals(made.predict(data))
    assert again.evaluate(data)["verdict"]
    assert "the series is constant" in again.info()["notes"]


def test_series_shorter_than_the_horizon_stand_beside_long_ones(tmp_path: Path) -> None:
    row, number = pl.int_range(pl.len()).over("id"), pl.col("id").str.tail(1).cast(pl.Int64)
    data = DAILY.filter((number < 3) | (row < 3))
    made = fit(data, **NAMED)
    found = made.predict(data)
    assert found.group_by("id").len()["len"].to_list() == [7, 7, 7]
    assert np.isfinite(values(found)).all()
    last = data.filter(pl.col("id") == "series_3")["time"].max()
    assert found.filter(pl.col("id") == "series_3")["time"].min() == last.date() + dt.timedelta(days=1)
    assert any("not learned from: 'series_3'" in note for note in made.info()["notes"])
    assert made.evaluate(data)["series"] == 2


@pytest.mark.parametrize("decoding", ["direct", "step"])
def test_horizon_one(decoding: str) -> None:
    data = random_walk(120)
    made = fit(data, horizon=1, decoding=decoding)
    found = made.predict(data)
    assert found["step"].to_list() == [121]
    assert made.evaluate(data, last=10)["windows"] == 10


def test_a_season_of_one_step_is_refused_and_none_is_none() -> None:
    with pytest.raises(InputError, match="seasons: expected steps from 2, got 1"):
        fit(sine(200, 20), horizon=5, season=1)
    assert fit(sine(200, 20), horizon=5, season=0).info()["design"]["seasons"] == []
    assert fit(sine(400, 20), horizon=5, season=10).info()["design"]["seasons"] == [10]


def test_several_columns_name_a_series() -> None:
    data = DAILY.with_columns(pl.lit("north").alias("region"))
    made = fit(data, target="value", series=("region", "id"), horizon=7)
    found = made.predict(data)
    assert found["region"].unique().to_list() == ["north"]
    assert found["id"].unique(maintain_order=True).to_list() == [f"series_{n}" for n in (1, 2, 3)]


def test_a_pandas_frame_with_a_zone_is_answered_in_that_zone() -> None:
    times = pd.date_range("2024-03-29", periods=96, freq="h", tz="Europe/Berlin")
    data = pd.DataFrame({"time": times, "y": np.sin(np.arange(96) / 4)})
    found = fit(data, target="y", horizon=5).predict(data)
    expected = pd.date_range(times[-1] + pd.Timedelta("1h"), periods=5, freq="h")
    assert str(found["time"].dt.tz) == "Europe/Berlin"
    assert found["time"].tolist() == expected.tolist()


def test_series_that_cannot_be_forecast_are_named(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", logger="longspan"):
        model.predict(DAILY)
    assert not caplog.records
    day = DAILY["time"][0]
    empty = pl.DataFrame({"id": [f"e{n}" for n in range(1, 8)], "time": [day] * 7, "value": [None] * 7})
    both = pl.concat([DAILY, empty.cast(DAILY.schema).select(DAILY.columns)])
    with caplog.at_level("WARNING", logger="longspan"):
        found = model.predict(both)
    assert found.equals(model.predict(DAILY))
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    assert caplog.messages[0].startswith("7 series not forecast, without a known value in the last ")
    assert caplog.messages[0].endswith(" steps: 'e1', 'e2', 'e3', 'e4', 'e5' …")


def test_one_row_a_series_as_in_m4(model: Model) -> None:
    wide = pl.DataFrame(
        {"V1": ["S2", "S1"]}
        | {f"V{n + 2}": [float(np.sin(n)), np.cos(n) if n < 60 else None] for n in range(80)}
    )
    made = fit(wide, horizon=4)
    found = made.predict(wide)
    assert found["V1"].unique(maintain_order=True).to_list() == ["S1", "S2"]
    assert found["step"].to_list() == [61, 62, 63, 64, 81, 82, 83, 84]
    assert made.info()["columns"]["layout"] == "wide"
    with pytest.raises(DataError):
        made.predict(DAILY)


def covariate_data(length: int = 300, ahead: int = 0) -> pl.DataFrame:
    """The target is the known covariate of the same step, which nothing in the past tells."""
    draws = np.random.default_rng(4)
    k = draws.choice([-1.0, 1.0], length + ahead)
    y = np.r_[3 * k[:length] + 0.1 * draws.normal(size=length), np.full(ahead, np.nan)]
    return pl.DataFrame({"k": k, "colour": np.where(k > 0, "red", "blue"), "y": y}).with_columns(
        pl.col("y").fill_nan(None)
    )


@pytest.mark.parametrize("column", ["k", "colour"])
def test_a_known_covariate_that_decides_the_target_is_used(column: str) -> None:
    data = covariate_data(ahead=4)
    options: dict[str, Any] = {"target": "y", "horizon": 4, "season": 0} | LEARNING
    with_it, without = fit(data, **options, known=column), fit(data, **options)
    scores = [each.evaluate(data, last=40)["model"]["mae"] for each in (with_it, without)]
    assert scores[0] < 0.35 * scores[1]
    ahead = with_it.predict(data)["forecast"].to_numpy()
    assert (np.sign(ahead) == np.sign(data["k"].to_numpy()[-4:])).all()


def test_covariates_that_end_before_the_horizon_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"expected known covariates for 4 steps after the last 'y' .*got 2: 'k' is lacking"
    ):
        fit(covariate_data(ahead=2), target="y", known="k", horizon=4)
    made = fit(covariate_data(ahead=4), target="y", known="k", horizon=4)
    with pytest.raises(DataError, match="got 0: 'k' is lacking"):
        made.predict(covariate_data())


def test_a_past_covariate_that_leads_the_target_is_used() -> None:
    draws = np.random.default_rng(5)
    p = draws.choice([-1.0, 1.0], 400)
    data = pl.DataFrame({"p": p, "y": 3 * np.r_[0.0, p[:-1]] + 0.1 * draws.normal(size=400)})
    options: dict[str, Any] = {"target": "y", "horizon": 1, "season": 0} | LEARNING
    with_it, without = fit(data, **options, past="p"), fit(data, **options)
    scores = [each.evaluate(data, last=40)["model"]["mae"] for each in (with_it, without)]
    assert scores[0] < 0.35 * scores[1]


def test_a_static_covariate_reaches_the_forecast() -> None:
    kind = pl.col("id").replace_strict({"series_1": "a", "series_2": "b", "series_3": "a"})
    data = DAILY.with_columns(kind.alias("kind"))
    made = fit(data, **NAMED, static="kind")
    assert made.info()["columns"]["static"] == ["kind"]
    other = data.with_columns(pl.lit("b").alias("kind"))
    changed = (made.predict(other)["forecast"] != made.predict(data)["forecast"]).to_list()
    assert changed == [True] * 7 + [False] * 7 + [True] * 7


def test_missing_values_are_counted_and_never_filled() -> None:
    data = sine(300, 20).with_columns(value=pl.when(pl.int_range(pl.len()) % 7 != 3).then("value"))
    made = fit(data, horizon=5)
    assert any(note.endswith("values are missing: masked, never filled") for note in made.info()["notes"])
    assert np.isfinite(values(made.predict(data))).all()
    assert np.isfinite(made.evaluate(data)["model"]["mae"])


def test_a_tiny_table_is_refused_with_what_is_needed() -> None:
    with pytest.raises(DataError, match=r"column 'value': expected 22 values of one series at least, got 15"):
        fit(sine(15), horizon=10)


@pytest.mark.parametrize(("length", "horizon"), [(22, 10), (4, 1)])
def test_the_shortest_table_that_is_taken_is_learned_and_forecast(length: int, horizon: int) -> None:
    data = random_walk(length)
    found = fit(data, horizon=horizon).predict(data)
    assert found.height == horizon
    assert np.isfinite(values(found)).all()
    with pytest.raises(DataError, match=f"expected {length} values of one series at least, got {length - 1}"):
        fit(data[:-1], horizon=horizon)


def test_training_learns_a_clean_season() -> None:
    data = sine(600, 24, noise=0.05)
    made = fit(data, horizon=12, season=24, steps=60)
    assert made.evaluate(data, last=48)["model"]["mae"] < 0.12  # the noise alone is 0.04, the amplitude 1


def test_huge_numbers_lose_nothing() -> None:
    data = sine(400, 20).with_columns(pl.col("value") + 1e9)
    made = fit(data, horizon=5, steps=60)
    expected = 1e9 + np.sin(2 * np.pi * np.arange(400, 405) / 20)
    np.testing.assert_allclose(made.predict(data)["forecast"].to_numpy(), expected, atol=0.3)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"horizon": 0}, "horizon= expected greater than or equal to 1, got 0"),
        ({"horizon": "5"}, "horizon= expected a whole number, got '5'"),
        ({"horizont": 5}, "has no option horizont=. Did you mean horizon="),
        ({}, "fit forecast needs horizon=: steps to forecast"),
        ({"horizon": 5, "context": 10**9}, "context: expected at most the longest series, 200 steps"),
        ({"horizon": 5, "target": "valeu"}, "valeu"),
        ({"horizon": 5, "encoder": "lsmt"}, "lsmt"),
        (
            {"horizon": 5, "head": "gauss"},
            "head= expected 'quantile', 'student-t' or 'negative-binomial', got 'gauss'",
        ),
        ({"horizon": 5, "variant": "peephole", "encoder": "gru"}, "peephole"),
        ({"horizon": 5, "head": "negative-binomial"}, "expected counts"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any], text: str) -> None:
    with pytest.raises((InputError, DataError)) as caught:
        longspan.fit("forecast", sine(200, 20), **options)
    assert text in str(caught.value)
