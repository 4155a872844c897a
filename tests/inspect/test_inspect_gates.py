"""Gates over time: what is recorded, in which order, and what is named."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from longspan.core.errors import InputError
from longspan.inspect.gates import check_layers, movement, ordered_units, shown_names, trace_gates
from longspan.inspect.probe import Visit
from longspan.nn import GRU, LSTM, RNN


def test_units_that_move_together_stand_together_and_still_ones_come_last() -> None:
    draws = np.random.default_rng(0)
    groups = draws.normal(size=(300, 3))
    member = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    state = groups[:, member] + 0.1 * draws.normal(size=(300, 10))
    state[:, 4] = 0.3  # never moves
    order = ordered_units(state.astype(np.float32))
    assert sorted(order.tolist()) == list(range(10))
    assert order[-1] == 4
    met = [int(member[unit]) for unit in order[:-1]]
    assert sum(one != other for one, other in pairwise(met)) == 2, met


def test_the_busiest_unit_moves_most() -> None:
    state = np.zeros((5, 3), dtype=np.float32)
    state[::2, 1] = 1.0
    assert movement(state).tolist() == [0.0, 1.0, 0.0]
    assert movement(state[:1]).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (LSTM(3, 4, num_layers=2, batch_first=True), ("i", "f", "g", "o", "h", "c")),
        (LSTM(3, 4, 2, batch_first=True, coupled=True, bidirectional=True), ("i", "f", "g", "o", "h", "c")),
        (GRU(3, 4, num_layers=2, batch_first=True), ("r", "z", "n", "h")),
        (RNN(3, 4, num_layers=2, batch_first=True), ("g", "h")),
    ],
    ids=str,
)  # fmt: skip
def test_every_cell_shows_what_it_has(layer, names) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 7, 3)
    traces = trace_gates(layer, Visit(x, torch.tensor([7, 5]), x, []), 1, (1,))
    assert [trace.backward for trace in traces] == [False, True][: layer.num_directions]
    assert shown_names(layer.cell) == names
    _, _, records = layer(x[1:, :5], record=names)
    for trace in traces:
        assert tuple(trace.values) == names
        for name in names:
            expected = records[name][1, int(trace.backward), 0].detach().numpy()
            np.testing.assert_array_equal(trace.values[name], expected)


def test_layers_that_there_are_not_are_refused() -> None:
    assert check_layers((), 3) == (2,)
    assert check_layers((1, 3), 3) == (0, 2)
    with pytest.raises(InputError, match=r"layers: expected numbers from 1 to 2, got 3"):
        check_layers((1, 3), 2)
