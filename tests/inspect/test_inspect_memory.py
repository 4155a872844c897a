"""What is held of what was written: products of gates, by theory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longspan.inspect.memory import cell_memory, content_by_lag, held_shares, retention_of
from longspan.inspect.probe import Visit
from longspan.nn import GRU, LSTM, RNN

VARIANTS: list[dict[str, Any]] = [
    {}, {"coupled": True}, {"peephole": True}, {"forget_gate": False}, {"zoneout": 0.2}, {"layer_norm": True},
]  # fmt: skip


def visit_of(x: torch.Tensor) -> Visit:
    return Visit(x, None, x, [])


@given(st.integers(1, 12), st.integers(0, 2**31))
def test_a_share_is_the_product_of_the_later_gates(steps: int, seed: int) -> None:
    keep = np.random.default_rng(seed).uniform(0.01, 1.0, (steps, 3))
    expected = [np.prod(keep[step + 1 :], axis=0) for step in range(steps)]
    np.testing.assert_allclose(np.exp(held_shares(np.log(keep))), expected, rtol=1e-12)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_the_cell_state_is_the_sum_of_what_is_still_held(options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    layer = LSTM(3, 5, batch_first=True, dtype=torch.float64, **options).eval()
    x = torch.randn(1, 40, 3, dtype=torch.float64)
    _, (_, c), records = layer(x, record=("i", "g"))
    (memory,) = cell_memory(layer, visit_of(x), 0, (0,))
    rate = layer.zoneout[1] if layer.zoneout else 0.0
    written = (1 - rate) * (records["i"] * records["g"])[0, 0, 0].detach().numpy()
    np.testing.assert_allclose((written * memory.held()).sum(axis=0), c[0, 0].detach().numpy(), rtol=1e-9)


def test_the_state_of_a_gru_is_the_sum_of_what_is_still_held() -> None:
    torch.manual_seed(1)
    layer = GRU(3, 5, num_layers=2, batch_first=True, dtype=torch.float64)
    x = torch.randn(1, 40, 3, dtype=torch.float64)
    _, h, records = layer(x, record=("z", "n"))
    memories = cell_memory(layer, visit_of(x), 0, (0, 1))
    written = ((1 - records["z"]) * records["n"])[:, 0, 0].detach().numpy()
    for number, memory in enumerate(memories):
        found = (written[number] * memory.held()).sum(axis=0)
        np.testing.assert_allclose(found, h[number, 0].detach().numpy(), rtol=1e-9)


def test_the_backward_direction_holds_what_it_read_first() -> None:
    torch.manual_seed(1)
    layer = LSTM(3, 5, batch_first=True, bidirectional=True, dtype=torch.float64)
    x = torch.randn(1, 20, 3, dtype=torch.float64)
    _, (_, c), records = layer(x, record=("i", "g"))
    backward = cell_memory(layer, visit_of(x), 0, (0,))[1]
    assert backward.backward
    written = (records["i"] * records["g"])[0, 1, 0].detach().numpy()
    np.testing.assert_allclose((written * backward.held()).sum(axis=0), c[1, 0].detach().numpy(), rtol=1e-9)
    assert (backward.log_held[0] == 0).all()


def constant_forget(bias: float) -> LSTM:
    layer = LSTM(1, 1, batch_first=True, forget_bias=bias)
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        layer.weight_hh_l0.zero_()
    return layer


@pytest.mark.parametrize("share", [0.5, 0.9, 0.9999])
def test_a_constant_gate_has_the_half_life_of_its_share(share: float) -> None:
    layer = constant_forget(math.log(share / (1 - share)))
    (memory,) = cell_memory(layer, visit_of(torch.zeros(1, 100, 1)), 0, (0,))
    assert memory.half_life[0] == pytest.approx(math.log(0.5) / math.log(share), rel=1e-3)


def test_ten_thousand_steps_do_not_underflow() -> None:
    (memory,) = cell_memory(constant_forget(0.0), visit_of(torch.zeros(1, 10_000, 1)), 0, (0,))
    assert np.isfinite(memory.log_held).all()
    assert memory.log_held[0, 0] == pytest.approx(9999 * math.log(0.5), rel=1e-6)
    held = memory.held(0.05)[:, 0]
    assert held[-1] == 1.0
    assert (held > 0).sum() == 5  # 1, 1/2, 1/4, 1/8, 1/16


def test_without_a_forget_gate_nothing_is_forgotten() -> None:
    layer = LSTM(1, 2, batch_first=True, forget_gate=False)
    (memory,) = cell_memory(layer, visit_of(torch.randn(1, 30, 1)), 0, (0,))
    assert np.isinf(memory.half_life).all()
    assert (memory.held(0.05) == 1.0).all()


def test_a_plain_rnn_has_nothing_to_hold() -> None:
    layer = RNN(1, 2, batch_first=True)
    assert retention_of(layer) is None
    assert cell_memory(layer, visit_of(torch.randn(1, 5, 1)), 0, (0,)) == []
    assert content_by_lag(layer, visit_of(torch.randn(1, 5, 1))) is None


def test_the_content_is_by_lag_and_knows_where_a_sequence_ends() -> None:
    torch.manual_seed(0)
    layer = LSTM(2, 4, batch_first=True)
    x = torch.randn(2, 9, 2)
    ragged = content_by_lag(layer, Visit(x, torch.tensor([9, 4]), x, []))
    alone = content_by_lag(layer, visit_of(x[1:, :4]))
    assert ragged is not None
    assert alone is not None
    np.testing.assert_allclose(ragged[1, :, :4], alone[0], rtol=1e-5)
    assert not ragged[1, :, 4:].any()
