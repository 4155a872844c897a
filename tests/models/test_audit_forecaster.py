"""Leaks are planted one by one, and each is named; clean data and the real preparation are never blamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from longspan.data.covariates import fit_covariates
from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel
from longspan.data.seasons import infer_seasons
from longspan.data.synthetic import counts, random_walk, seasonal_panel, sine
from longspan.data.windows import Windows
from longspan.evaluation.audit import Audit
from longspan.models.audit import (
    Forecasting,
    Prepare,
    audit_forecaster,
    forecasting,
    planned,
)
from longspan.models.fitting import Preparation, held_out
from longspan.models.planning import Wishes, plan_forecaster, training_part

Index = NDArray[np.int64]
SEEDS = range(10)
H = 6
WISHES = Wishes(context=24, hidden_size=4)


def before(cut: Index, *, seasons: bool = False) -> Callable[[Panel], Panel]:
    """What a backtest does: rows from the cut on become future rows."""

    def hide(panel: Panel) -> Panel:
        target = panel.target.copy()
        for first, rows, length in zip(panel.offsets, cut, panel.lengths, strict=False):
            target[first + rows : first + length] = np.nan
        hidden = replace(panel, target=target, observed=np.minimum(cut, panel.observed))
        if not seasons:
            return hidden
        return replace(hidden, schema=panel.schema.model_copy(update={"seasons": infer_seasons(hidden)}))

    return hide


def frame(seed: int, series: int = 3, length: int = 240) -> pl.DataFrame:
    """A season of 12, noise, a covariate of the past and one known ahead with other noise each."""
    draws = np.random.default_rng(seed)
    steps = np.arange(length)
    parts = []
    for n in range(series):
        wave = np.sin(2 * np.pi * (steps / 12 + draws.random())) * draws.uniform(1, 5)
        parts.append(
            pl.DataFrame(
                {
                    "id": [f"s{n}"] * length,
                    "y": wave + draws.normal(size=length),
                    "load": 50 + 7 * draws.normal(size=length).cumsum(),
                    "price": draws.uniform(1, 2, size=length),
                }
            )
        )
    return pl.concat(parts)


def read(table: pl.DataFrame, horizon: int = H) -> Panel:
    """The last ``horizon`` targets of each series are blank, so that the known covariate reaches ahead."""
    last = pl.len().over("id") - pl.int_range(pl.len()).over("id") <= horizon
    blank = table.with_columns(y=pl.when(last).then(None).otherwise(pl.col("y")))
    roles = Roles(target="y", series=("id",), past=("load",), known=("price",))
    return read_panel(blank, roles, seasons=(12,))


def cut_of(panel: Panel, part: int = 48) -> Index:
    return np.asarray(panel.observed - part)


def audit(
    panel: Panel,
    prepare: Prepare | None = None,
    forecast: Callable[[Preparation], Forecasting] = forecasting,
    **options: Any,
) -> Audit:
    cut = cut_of(panel)
    return audit_forecaster(
        panel, cut, prepare or planned(before(cut), H, None, WISHES), forecast=forecast, **options
    )


def kinds(found: Audit) -> set[str]:
    return {each.kind for each in found.findings}


def test_the_real_preparation_is_clean() -> None:
    found = audit(read(frame(0)))
    assert found.words() == (f"audit: {len(found.checks)} checks, nothing leaks",)
    assert len(found.checks) == 6
    assert found.checks[0].endswith("fitted numbers compared with noise after the cut")
    assert found.seconds > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_scaler_fitted_on_all_rows_is_named(seed: int) -> None:
    panel = read(frame(seed))
    honest = planned(before(cut_of(panel)), H, None, WISHES)

    def faulty(given: Panel) -> Preparation:
        return honest(fit_covariates(given, given.observed))

    found = audit(panel, faulty, seed=seed)
    assert kinds(found) == {"number from the future", "window over the cut"}
    where = {each.where for each in found.findings}
    assert {"the mean of column 'load'", "the scale of column 'load'"} <= where
    words = next(each.words for each in found.findings if each.where == "the scale of column 'load'")
    assert words.startswith("the scale of column 'load' changes with values after the cut (")
    assert "becomes" in words


@pytest.mark.parametrize("seed", SEEDS)
def test_a_training_window_over_the_cut_is_named(seed: int) -> None:
    panel = read(frame(seed))
    cut = cut_of(panel)
    honest = planned(before(cut), H, None, WISHES)

    def faulty(given: Panel) -> Preparation:
        made = honest(given)
        whole = replace(made.panel, target=given.target)
        features = made.design.features
        last = np.minimum(cut - H + 1, given.observed)  # one step too far
        return replace(made, training=Windows(whole, features.reach, H, features.context, last))

    found = audit(panel, faulty, seed=seed)
    assert kinds(found) == {"window over the cut"}
    (finding,) = found.findings
    assert finding.where == "training windows"
    assert " training windows change with values after the cut. End every window" in finding.words


@pytest.mark.parametrize("seed", SEEDS)
def test_a_forecast_that_reads_the_future_is_named(seed: int) -> None:
    def peeking(made: Preparation) -> Forecasting:
        honest = forecasting(made)

        def forecast(panel: Panel, cut: Index) -> NDArray[Any]:
            later = panel.target[panel.offsets[:-1] + np.minimum(cut, panel.lengths - 1)][cut > 0]
            return honest(panel, cut) + 1e-3 * np.nan_to_num(later)[:, None, None]

        return forecast

    found = audit(read(frame(seed)), forecast=peeking, seed=seed)
    assert kinds(found) == {"forecast from the future"}
    assert "change with values after their origin" in found.findings[0].words
    assert "of series 's0' after row 186" in found.findings[0].where


@pytest.mark.parametrize("seed", SEEDS)
def test_a_forecast_that_misses_the_last_value_is_named(seed: int) -> None:
    def lagging(made: Preparation) -> Forecasting:
        honest = forecasting(made)
        return lambda panel, cut: honest(panel, np.maximum(cut - 1, 0))

    found = audit(read(frame(seed)), forecast=lagging, seed=seed)
    assert kinds(found) == {"last value not read"}
    assert "the last observation is not read" in found.findings[0].words


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (3.0, -40.0)])
def test_the_same_series_on_both_sides_is_named(seed: int, scale: float, shift: float) -> None:
    """A copy under another name that runs on, so that what is tested of one is learned from in the other."""
    table = frame(seed)
    longer = frame(100 + seed, series=1, length=360)
    one = table.filter(pl.col("id") == "s1")["y"].to_numpy() * scale + shift
    values = np.r_[one, longer["y"].to_numpy()[len(one) :]]
    copy = longer.with_columns(id=pl.lit("copy"), y=pl.Series(values))
    found = audit(read(pl.concat([table, copy])), seed=seed)
    assert kinds(found) == {"same series on both sides"}
    (finding,) = found.findings
    assert finding.where == "series 's1', series 'copy'"
    assert "of series 's1', tested in part, are values 1 to 234 of series 'copy', learned from" in (
        finding.words
    )
    assert ("value for value" if scale == 1 else "(times 0.3333, plus 13.33)") in finding.words


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("column", "lag"), [("load", 1), ("load", H), ("price", 0), ("price", 3)])
def test_the_target_shifted_in_a_covariate_is_named(seed: int, column: str, lag: int) -> None:
    later = pl.col("y").shift(-lag).over("id").fill_null(0.0)
    table = frame(seed).with_columns((2.5 * later + 7).alias(column))
    found = audit(read(table), seed=seed)
    assert kinds(found) == {"target shifted"}
    (finding,) = found.findings
    assert finding.where == f"column '{column}'"
    step = "1 step" if lag == 1 else f"{lag} steps"
    of = f"carries the target of {step} later" if lag else "known ahead, is the target of the same row"
    assert of in finding.words
    assert "(in 3 of 3 series)" in finding.words


def test_an_earlier_target_in_a_past_covariate_is_no_leak() -> None:
    for lag in (0, 1, 5):
        earlier = pl.col("y").shift(lag).over("id").fill_null(0.0)
        assert audit(read(frame(3).with_columns(load=earlier))).clean, lag


def test_an_earlier_target_known_ahead_is_named_with_the_step_from_which_it_leaks() -> None:
    table = frame(3).with_columns(price=pl.col("y").shift(2).over("id").fill_null(0.0))
    (finding,) = audit(read(table)).findings
    assert "is the target of 2 steps before (in 3 of 3 series), which from step 3 of 6 on" in finding.words
    far = frame(3).with_columns(price=pl.col("y").shift(H).over("id").fill_null(0.0))
    assert audit(read(far)).clean


def test_seasons_found_in_all_rows_are_named() -> None:
    """The seasons of a whole file were found with the help of what is tested."""
    values = np.random.default_rng(0).normal(size=(1, 400))
    values[0, 200:] += 9 * np.sin(np.arange(200) * np.pi / 6)
    panel = read_panel(pl.DataFrame({"y": values[0]}), Roles(target="y"))
    assert panel.schema.seasons == (12,)
    cut = np.array([200])
    wishes = Wishes(hidden_size=4)
    trusting = planned(before(cut), H, None, wishes)
    found = audit_forecaster(panel, cut, trusting, inferred=True)
    assert "the design's seasons" in {each.where for each in found.findings}
    careful = planned(before(cut, seasons=True), H, None, wishes)
    assert audit_forecaster(panel, cut, careful, inferred=True).clean


def test_a_sign_taken_from_all_rows_is_named() -> None:
    """Whether forecasts may be negative was once decided with the values after the cut."""
    values = 5 + np.random.default_rng(0).normal(size=300).cumsum()
    panel = read_panel(pl.DataFrame({"y": values - values.min() + 1}), Roles(target="y"), seasons=())
    cut = np.array([240])
    honest = planned(before(cut), H, None, WISHES)

    def faulty(given: Panel) -> Preparation:
        made = honest(given)
        nonnegative = not bool((given.target < 0).any())
        return replace(made, design=made.design.model_copy(update={"nonnegative": nonnegative}))

    found = audit_forecaster(panel, cut, faulty)
    assert [each.where for each in found.findings] == ["the design's nonnegative"]
    assert "('true' becomes 'false')" in found.findings[0].words


def test_levels_counted_in_all_rows_are_named() -> None:
    """A level that only occurs after the cut is no input: nothing can be learned of it."""
    late = pl.int_range(pl.len()).over("id") >= 200
    table = frame(0).with_columns(load=pl.when(late).then(pl.lit("storm")).otherwise(pl.lit("calm")))
    panel = read(
        table.with_columns(load=pl.when(pl.col("price") > 1.9).then(pl.lit("rain")).otherwise("load"))
    )
    honest = planned(before(cut_of(panel)), H, None, WISHES)
    assert audit(panel, honest).clean

    def faulty(given: Panel) -> Preparation:
        return honest(fit_covariates(given, given.observed))

    found = audit(panel, faulty)
    assert "number from the future" in kinds(found)
    assert "the list of levels of column 'load'" in {each.where for each in found.findings}


CLEAN = {
    "random walk": lambda seed: random_walk(400, seed=seed),
    "sine": lambda seed: sine(900, period=100.0, noise=0.0, seed=seed),
    "sine and noise": lambda seed: sine(900, period=24.0, noise=0.2, seed=seed),
    "seasonal panel": lambda seed: seasonal_panel(6, 24 * 20, seed=seed),
    "counts": lambda seed: counts(12, 200, mean=0.4, seed=seed),
    "constant": lambda _seed: pl.DataFrame({"value": np.full(200, 7.0)}),
    "autoregression": lambda seed: pl.DataFrame(
        {"value": np.convolve(np.random.default_rng(seed).normal(size=600), 0.8 ** np.arange(50), "valid")}
    ),
}


@pytest.mark.parametrize("name", CLEAN)
def test_clean_data_are_never_blamed(name: str) -> None:
    for seed in range(2 if "panel" in name or name == "counts" else 5):
        table = CLEAN[name](seed)
        panel = read_panel(table, Roles(target="value", series=("id",) if "id" in table.columns else ()))
        cut = panel.observed - 60
        prepare = planned(before(cut, seasons=True), H, None, Wishes(hidden_size=4))
        found = audit_forecaster(panel, cut, prepare, inferred=True, seed=seed)
        assert found.clean, (seed, found.words())


@pytest.mark.parametrize("head", ["negative-binomial", "student-t"])
@pytest.mark.parametrize("decoding", ["direct", "step"])
def test_every_head_and_decoding_is_audited(head: str, decoding: Any) -> None:
    panel = read_panel(counts(3, 200, mean=2.0), Roles(target="value", series=("id",)))
    cut = panel.observed - 40
    wishes = Wishes(hidden_size=4, context=14, head=head, decoding=decoding)
    found = audit_forecaster(panel, cut, planned(before(cut), H, None, wishes))
    assert found.clean, found.words()


def test_gaps_short_series_and_series_without_a_value_are_audited() -> None:
    draws = np.random.default_rng(0)
    holed = draws.normal(size=200).cumsum()
    holed[draws.random(200) < 0.2] = np.nan
    holed[130:150] = np.nan
    table = pl.concat(
        pl.DataFrame({"id": [name] * len(values), "y": values})
        for name, values in (("holed", holed), ("short", np.arange(3.0)), ("none", np.full(9, np.nan)))
    ).with_columns(pl.col("y").fill_nan(None))
    panel = read_panel(table, Roles(target="y", series=("id",)), seasons=())
    cut = np.maximum(panel.observed - 40, 0)
    found = audit_forecaster(panel, cut, planned(before(cut), H, None, WISHES))
    assert found.clean, found.words()


def test_without_a_part_after_the_cut_the_rest_is_still_checked() -> None:
    panel = read(frame(0))
    found = audit_forecaster(panel, panel.observed, planned(lambda each: each, H, None, WISHES))
    assert found.clean
    assert len(found.checks) == 3
    assert not any("after the cut" in each for each in found.checks)


def test_a_trained_network_can_be_audited() -> None:
    from longspan.models.design import build_forecaster

    panel = read(frame(0))
    network = build_forecaster(planned(before(cut_of(panel)), H, None, WISHES)(panel).design)
    assert audit(panel, forecast=lambda made: forecasting(made, network)).clean


@pytest.mark.data
def test_etth1_is_clean(shared_data: Path) -> None:
    past = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL")
    panel = read_panel(shared_data / "timeseries/ETTh1.csv.gz", Roles(target="OT", past=past))
    cut = panel.observed - 16 * 24
    prepare = planned(before(cut, seasons=True), 24, None, Wishes())
    found = audit_forecaster(panel, cut, prepare, inferred=True)
    assert found.clean, found.words()
    assert "17,420 values" in " ".join(found.checks)


@pytest.mark.data
def test_m4_hourly_is_clean(shared_data: Path) -> None:
    panel = read_panel(shared_data / "timeseries/m4/Hourly-train.csv.gz")
    cut = panel.observed - 192
    prepare = planned(before(cut, seasons=True), 48, None, Wishes())
    found = audit_forecaster(panel, cut, prepare, inferred=True)
    assert found.clean, found.words()


def test_held_out_windows_that_reach_over_the_cut_are_named() -> None:
    panel = read(frame(5))
    cut = cut_of(panel)

    def faulty(given: Panel) -> Preparation:
        made = planned(before(cut), H, None, WISHES)(given)
        whole, design, steps = plan_forecaster(given, H, None, WISHES)
        held, numbers = held_out(whole, design.features, steps)
        training_part(whole, design.features, steps)
        return replace(made, held=held, numbers=numbers)

    assert "validation windows" in {each.where for each in audit(panel, faulty).findings}
