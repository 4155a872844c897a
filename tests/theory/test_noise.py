"""Zoneout and recurrent dropout: what the papers say the masks do."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from longspan.nn import GRU, LSTM, RNN, Recurrent, using

X = torch.randn(40, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def make(kind: type[Recurrent] = LSTM, **options: Any) -> Any:
    torch.manual_seed(1)
    return kind(4, 30, dtype=torch.float64, **options)


@pytest.mark.parametrize("kind", [LSTM, GRU, RNN])
def test_rates_of_zero_are_no_noise(kind: type[Recurrent]) -> None:
    quiet = make(kind, zoneout=0.0, recurrent_dropout=0.0)
    with using("reference"):
        torch.testing.assert_close(quiet(X), make(kind)(X), rtol=0, atol=0)


@pytest.mark.parametrize("training", [True, False])
def test_zoneout_of_one_keeps_the_state_for_ever(training: bool) -> None:
    layer = make(zoneout=1.0).train(training)
    state = tuple(torch.randn(1, 6, 30, dtype=torch.float64) for _ in range(2))
    y, final = layer(X, state)
    assert torch.equal(final[0], state[0])
    assert torch.equal(final[1], state[1])
    assert torch.equal(y, state[0].expand_as(y))


def test_zoneout_holds_each_state_at_its_own_rate() -> None:
    _, _, record = make(zoneout=(0.2, 0.6))(X, record=("h", "c"), seed=3)
    held = {name: (r[..., 1:, :] == r[..., :-1, :]).double().mean().item() for name, r in record.items()}
    assert abs(held["h"] - 0.2) < 0.03  # 7,000 draws: five standard errors
    assert abs(held["c"] - 0.6) < 0.03


def test_zoneout_of_c_alone_leaves_h_moving() -> None:
    _, _, record = make(zoneout=(0.0, 0.5))(X, record="h")
    assert (record["h"][..., 1:, :] != record["h"][..., :-1, :]).all()


def test_h_is_made_from_the_cell_state_before_zoneout() -> None:
    """Krueger et al.: the held c is the memory, while h shows what the step computed."""
    _, _, record = make(zoneout=(0.0, 1.0))(X, record=("f", "i", "g", "o", "c", "h"))
    computed = record["f"] * record["c"] + record["i"] * record["g"]  # c never moves from zero
    torch.testing.assert_close(record["h"], record["o"] * torch.tanh(computed))
    assert not record["c"].any()


def test_zoneout_in_evaluation_is_the_expectation_of_one_step() -> None:
    layer = make(zoneout=0.3)
    state = tuple(torch.randn(1, 6, 30, dtype=torch.float64) for _ in range(2))
    expected = layer.eval()(X[:1], state)[0]
    layer.train()
    draws = torch.stack([layer(X[:1], state, seed=seed)[0] for seed in range(400)])
    error = (draws.mean(0) - expected).abs() / (draws.std(0) / 20 + 1e-12)
    assert error.mean() < 1.1  # in standard errors: 0.8 expected


def test_recurrent_dropout_is_one_mask_for_the_whole_sequence() -> None:
    """With U = 1 and nothing else, h is the running product of the mask: 2, 4, 8 … or 0 from the first step
    on.
    """
    layer = RNN(4, 30, nonlinearity="relu", bias=False, recurrent_dropout=0.5, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        layer.weight_hh_l0.copy_(torch.eye(30))
    y, _ = layer(X, torch.ones(1, 6, 30, dtype=torch.float64), seed=2)
    first = y[0] / 2
    assert set(first.unique().tolist()) == {0.0, 1.0}
    for step in range(40):
        assert torch.equal(y[step], first * 2.0 ** (step + 1))
    assert 0.3 < first.mean() < 0.7
    assert not torch.equal(first[0], first[1])


def test_recurrent_dropout_of_one_cuts_the_recurrent_product() -> None:
    layer, cut = make(recurrent_dropout=1.0), make()
    with torch.no_grad():
        cut.weight_hh_l0.zero_()
    torch.testing.assert_close(layer(X), cut(X))


def test_the_masks_of_a_sample_do_not_depend_on_its_place() -> None:
    layer = make(num_layers=2, dropout=0.3, zoneout=0.3, recurrent_dropout=0.3)
    same = X[:, :1].expand(-1, 6, -1)
    y, _ = layer(same, seed=5, sample_ids=torch.tensor([7, 1, 2, 7, 4, 5]))
    torch.testing.assert_close(y[:, 0], y[:, 3], rtol=0, atol=1e-14)
    assert not torch.allclose(y[:, 0], y[:, 1])
    alone, _ = layer(X[:, :1], seed=5, sample_ids=torch.tensor([7]))
    torch.testing.assert_close(alone[:, 0], y[:, 0], rtol=0, atol=1e-13)


def test_directions_layers_and_seeds_have_their_own_masks() -> None:
    layer = RNN(4, 4, bidirectional=True, zoneout=0.5, dtype=torch.float64)
    one = {n: v for n, v in layer.state_dict().items() if not n.endswith("_reverse")}
    layer.load_state_dict(one | {f"{n}_reverse": v for n, v in one.items()})
    y, _ = layer(X[:1], seed=1)
    assert not torch.equal(y[..., :4], y[..., 4:])
    assert not torch.equal(layer(X, seed=1)[0], layer(X, seed=2)[0])
    assert torch.equal(layer(X, seed=1)[0], layer(X, seed=1)[0])
    assert torch.equal(layer(X, seed=1)[0], layer(X, seed=torch.tensor(1))[0])


def test_dropout_between_layers_keeps_the_expectation() -> None:
    torch.manual_seed(3)
    layer = RNN(4, 50, 2, nonlinearity="relu", dropout=0.4, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_hh_l1.zero_()
        layer.weight_ih_l1.abs_()
        layer.bias_ih_l1.fill_(1.0)
    wanted = layer.eval()(X)[0].mean()
    got = layer.train()(X, seed=1)[0].mean()
    assert abs(got / wanted - 1) < 0.05
    assert torch.equal(layer(X, seed=1)[0], layer(X, seed=1)[0])


def test_masks_cost_no_gradient() -> None:
    layer = make(zoneout=1.0)
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x)[0].sum(), x)
    assert not gradient.any()
