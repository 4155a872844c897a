"""The marked symbol: the label stands where it says, and nothing else tells it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.data.problems.marked import MarkedSymbol


@given(st.integers(1, 60), st.integers(2, 6), st.integers(0, 1000))
def test_the_label_is_the_symbol_under_the_mark(lag: int, symbols: int, seed: int) -> None:
    problem = MarkedSymbol(lag, symbols)
    found = problem.draw(20, np.random.default_rng(seed))
    assert found.lengths is not None
    assert found.x.shape == (20, problem.longest, problem.input_size)
    for x, target, length in zip(found.x, found.target, found.lengths, strict=True):
        assert lag < length <= problem.longest
        assert x[:, symbols].nonzero()[0].tolist() == [length - 1 - lag]
        assert x[length - 1 - lag, :symbols].argmax() == target
        assert (x[:length, :symbols].sum(axis=1) == 1).all()
        assert not x[length:].any()


def test_neither_length_nor_distractors_tell_the_label() -> None:
    problem = MarkedSymbol(10)
    found = problem.draw(4000, np.random.default_rng(0))
    assert found.lengths is not None
    shares = np.bincount(found.target, minlength=4) / 4000
    assert np.abs(shares - 0.25).max() < 0.03
    last = found.x[np.arange(4000), found.lengths - 1, :4].argmax(axis=1)
    assert abs((last == found.target).mean() - 0.25) < 0.03
    assert abs(np.corrcoef(found.lengths, found.target)[0, 1]) < 0.05


def test_the_same_draws_give_the_same_examples() -> None:
    one, two = (MarkedSymbol(5).draw(8, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.x, two.x)


@pytest.mark.parametrize(
    ("given_sizes", "message"),
    [((0, 4), "lag of at least 1, got 0"), ((3, 1), "symbols of at least 2, got 1")],
)
def test_sizes_out_of_range_are_refused(given_sizes: tuple[int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MarkedSymbol(*given_sizes)
