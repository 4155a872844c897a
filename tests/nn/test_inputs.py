"""What a layer refuses, and the words it uses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from longspan import cells
from longspan.core.errors import InputError
from longspan.nn import GRU, LSTM, RNN, Recurrent

X = torch.zeros(6, 3, 4)
H = torch.zeros(1, 3, 5)

CALLS: list[tuple[Any, dict[str, Any], str]] = [
    (torch.zeros(4), {}, r"LSTM: expected an input of shape \(T, B, I\), or \(T, I\) without batch, got 1"),
    (torch.zeros(6, 3, 7), {}, r"expected 4 features in the last dimension .* got 7 in \(6, 3, 7\)"),
    ([1.0], {}, r"LSTM: expected a tensor or a PackedSequence as input, got list"),
    (X.double(), {}, r"torch.float32, got torch.float64. Convert the input with .to\(torch.float32"),
    (X, {"hx": H}, r"LSTM: expected the state as a tuple \(h, c\), got Tensor"),
    (X, {"hx": (H,)}, r"expected the state as a tuple \(h, c\), got 1 parts"),
    (X, {"hx": (H, torch.zeros(1, 2, 5))}, r"expected state c of shape .* = \(1, 3, 5\), got \(1, 2, 5\)"),
    (X, {"hx": (H, 3)}, r"expected state c to be a tensor, got int"),
    (X, {"hx": (H, H.double())}, r"expected state c of the type of the input, torch.float32, got"),
    (X, {"hx": (H.to(torch.complex64), H)}, r"state h .* torch.float32, got torch.complex64. Convert"),
    (X, {"hx": (H, H.long())}, r"expected state c of the type .* got torch.int64"),
    (X[:, 0], {"hx": (H, H)}, r"state h of shape \(layers × directions, width\) = \(1, 5\), got \(1, 3, 5\)"),
    (X, {"lengths": [6, 3]}, r"expected one length for each of 3 sequences, got shape \(2,\)"),
    (X, {"lengths": [6, 7, 1]}, r"between 0 and the 6 steps of the input, got 7 for sequence 1"),
    (X, {"lengths": [6, 2, -1]}, r"got -1 for sequence 2"),
    (X, {"lengths": torch.ones(3)}, r"expected lengths to be whole numbers, got torch.float32"),
    (X, {"record": "x"}, r"cannot record 'x'; this cell has i, f, g, o, pre_i, pre_f, pre_g, pre_o, h, c"),
    (X, {"reset": torch.zeros(3, 6, dtype=torch.bool)}, r"expected reset of shape \(6, 3\), .* got \(3, 6\)"),
    (X, {"reset": torch.zeros(6, 3)}, r"expected reset to be a tensor of bool, got torch.float32"),
    (X, {"reset": [True]}, r"expected reset to be a tensor of bool, got list"),
    (
        pack_sequence([torch.zeros(2, 4)]), {"lengths": [2]},
        r"a PackedSequence holds its own lengths: leave lengths= away",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("x", "call", "text"), CALLS, ids=[text for _, _, text in CALLS])
def test_wrong_calls(x: Any, call: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        LSTM(4, 5)(x, **call)


NOISE: list[tuple[dict[str, Any], str]] = [
    ({"seed": -1}, r"LSTM: expected seed in \[0, 2\*\*63\), got -1"),
    ({"seed": 1.5}, r"expected seed to be a whole number, got 1.5"),
    ({"seed": torch.zeros(2, dtype=torch.int64)}, r"expected seed to be one whole number, got torch.int64"),
    ({"sample_ids": [1, 2]}, r"expected one sample id for each of 3 sequences, got shape \(2,\)"),
    ({"sample_ids": [0.5, 1, 2]}, r"expected sample_ids to be whole numbers, got torch.float32"),
    ({"first_step": -2}, r"expected first_step in \[0, 2\*\*63\), got -2"),
]


@pytest.mark.parametrize(("call", "text"), NOISE, ids=[text for _, text in NOISE])
@pytest.mark.parametrize("training", [True, False])
def test_wrong_numbers_for_the_masks(call: dict[str, Any], text: str, training: bool) -> None:
    with pytest.raises(InputError, match=text):
        LSTM(4, 5, zoneout=0.1).train(training)(X, **call)


CONSTRUCTIONS: list[tuple[Any, dict[str, Any], str]] = [
    (LSTM, {"input_size": 0}, r"LSTM: expected input_size of at least 1, got 0"),
    (LSTM, {"hidden_size": 2.5}, r"expected hidden_size to be a whole number, got 2.5 of type float"),
    (LSTM, {"num_layers": 0}, r"expected num_layers of at least 1, got 0"),
    (LSTM, {"dropout": 1.5}, r"expected dropout to be a probability in \[0, 1\], got 1.5"),
    (LSTM, {"bias": 1}, r"expected bias to be True or False, got 1"),
    (GRU, {"bias": 1}, r"GRU: expected bias to be True or False, got 1"),
    (LSTM, {"proj_size": 5}, r"LSTM: expected proj_size below hidden_size \(5\), got 5"),
    (LSTM, {"proj_size": -1}, r"LSTM: expected proj_size of at least 0, got -1"),
    (LSTM, {"zoneout": (0.1,)}, r"one for each of the states \('h', 'c'\), got \(0.1,\)"),
    (LSTM, {"zoneout": -0.1}, r"expected zoneout to be a probability in \[0, 1\], got -0.1"),
    (LSTM, {"recurrent_dropout": 2}, r"expected recurrent_dropout to be a probability in \[0, 1\], got 2"),
    (LSTM, {"forget_bias": 1.0, "bias": False}, r"LSTM: forget_bias=1.0 needs biases, got bias=False"),
    (LSTM, {"forget_bias": 1.0, "forget_gate": False}, r"needs a forget gate, got forget_gate=False"),
    (LSTM, {"forget_bias": float("nan")}, r"expected forget_bias to be a finite number, got nan"),
    (RNN, {"nonlinearity": "sin"}, r"expected nonlinearity to be one of tanh, relu, got 'sin'"),
]


@pytest.mark.parametrize(
    ("kind", "changes", "text"), CONSTRUCTIONS, ids=[text for _, _, text in CONSTRUCTIONS]
)
def test_wrong_constructions(kind: Any, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        kind(**{"input_size": 4, "hidden_size": 5, **changes})


def test_a_cell_that_projects_needs_a_width() -> None:
    with pytest.raises(InputError, match="build the cell with projection=True and give proj_size above 0"):
        Recurrent(cells.build("lstm"), 4, 5, proj_size=3)
    with pytest.raises(InputError, match="Recurrent: proj_size is 0, but Cell"):
        Recurrent(cells.build("lstm", projection=True), 4, 5)


def test_dropout_without_layers_between_warns() -> None:
    with pytest.warns(UserWarning, match="LSTM: dropout=0.2 acts between layers only, and num_layers is 1"):
        LSTM(4, 5, dropout=0.2)


def test_errors_are_value_errors() -> None:
    with pytest.raises(ValueError, match="expected 4 features"):
        LSTM(4, 5)(torch.zeros(2, 3))


def test_lengths_may_be_a_number_without_batch() -> None:
    layer = LSTM(4, 5)
    y, (h, _) = layer(torch.randn(6, 4), lengths=2)
    assert not y[2:].any()
    torch.testing.assert_close(h[0], y[1])


def test_lengths_without_values_are_taken_as_they_are() -> None:
    """Mapped lengths, and those of the meta device, are there as shapes only."""
    layer = LSTM(4, 5)
    x, lengths = torch.randn(2, 6, 3, 4), torch.tensor([[6, 0, 2], [1, 3, 5]])
    mapped = torch.vmap(lambda x, lengths: layer(x, lengths=lengths)[0])(x, lengths)
    assert all(torch.equal(mapped[k], layer(x[k], lengths=lengths[k])[0]) for k in range(2))
    y, _ = LSTM(4, 5, device="meta")(X.to("meta"), lengths=lengths[0].to("meta"))
    assert y.shape == (6, 3, 5)


@pytest.mark.parametrize("options", [{"zoneout": 0.1}, {"num_layers": 2, "dropout": 0.1}], ids=str)
def test_the_default_device_is_not_that_of_a_layer(options: dict[str, Any]) -> None:
    layer, x = LSTM(4, 5, **options), X.clone()
    torch.set_default_device("meta")
    try:
        y, _ = layer(x, lengths=[6, 2, 1], seed=3, sample_ids=[2, 1, 0])
    finally:
        torch.set_default_device(None)
    assert torch.equal(y, layer(x, lengths=[6, 2, 1], seed=3, sample_ids=[2, 1, 0])[0])
