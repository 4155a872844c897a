"""Copied stretches are found wherever they lie and however they are scaled; what repeats by nature is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from longspan.evaluation import copies
from longspan.evaluation.copies import Copies, Copy, find_copies

Array = NDArray[np.float64]
SEEDS = range(10)


def search(*series: Array, part: int = 48, **options: int | tuple[int, ...]) -> Copies:
    lengths = np.array([len(each) for each in series])
    offsets = np.r_[0, np.cumsum(lengths)]
    cut = np.maximum(lengths - part, 0)
    return find_copies(np.concatenate(series), offsets, cut, lengths, **options)  # type: ignore[arg-type]


def walk(seed: int, length: int = 300) -> Array:
    return np.random.default_rng(seed).normal(size=length).cumsum()


def wave(seed: int, length: int = 300) -> Array:
    draws = np.random.default_rng(seed)
    return np.sin(2 * np.pi * (np.arange(length) / 24 + draws.random())) + 0.2 * draws.normal(size=length)


def demand(seed: int, length: int = 300) -> Array:
    return np.random.default_rng(seed).poisson(0.4, size=length).astype(float)


def smooth(seed: int, length: int = 300) -> Array:
    return np.random.default_rng(seed).normal(size=length).cumsum().cumsum()


KINDS = {"walk": walk, "wave": wave, "demand": demand, "smooth": smooth}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (2.5, -7.0), (-0.1, 1e3)])
def test_a_copy_under_another_name_is_found(kind: str, seed: int, scale: float, shift: float) -> None:
    make = KINDS[kind]
    panel = [make(100 * seed + n) for n in range(6)]
    later = np.r_[scale * panel[2] + shift, make(77, 90)]
    (found,) = search(*panel, later).found
    assert (found.series, found.other, found.learned) == (2, 6, True)
    assert (found.first, found.last, found.other_first) == (0, 300, 0)
    np.testing.assert_allclose([found.scale, found.shift], [1 / scale, -shift / scale], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("source", [0, 130])
def test_test_values_taken_from_earlier_in_the_series_are_found(seed: int, source: int) -> None:
    values = walk(seed)
    values[260:290] = 3 * values[source : source + 30] - 1
    (found,) = search(values).found
    assert (found.series, found.other, found.learned) == (0, 0, True)
    assert (found.first, found.last, found.other_first) == (260, 290, source)


@pytest.mark.parametrize("digits", [2, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_copy_written_with_few_digits_is_found(seed: int, digits: int) -> None:
    panel = [walk(100 * seed + n) for n in range(4)]
    later = np.r_[np.round(2.5 * panel[1] + 7, digits), walk(77, 90)]
    (found,) = search(*panel, later).found
    assert (found.series, found.other) == (1, 4)
    assert found.last - found.first > 200


@settings(max_examples=40)
@given(
    st.integers(0, 10_000),
    st.floats(1e-3, 1e4).flatmap(lambda size: st.sampled_from([size, -size])),
    st.floats(-1e4, 1e4),
    st.integers(0, 200),
    st.integers(24, 48),
)
def test_any_affine_stretch_of_the_tested_part_is_found(
    seed: int, scale: float, shift: float, place: int, length: int
) -> None:
    one, other = walk(seed), walk(seed + 1, 400)
    other[place : place + length] = scale * one[252 : 252 + length] + shift
    found = search(one, other).found
    assert [(each.series, each.other, each.learned) for each in found] == [(0, 1, True)]
    assert found[0].first <= 252
    assert found[0].last >= 252 + length
    assert found[0].first - found[0].other_first == 252 - place


def test_missing_values_in_both_do_not_end_a_copy() -> None:
    one = walk(0)
    one[[60, 270]] = np.nan
    (found,) = search(one, walk(1), np.r_[2 * one, walk(2, 90)]).found
    assert (found.first, found.last) == (0, 300)


def test_two_names_of_one_series_are_found_without_a_leak() -> None:
    one = walk(0)
    (found,) = search(one, walk(1), 3 * one + 1).found
    assert (found.series, found.other, found.first, found.last, found.learned) == (0, 2, 0, 300, False)


def test_a_short_test_part_is_found_with_what_comes_before_it() -> None:
    panel = [walk(n, 60) for n in range(50)]
    later = np.r_[walk(99, 20), panel[7], walk(98, 20)]
    (found,) = search(*panel, later, part=3).found
    assert (found.series, found.other, found.learned) == (7, 50, True)


def month_days() -> Array:
    dates = np.datetime64("2020-01-01") + np.arange(600)
    day = (dates - dates.astype("datetime64[M]")).astype(int)
    return np.where(day == 14, 5.0, 0.0) + np.where(np.arange(600) % 7 > 4, 1.0, 0.0)


def profile(noise: float) -> Callable[[int], list[Array]]:
    def make(seed: int) -> list[Array]:
        draws = np.random.default_rng(seed)
        shape = np.tile(draws.normal(size=24), 20)
        return [k * (shape + noise * draws.normal(size=480)) for k in range(1, 9)]

    return make


def sines(seed: int) -> list[Array]:
    phases = np.random.default_rng(seed).random(5)
    return [k * np.sin(2 * np.pi * (np.arange(600) / 100 + p)) for k, p in enumerate(phases, 1)]


def rounded_waves(seed: int) -> list[Array]:
    draws = np.random.default_rng(seed)
    steps = np.arange(400)
    return [
        np.round(15 + 5 * np.sin(2 * np.pi * steps / 24) + 0.3 * draws.normal(size=400)) for _ in range(30)
    ]


CLEAN: dict[str, Callable[[int], list[Array]]] = {
    "walks": lambda seed: [walk(50 * seed + n) for n in range(8)],
    "waves": lambda seed: [wave(50 * seed + n) for n in range(8)],
    "intermittent counts": lambda seed: [demand(50 * seed + n) for n in range(40)],
    "smooth": lambda seed: [smooth(50 * seed + n) for n in range(8)],
    "whole walks": lambda seed: [np.round(walk(50 * seed + n)) for n in range(20)],
    "one sine": lambda _seed: [np.sin(2 * np.pi * np.arange(5001) / 100)],
    "sines of several phases": sines,
    "sums of sines": lambda seed: [each + np.sin(2 * np.pi * np.arange(600) / 7.3) for each in sines(seed)],
    "sines of four digits": lambda seed: [np.round(each, 4) for each in sines(seed)],
    "one shape": profile(0.0),
    "one shape, a little noise": profile(0.01),
    "one shape, noise": profile(0.05),
    "rounded waves of one phase": rounded_waves,
    "week": lambda seed: [np.tile(np.random.default_rng(seed).integers(0, 5, 7), 50).astype(float)] * 3,
    "pay days": lambda _seed: [month_days()],
    "lines": lambda _seed: [k * np.arange(200.0) for k in range(4)],
    "constant": lambda _seed: [np.full(200, 3.0), np.zeros(200)],
    "nothing known": lambda _seed: [np.full(200, np.nan), walk(0)],
    "joined by lines": lambda seed: [np.interp(np.arange(300), np.arange(300)[::10], walk(seed, 30))],
    "very short": lambda seed: [walk(seed + n, 5) for n in range(9)],
}


@pytest.mark.parametrize("name", CLEAN)
def test_what_repeats_by_nature_is_no_copy(name: str) -> None:
    for seed in range(4):
        assert search(*CLEAN[name](seed)).found == (), seed


def test_a_season_filled_with_the_last_one_is_no_copy() -> None:
    values = wave(0)
    values[256:280] = values[208:232]
    assert len(search(values).found) == 1
    assert search(values, seasons=(24,)).found == ()


def test_a_large_panel_is_searched_in_a_seeded_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_MOST_VALUES", 1000)
    panel = [walk(n) for n in range(10)]
    found = search(*panel)
    assert (found.searched, found.values) == (1000, 3000)
    assert search(*panel[:2]).searched == 600


def test_nothing_tested_and_nothing_at_all() -> None:
    assert search(walk(0), walk(0), part=0).found == ()
    empty = find_copies(np.empty(0), np.array([0, 0]), np.array([0]), np.array([0]))
    assert empty == Copies((), 0, 0)


def test_a_copy_is_a_plain_record() -> None:
    (found,) = search(walk(0), np.r_[walk(0), walk(2, 90)]).found
    assert isinstance(found, Copy)
    assert all(type(value) in (int, float, bool) for value in vars(found).values())
