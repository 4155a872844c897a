"""The adding and multiplication problems: their law, read off the examples again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.data.problems.adding import Adding, Marked1997

SEEDS = st.integers(0, 2**32 - 1)
LENGTHS = st.integers(22, 150)


@given(SEEDS, LENGTHS, st.sampled_from(["sum", "product"]))
def test_the_answer_follows_from_the_marked_pairs(seed: int, length: int, operation: str) -> None:
    problem = Marked1997(length, operation)  # type: ignore[arg-type]
    found = problem.draw(16, np.random.default_rng(seed))
    assert found.lengths is not None
    for x, target, steps in zip(found.x, found.target, found.lengths, strict=True):
        assert length <= steps <= length + length // 10
        numbers, marks = x[:steps, 0], x[:steps, 1]
        assert marks[0] == marks[-1] == -1
        assert not x[steps:].any()
        places = np.flatnonzero(marks == 1)
        assert set(marks) <= {-1.0, 0.0, 1.0}
        assert len(places) in (1, 2), "one where the first pair was to be marked"
        assert len(places) == 1 or places[0] <= 9
        assert places[-1] <= length // 2 - 2
        marked = [*numbers[places], *([0.0 if operation == "sum" else 1.0] * (2 - len(places)))]
        wanted = 0.5 + sum(marked) / 4 if operation == "sum" else marked[0] * marked[1]
        assert target == pytest.approx(wanted, abs=1e-6)
        assert (np.abs(numbers) <= 1).all()
        assert operation == "sum" or (numbers >= 0).all()


def test_all_allowed_places_are_marked() -> None:
    found = Marked1997(30).draw(4_000, np.random.default_rng(0))
    marked = (found.x[..., 1] == 1).any(axis=0)
    assert np.flatnonzero(marked).tolist() == list(range(1, 14))
    both = [np.flatnonzero(row == 1) for row in found.x[..., 1]]
    assert max(each[0] for each in both if len(each) == 2) == 9


def test_the_first_pair_is_marked_one_time_in_ten() -> None:
    """1/10 as the first of ten, and else 1/13 as the second, of 14 places without the first mark."""
    count = 8_000
    found = Marked1997(30).draw(count, np.random.default_rng(1))
    share = ((found.x[..., 1] == 1).sum(axis=1) == 1).mean()
    expected = 1 / 10 + 9 / 10 / 13
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / count)


@given(SEEDS, st.integers(2, 80))
def test_the_plain_form_adds_one_number_of_either_half(seed: int, length: int) -> None:
    found = Adding(length).draw(8, np.random.default_rng(seed))
    marks = found.x[..., 1]
    assert (marks.sum(axis=1) == 2).all()
    assert (marks[:, : length // 2].sum(axis=1) == 1).all()
    assert found.target[:, 0] == pytest.approx((found.x[..., 0] * marks).sum(axis=1), abs=1e-6)
    assert found.lengths is None


def test_always_one_has_an_error_of_a_sixth() -> None:
    target = Adding(4).draw(20_000, np.random.default_rng(0)).target
    assert np.mean((target - 1) ** 2) == pytest.approx(1 / 6, rel=0.03)


def test_sizes_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="Marked1997: expected length of at least 22, got 21"):
        Marked1997(21)
    with pytest.raises(InputError, match="one of sum, product, got 'power'"):
        Marked1997(100, "power")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Adding: expected length of at least 2, got 1"):
        Adding(1)


def test_draws_are_those_of_the_generator() -> None:
    one, same, other = (Marked1997(40).draw(5, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one.x, same.x)
    assert np.array_equal(one.target, same.target)
    assert not np.array_equal(one.x, other.x)
