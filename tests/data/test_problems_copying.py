"""Copy memory: what is shown is what is asked for, and the loss without memory is the one that is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.data.problems.copying import CopyMemory


@given(st.integers(1, 40), st.integers(2, 9), st.integers(1, 12), st.integers(0, 2**32))
def test_what_was_shown_is_to_be_repeated(lag: int, symbols: int, kept: int, seed: int) -> None:
    problem = CopyMemory(lag, symbols, kept)
    drawn = problem.draw(3, np.random.default_rng(seed))
    tokens = drawn.x.argmax(axis=-1)
    assert drawn.x.shape == (3, lag + 2 * kept, symbols + 2) and (drawn.x.sum(axis=-1) == 1).all()
    assert np.array_equal(tokens[:, :kept], drawn.target[:, -kept:])
    assert tokens[:, :kept].min() >= 1 and tokens[:, :kept].max() <= symbols
    assert (tokens[:, kept : lag + kept - 1] == 0).all() and (drawn.target[:, :-kept] == 0).all()
    assert (tokens[:, lag + kept - 1 :] == symbols + 1).all()


def test_the_published_loss_at_1000_is_that_of_no_memory() -> None:
    problem = CopyMemory(1_000)
    assert problem.memoryless_loss == pytest.approx(0.0204, abs=5e-5)
    drawn = problem.draw(2, np.random.default_rng(0))
    due = drawn.target > 0
    assert due.sum() * math.log(8) / due.size == pytest.approx(problem.memoryless_loss)


def test_sizes_are_checked() -> None:
    with pytest.raises(InputError, match="CopyMemory: expected lag of at least 1, got 0"):
        CopyMemory(0)
