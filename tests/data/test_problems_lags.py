"""The long lag of 1997: one symbol tells, a trigger asks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.data.problems.lags import LongLag

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.integers(1, 60), st.integers(1, 20))
def test_a_sequence_reads_b_symbol_distractors_trigger(seed: int, lag: int, symbols: int) -> None:
    problem = LongLag(lag, symbols)
    found = problem.draw(8, np.random.default_rng(seed))
    assert found.lengths is not None
    assert problem.input_size == symbols + 4
    for x, target, steps in zip(found.x, found.target, found.lengths, strict=True):
        tokens = x[:steps].argmax(-1)
        assert (x[:steps].sum(-1) == 1).all()
        assert not x[steps:].any()
        assert tokens[0] == symbols + 1
        assert tokens[1] == symbols + 2 + target
        assert tokens[-1] == symbols
        assert (tokens[2:-1] < symbols).all()
        assert lag <= steps - 3


def test_the_row_ends_with_a_chance_of_one_in_ten() -> None:
    found = LongLag(5, 3).draw(20_000, np.random.default_rng(0))
    assert found.lengths is not None
    more = found.lengths - 8
    assert more.min() == 0
    assert more.mean() == pytest.approx(9.0, rel=0.03), "the mean of (1/10)(9/10)^k"
    assert (more == 0).mean() == pytest.approx(0.1, abs=0.01)
    assert found.target.mean() == pytest.approx(0.5, abs=0.02)


def test_no_row_is_longer_than_the_greatest() -> None:
    found = LongLag(5, 3, longest=4).draw(500, np.random.default_rng(0))
    assert found.lengths is not None
    assert found.lengths.max() == 5 + 4 + 3


@pytest.mark.parametrize(("lag", "symbols"), [(0, 5), (5, 0)])
def test_sizes_out_of_range_are_refused(lag: int, symbols: int) -> None:
    with pytest.raises(InputError, match="of at least 1, got 0"):
        LongLag(lag, symbols)
