"""The test of rising losses: its errors, simulated."""

from __future__ import annotations

import numpy as np
import pytest

from longspan.inspect.rises import judge_rises


@pytest.mark.parametrize("overlap", [1, 4])
@pytest.mark.parametrize("tail", [False, True])
def test_nothing_is_found_where_nothing_rises(overlap: int, tail: bool) -> None:
    """Twelve rises of mean zero, all of one noise and some of their own: at most 5 % for all together."""
    wrong = 0
    for seed in range(200):
        draws = np.random.default_rng(seed)
        noise = draws.normal(size=(13, 96 + overlap))
        moving = sum(noise[:, step : 96 + step] for step in range(overlap)) / overlap
        rises = moving[:1] + 0.5 * moving[1:]
        rises = rises**2 - 1.25 / overlap if tail else rises
        wrong += bool((judge_rises(rises, overlap, seed).p < 0.05).any())
    assert wrong <= 21  # 10 are expected; more than 21 come once in a thousand


def test_a_rise_with_a_long_tail_is_found() -> None:
    found = 0
    for seed in range(50):
        draws = np.random.default_rng(seed)
        rises = np.stack([draws.normal(size=64) ** 2, draws.normal(size=64)])
        p = judge_rises(rises, 1, seed).p
        found += bool(p[0] < 0.05)
    assert found >= 48


def test_rises_that_are_alike_are_not_paid_for_twice() -> None:
    row = np.random.default_rng(0).normal(0.3, 1.0, 60)
    alone = judge_rises(row[None], 1, 0).p[0]
    assert judge_rises(np.repeat(row[None], 30, axis=0), 1, 0).p == pytest.approx(alone)


def test_degenerate_rises() -> None:
    rises = np.zeros((3, 20))
    rises[1] = 0.5
    found = judge_rises(rises, 1, 0)
    assert found.p[1] < 0.01
    assert found.p[[0, 2]].min() > 0.5
    assert np.isnan(judge_rises(rises[:, :3], 1, 0).p).all()
    assert np.isnan(judge_rises(rises, 5, 0).p).all()  # two blocks of ten


def test_a_rise_that_seldom_falls_spoils_nothing_for_the_others() -> None:
    """Float32 leaves specks where nothing changes: a resample without them has no spread."""
    draws = np.random.default_rng(0)
    rises = np.zeros((3, 64))
    rises[0] = draws.normal(1.0, 0.5, 64)
    rises[1, :3] = -0.1
    rises[2, 5] = -1e-8
    assert judge_rises(rises, 1, 0).p[0] == pytest.approx(1 / 2000)


def test_the_interval_holds_the_mean() -> None:
    held = 0
    for seed in range(200):
        found = judge_rises(np.random.default_rng(seed).normal(1.0, 2.0, (1, 40)), 1, seed)
        held += bool(found.low[0] <= 1.0 <= found.high[0])
    assert 180 <= held <= 199
