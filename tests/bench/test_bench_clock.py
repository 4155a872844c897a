"""Interleaved timing on a clock that the test turns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.bench.clock import LEAST_PAIRS, interleaved, ratio
from longspan.core.errors import InputError


class Turned:
    """A clock; a call of side ``name`` moves it on by that side's seconds."""

    def __init__(self, **seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds
        self.called: list[str] = []

    def __call__(self) -> float:
        return self.now

    def side(self, name: str) -> Callable[[], None]:
        def run() -> None:
            self.now += self.seconds[name]
            self.called.append(name)

        return run

    def sleep(self, _seconds: float) -> None:
        self.called.append("pause")


def blocks(called: list[str]) -> list[str]:
    """Who ran between pauses."""
    parts = [list(part) for paused, part in itertools.groupby(called, "pause".__eq__) if not paused]
    assert all(len(set(part)) == 1 for part in parts[1:])  # the first holds the search for the calls
    return [part[0] for part in parts[1:]]


def test_each_side_gets_its_own_time_a_call() -> None:
    clock = Turned(fast=0.001, slow=0.25)
    found = interleaved([clock.side("fast"), clock.side("slow")], 9, 9.0, clock=clock, sleep=clock.sleep)
    assert [len(each) for each in found] == [9, 9]
    assert found[0] == pytest.approx([0.001] * 9)
    assert found[1] == pytest.approx([0.25] * 9)


def test_blocks_take_turns_and_who_comes_first_changes() -> None:
    clock = Turned(a=0.01, b=0.01)
    interleaved([clock.side("a"), clock.side("b")], 10, 0.4, clock=clock, sleep=clock.sleep)
    assert "".join(blocks(clock.called)) == "abba" * 5


def test_blocks_last_as_long_as_they_were_given() -> None:
    clock = Turned(a=0.001, b=0.1)
    interleaved([clock.side("a"), clock.side("b")], 10, 4.0, clock=clock, sleep=clock.sleep)
    after = clock.called[clock.called.index("pause") :]
    # Twenty blocks of 0.2 s, each after one call that is not counted.
    assert after.count("a") == pytest.approx(10 * (200 + 1), rel=0.02)
    assert after.count("b") == 10 * (2 + 1)


def test_a_call_longer_than_its_block_is_made_once() -> None:
    clock = Turned(a=5.0, b=5.0)
    interleaved([clock.side("a"), clock.side("b")], 9, 0.01, clock=clock, sleep=clock.sleep)
    after = clock.called[clock.called.index("pause") :]
    assert after.count("a") == 9 * 2


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(InputError, match=f"at least {LEAST_PAIRS} pairs, got 8"):
        interleaved([lambda: None], 8, 1.0)


def test_the_ratio_is_that_of_each_pair() -> None:
    # A machine that slows down tenfold half way changes both sides of a pair, and no ratio.
    slow = [1.0] * 5 + [10.0] * 5
    found = ratio([3 * each for each in slow], slow)
    assert found == pytest.approx((3.0, 3.0, 3.0))


def test_one_wild_pair_moves_the_interval_and_not_the_median() -> None:
    found = ratio([2.0] * 10 + [200.0], [1.0] * 11)
    assert found.median == 2.0
    assert found.low == 2.0


@given(st.lists(st.floats(0.1, 10), min_size=9, max_size=20), st.floats(0.01, 100))
def test_the_interval_holds_the_median_and_scales(times: list[float], scale: float) -> None:
    found = ratio(times, [1.0] * len(times))
    assert found.low <= found.median <= found.high
    assert min(times) <= found.low
    assert found.high <= max(times)
    scaled = ratio([scale * each for each in times], [1.0] * len(times))
    assert all(math.isclose(a, scale * b, rel_tol=1e-9) for a, b in zip(scaled, found, strict=True))
