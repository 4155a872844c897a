"""Products in groups: the law, against counting and against permutations applied to things."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.data.problems.groups import Group, GroupWord, cyclic, symmetric


@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(0, 30))
def test_parity_is_the_count_of_ones_modulo_two(seed: int, shortest: int, more: int) -> None:
    drawn = GroupWord(cyclic(2), shortest, shortest + more).draw(5, np.random.default_rng(seed))
    lengths = np.full(5, shortest) if drawn.lengths is None else drawn.lengths
    assert (drawn.lengths is None) == (more == 0)
    assert lengths.min() >= shortest and lengths.max() <= shortest + more
    real = np.arange(shortest + more) < lengths[:, None]
    assert not drawn.x[~real].any() and (drawn.x[real].sum(axis=-1) == 1).all()
    assert np.array_equal(drawn.target[real], (np.cumsum(drawn.x[..., 1], axis=1) % 2)[real])


@given(st.integers(0, 2**32))
def test_a_word_of_s3_permutes_three_things(seed: int) -> None:
    drawn = GroupWord(symmetric(3), 20, 20).draw(4, np.random.default_rng(seed))
    elements = list(permutations(range(3)))
    for row in range(4):
        things = (0, 1, 2)  # what stands at each place after the steps so far
        for step, element in enumerate(drawn.x[row].argmax(axis=-1)):
            things = tuple(elements[element][thing] for thing in things)
            assert elements[drawn.target[row, step]] == things


def test_the_order_counts_in_s3_and_not_in_parity() -> None:
    assert not np.array_equal(symmetric(3).product, symmetric(3).product.T)
    assert np.array_equal(cyclic(7).product, cyclic(7).product.T)
    assert [symmetric(n).order for n in (1, 2, 3, 4)] == [1, 2, 6, 24]


def test_an_answer_at_the_end_is_the_last_of_those_at_every_step() -> None:
    at_every, at_end = (
        GroupWord(symmetric(3), 3, 9, every).draw(50, np.random.default_rng(4)) for every in (True, False)
    )
    assert at_every.lengths is not None
    assert np.array_equal(at_every.x, at_end.x)
    assert np.array_equal(at_every.target[np.arange(50), at_every.lengths - 1], at_end.target)


def test_every_answer_is_as_likely_as_any_other() -> None:
    drawn = GroupWord(symmetric(3), 15, 15, every_step=False).draw(6_000, np.random.default_rng(0))
    assert np.abs(np.bincount(drawn.target, minlength=6) - 1_000).max() < 150  # five standard deviations


def test_a_table_that_is_no_group_is_refused() -> None:
    with pytest.raises(InputError, match=r"group 'odd': expected each row of the table to hold 0 … 1 once"):
        Group("odd", np.array([[0, 1], [1, 1]]))
    with pytest.raises(InputError, match="expected element 0 to be the neutral one"):
        Group("odd", np.array([[1, 0], [0, 1]]))
    loop = [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]
    with pytest.raises(InputError, match="associative"):
        Group("loop", np.array(loop))
    with pytest.raises(InputError, match="expected 1 to 5 things, got 6"):
        symmetric(6)
    with pytest.raises(InputError, match="expected longest of at least 8, got 7"):
        GroupWord(cyclic(2), 8, 7)
