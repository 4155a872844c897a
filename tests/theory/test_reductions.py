"""One form of a cell is another with some weights set: what the equations imply must hold in the numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from longspan.nn import GRU, LSTM, RNN, Recurrent, using

X = torch.randn(6, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def close(got: object, want: object, atol: float = 1e-13) -> None:
    torch.testing.assert_close(got, want, rtol=0, atol=atol)


def lstm(seed: int = 1, hidden: int = 5, **options: object) -> LSTM:
    torch.manual_seed(seed)
    return LSTM(4, hidden, dtype=torch.float64, **options)  # type: ignore[arg-type]


def gate(layer: LSTM, weight: Tensor, name: str) -> Tensor:
    return weight.chunk(len(layer.cell.gates))[layer.cell.gates.index(name)]


def test_zero_peepholes_are_a_plain_lstm() -> None:
    plain, peeping = lstm(), lstm(peephole=True)
    with torch.no_grad():
        peeping.weight_ch_l0.zero_()
    close(peeping(X), plain(X))


def test_peepholes_change_something() -> None:
    assert not torch.allclose(lstm(peephole=True)(X)[0], lstm()(X)[0])


def test_coupled_gates_are_an_lstm_whose_forget_gate_is_one_minus_the_input_gate() -> None:
    coupled, plain = lstm(coupled=True), lstm()
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            i, g, o = getattr(coupled, name).chunk(3)
            getattr(plain, name).copy_(torch.cat((i, -i, g, o)))  # 1 - σ(z) = σ(-z)
    close(coupled(X), plain(X))


def test_without_forget_gate_is_an_lstm_whose_forget_gate_is_open() -> None:
    old, plain = lstm(forget_gate=False), lstm()
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            i, g, o = getattr(old, name).chunk(3)
            open_gate = torch.full_like(i, 50.0) if name == "bias_ih_l0" else torch.zeros_like(i)
            getattr(plain, name).copy_(torch.cat((i, open_gate, g, o)))
    close(old(X), plain(X))


def test_an_open_forget_gate_and_a_shut_input_gate_keep_the_cell_state() -> None:
    layer = lstm()
    with torch.no_grad():
        gate(layer, layer.bias_ih_l0, "f").fill_(60.0)
        gate(layer, layer.bias_ih_l0, "i").fill_(-800.0)
    h, c = torch.randn(2, 1, 3, 5, dtype=torch.float64)
    _, (_, final) = layer(X, (h, c))
    assert torch.equal(final, c)


def test_a_shut_forget_gate_forgets_everything_before() -> None:
    layer = lstm()
    with torch.no_grad():
        gate(layer, layer.bias_ih_l0, "f").fill_(-800.0)
        layer.weight_hh_l0.zero_()
    h, c = torch.randn(2, 1, 3, 5, dtype=torch.float64)
    close(layer(X, (h, c))[0], layer(X)[0])


def test_layer_norm_does_not_see_the_scale_of_its_weights() -> None:
    layer, scaled = lstm(layer_norm=True), lstm(layer_norm=True)
    with torch.no_grad():
        scaled.weight_ih_l0.mul_(1e3)
        layer.weight_ih_l0.mul_(1e4)
    close(layer(X), scaled(X), atol=1e-5)  # the epsilon under the root is all that is left of the scale


def test_layer_norm_does_not_see_a_shift_of_all_its_sums() -> None:
    layer, shifted = lstm(layer_norm=True), lstm(layer_norm=True)
    with torch.no_grad():
        shifted.weight_hh_l0.add_(torch.randn(1, 5, dtype=torch.float64))
    close(layer(X), shifted(X))


def test_layer_norm_with_zero_gain_leaves_the_biases() -> None:
    layer = lstm(layer_norm=True)
    with torch.no_grad():
        layer.gain_ih_l0.zero_()
        layer.gain_hh_l0.zero_()
    _, _, record = layer(X, record=("pre_i", "pre_o"))
    bias = layer.bias_ih_l0 + layer.bias_hh_l0
    close(record["pre_i"], gate(layer, bias, "i").expand(1, 1, 3, 6, 5))
    close(record["pre_o"], gate(layer, bias, "o").expand(1, 1, 3, 6, 5))


def test_projection_by_the_identity_changes_nothing_but_the_width() -> None:
    torch.manual_seed(2)
    narrow = LSTM(4, 6, proj_size=3, dtype=torch.float64)
    plain = LSTM(4, 6, dtype=torch.float64)
    with torch.no_grad():
        for name in ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0"):
            getattr(plain, name).copy_(getattr(narrow, name))
        plain.weight_hh_l0.copy_(narrow.weight_hh_l0 @ narrow.weight_hr_l0)  # U (P m) = (U P) m
    close(narrow(X)[0], plain(X)[0] @ narrow.weight_hr_l0.T)


def test_a_far_cell_clip_changes_nothing_and_a_near_one_bounds_c() -> None:
    close(lstm(cell_clip=100.0)(X), lstm()(X))
    _, _, record = lstm(cell_clip=0.05)(X, record="c")
    assert record["c"].abs().max() == 0.05


def test_reset_before_or_after_the_product_is_the_same_for_an_open_gate() -> None:
    torch.manual_seed(3)
    after = GRU(4, 5, dtype=torch.float64)
    before = GRU(4, 5, dtype=torch.float64, reset_after=False)
    before.load_state_dict(after.state_dict())
    assert not torch.allclose(before(X)[0], after(X)[0])
    with torch.no_grad():
        for layer in (before, after):
            layer.bias_ih_l0[:5] = 60.0
    close(before(X), after(X))


def test_a_gru_with_an_open_update_gate_keeps_h() -> None:
    layer = GRU(4, 5, dtype=torch.float64)
    with torch.no_grad():
        layer.bias_ih_l0[5:10] = 60.0
    h = torch.randn(1, 3, 5, dtype=torch.float64)
    close(layer(X, h)[1], h)


def test_a_linear_rnn_is_a_sum_of_powers() -> None:
    """With relu and nothing negative: h_T = sum over k of U^k W x_(T-k)."""
    layer = RNN(4, 5, nonlinearity="relu", bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.abs_()
        layer.weight_hh_l0.abs_()
    x = X.abs()
    W, U = layer.weight_ih_l0, layer.weight_hh_l0
    power, total = torch.eye(5, dtype=torch.float64), torch.zeros(3, 5, dtype=torch.float64)
    for lag in range(6):
        total = total + x[5 - lag] @ W.T @ power.T
        power = U @ power
    close(layer(x)[0][-1], total, atol=1e-12)


@pytest.mark.parametrize(
    "layer", [lstm(), lstm(peephole=True), GRU(4, 5).double(), RNN(4, 5).double()], ids=str
)
def test_recorded_states_are_the_outputs(layer: Recurrent) -> None:
    y, state, record = layer(X, record=layer.cell.states)
    close(record["h"][0, 0].transpose(0, 1), y)
    last = state if isinstance(state, tuple) else (state,)
    for name, part in zip(layer.cell.states, last, strict=True):
        close(record[name][0, 0, :, -1], part[0])


def test_recorded_gates_make_the_recorded_states() -> None:
    layer = lstm(peephole=True)
    _, _, r = layer(X, record=layer.cell.records)
    before = torch.cat((torch.zeros_like(r["c"][..., :1, :]), r["c"][..., :-1, :]), -2)
    close(r["c"], r["f"] * before + r["i"] * r["g"])
    close(r["h"], r["o"] * torch.tanh(r["c"]))
    for name, squash in (("i", torch.sigmoid), ("f", torch.sigmoid), ("g", torch.tanh), ("o", torch.sigmoid)):
        close(r[name], squash(r[f"pre_{name}"]))


def test_recording_changes_no_number() -> None:
    layer = lstm(num_layers=2, bidirectional=True)
    with using("reference"):
        close(layer(X, record=("i", "c"))[:2], layer(X))
