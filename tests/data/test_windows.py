"""Windows equal what a slow loop over slices gives, and are drawn as a pure function of (seed, step)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from longspan.core.errors import DataError, InputError
from longspan.data.calendar import calendar_features
from longspan.data.covariates import fit_covariates
from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel
from longspan.data.synthetic import seasonal_panel
from longspan.data.windows import Windows, permute, training_windows, validation_windows


def make_panel(lengths: list[int], seed: int, holes: float = 0.2) -> Panel:
    random = np.random.default_rng(seed)
    rows = sum(lengths)
    values = random.normal(size=rows)
    values[random.random(rows) < holes] = np.nan
    ends = np.cumsum(lengths) - 1
    values[ends] = 1.0
    frame = pl.DataFrame(
        {
            "id": np.repeat([f"s{number}" for number in range(len(lengths))], lengths),
            "time": np.concatenate(
                [np.datetime64("2020-01-01", "us") + np.arange(n) * np.timedelta64(1, "D") for n in lengths]
            ),
            "y": pl.Series(values).fill_nan(None),
            "k": random.normal(size=rows),
            "p": random.normal(size=rows),
            "s": np.repeat(np.arange(len(lengths), dtype=np.float64), lengths),
        }
    )
    roles = Roles(target="y", series=("id",), time="time", known=("k",), past=("p",), static=("s",))
    panel = read_panel(frame, roles, frequency="D")
    schema = panel.schema.model_copy(update={"calendar": ("day of week", "time of year")})
    return fit_covariates(replace(panel, schema=schema), 10**6)


def slow(panel: Panel, series: int, cut: int, context: int, horizon: int) -> dict[str, NDArray[np.floating]]:  # type: ignore[type-arg]
    """One window by plain slices."""
    first, last = panel.offsets[series], panel.offsets[series + 1]

    def cutting(block: NDArray[np.floating], begin: int, end: int) -> NDArray[np.floating]:  # type: ignore[type-arg]
        rows = block[first:last]
        window = np.full((end - begin, *rows.shape[1:]), np.nan, dtype=rows.dtype)
        for place, step in enumerate(range(begin, end)):
            if 0 <= step < len(rows):
                window[place] = rows[step]
        return window

    stamps = panel.stamps(series, cut - context, context + horizon)
    calendar = calendar_features(panel.schema.calendar, stamps)
    known = cutting(panel.known, cut - context, cut + horizon)
    past = cutting(panel.past, cut - context, cut)
    return {
        "past": cutting(panel.target, cut - context, cut),
        "future": cutting(panel.target, cut, cut + horizon),
        "past_covariates": np.concatenate([known[:context], past, calendar[:context]], axis=1),
        "future_covariates": np.concatenate([known[context:], calendar[context:]], axis=1),
        "static": panel.static[series],
    }


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(2, 15), min_size=1, max_size=4),
    st.integers(0, 10**6),
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(1, 4),
)
def test_gather_equals_a_slow_slice(
    lengths: list[int], seed: int, context: int, horizon: int, stride: int
) -> None:
    panel = make_panel(lengths, seed)
    last = panel.observed
    windows = Windows(panel, context, horizon, 1, last, stride, min_past=0, min_future=0)
    assert len(windows) == sum(len(range(int(n), 0, -stride)) for n in last)
    series, cut = windows.pairs(np.arange(len(windows)))
    batch = windows.gather(series, cut)
    for place, (one, there) in enumerate(zip(series, cut, strict=True)):
        for name, expected in slow(panel, int(one), int(there), context, horizon).items():
            found = getattr(batch, name)[place]
            np.testing.assert_array_equal(found, expected, err_msg=name)
            assert found.dtype == (np.float64 if name in ("past", "future") else np.float32)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(2, 20), min_size=1, max_size=4),
    st.integers(0, 10**6),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_windows_with_too_few_values_are_left_out(
    lengths: list[int], seed: int, context: int, horizon: int, stride: int, min_past: int, min_future: int
) -> None:
    panel = make_panel(lengths, seed, holes=0.6)
    windows = Windows(
        panel, context, horizon, 0, panel.observed, stride, min_past=min_past, min_future=min_future
    )
    expected = []
    for series in range(len(panel)):
        for cut in sorted(range(int(panel.observed[series]), -1, -stride)):
            one = slow(panel, series, cut, context, horizon)
            if np.isfinite(one["past"]).sum() >= min_past and np.isfinite(one["future"]).sum() >= min_future:
                expected.append((series, cut))
    series_, cuts = windows.pairs(np.arange(len(windows)))
    assert list(zip(series_.tolist(), cuts.tolist(), strict=True)) == expected


def test_parts_do_not_overlap_and_the_forecast_begins_after_the_last_value() -> None:
    panel = read_panel(seasonal_panel(3, 100, 24), Roles(target="value", series=("id",), time="time"))
    train = training_windows(panel, 10, 5, holdout=20, min_history=3)
    valid = validation_windows(panel, 10, 5, holdout=20)
    _, cuts = train.pairs(np.arange(len(train)))
    assert (cuts.min(), cuts.max()) == (3, 75)
    _, cuts = valid.pairs(np.arange(len(valid)))
    assert (cuts.min(), cuts.max()) == (80, 95)
    last = Windows(panel, 10, 5, panel.observed, panel.observed, min_future=0)
    series, cuts = last.pairs(np.arange(3))
    assert (series.tolist(), cuts.tolist()) == ([0, 1, 2], [100, 100, 100])
    batch = last.gather(series, cuts)
    assert np.isnan(batch.future).all()
    assert not np.isnan(batch.future_covariates).any()


def test_the_past_of_a_window_holds_nothing_of_its_future() -> None:
    panel = make_panel([30, 25], 3)
    windows = Windows(panel, 8, 4, 1, 20, min_past=0, min_future=0)
    series, cut = windows.pairs(np.arange(len(windows)))
    before = windows.gather(series, cut)
    noisy = panel.target.copy(), panel.past.copy()
    for block in noisy:
        for n in range(2):
            block[panel.offsets[n] + 20 : panel.offsets[n + 1]] = 99.0
    changed = replace(panel, target=noisy[0], past=noisy[1])
    after = Windows(changed, 8, 4, 1, 20, min_past=0, min_future=0).gather(series, cut)
    np.testing.assert_array_equal(before.past, after.past)
    np.testing.assert_array_equal(before.past_covariates, after.past_covariates)
    assert (after.future == 99.0).any()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 2**63 - 1))
def test_permute_is_a_permutation(size: int, key: int) -> None:
    assert np.array_equal(np.sort(permute(np.arange(size), size, key)), np.arange(size))


def test_sampling_sees_every_window_once_a_pass_and_depends_on_seed_and_step_only() -> None:
    panel = make_panel([40, 30, 7], 1, holes=0.0)
    windows = Windows(panel, 5, 2, 1, panel.observed - 2)
    steps = [windows.sample(7, step, 10) for step in range(30)]
    drawn = np.concatenate(steps)
    for turn in range(len(drawn) // len(windows)):
        part = drawn[turn * len(windows) : (turn + 1) * len(windows)]
        assert np.array_equal(np.sort(part), np.arange(len(windows)))
    again = Windows(panel, 5, 2, 1, panel.observed - 2)
    np.testing.assert_array_equal(again.sample(7, 17, 10), steps[17])
    assert not np.array_equal(windows.sample(8, 17, 10), steps[17])
    first, second = drawn[: len(windows)], drawn[len(windows) : 2 * len(windows)]
    assert not np.array_equal(first, second)


def test_sampling_is_uniform_over_series_lengths() -> None:
    drawn = permute(np.arange(2000), 10**6, 3)
    assert abs(drawn.mean() / 10**6 - 0.5) < 0.03
    assert abs(np.corrcoef(np.arange(2000), drawn)[0, 1]) < 0.08


def test_the_timeline_and_the_direct_calendar_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = make_panel([40, 30], 5)
    windows = Windows(panel, 6, 3, 1, 20)
    assert windows._timeline is not None
    monkeypatch.setattr("longspan.data.windows._TIMELINE", 0)
    direct = Windows(panel, 6, 3, 1, 20)
    assert direct._timeline is None
    pairs = windows.pairs(np.arange(len(windows)))
    np.testing.assert_array_equal(
        windows.gather(*pairs).past_covariates, direct.gather(*pairs).past_covariates
    )


def test_wrong_arguments_are_refused() -> None:
    panel = make_panel([10], 0)
    with pytest.raises(InputError, match="horizon: expected a number from 1, got 0"):
        Windows(panel, 5, 0, 1, 5)
    with pytest.raises(InputError, match="cuts: expected 0 to 10 for series 's0', got 1 to 11"):
        Windows(panel, 5, 1, 1, 11)
    windows = Windows(panel, 5, 1, 1, 5)
    with pytest.raises(InputError, match="window: expected a number from 0 to"):
        windows.pairs(np.array([99]))
    with pytest.raises(DataError, match="expected windows to learn from, got none"):
        Windows(panel, 5, 1, 5, 4).sample(0, 0, 4)
