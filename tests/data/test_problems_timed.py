"""Timed spikes: what the input tells and what is asked for, step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.data.problems.timed import GeneratedSpikes, MeasuredSpikes

SIZES = (st.integers(2, 20), st.integers(1, 6), st.integers(0, 2**32))


@given(*SIZES)
def test_measured_spikes_ask_for_the_distance_just_ended(least: int, spikes: int, seed: int) -> None:
    drawn = MeasuredSpikes(least, spikes).draw(4, np.random.default_rng(seed))
    assert drawn.scored is not None and drawn.lengths is not None
    for row in range(4):
        times = np.flatnonzero(drawn.x[row, :, 0])
        assert times[0] == 0 and len(times) == spikes + 1 and drawn.lengths[row] == times[-1] + 1
        assert np.array_equal(np.flatnonzero(drawn.scored[row]), times[1:])
        assert np.array_equal(np.diff(times) - least, drawn.target[row, times[1:], 0])
        assert set(np.diff(times)) <= {least, least + 1}


@given(*SIZES)
def test_generated_spikes_are_due_as_the_input_told_at_the_one_before(
    least: int, spikes: int, seed: int
) -> None:
    drawn = GeneratedSpikes(least, spikes).draw(4, np.random.default_rng(seed))
    assert drawn.scored is not None and drawn.lengths is not None
    for row in range(4):
        due = np.flatnonzero(drawn.target[row, :, 0])
        began = np.concatenate([[0], due[:-1]])
        assert np.array_equal(due - began - least, drawn.x[row, began, 0])
        assert not np.delete(drawn.x[row, :, 0], began).any()  # nothing tells when
        assert drawn.lengths[row] == due[-1] + 1 and not drawn.scored[row, 0] and drawn.scored[row, 1:].all()


def test_a_distance_of_one_step_is_refused() -> None:
    with pytest.raises(InputError, match="GeneratedSpikes: expected least of at least 2, got 1"):
        GeneratedSpikes(1, 3)
