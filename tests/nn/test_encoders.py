"""The table of encoders: every name, the same call."""

from __future__ import annotations

import pytest
import torch

from longspan import cells
from longspan.core.errors import InputError
from longspan.nn import LSTM, build_encoder, encoder_names
from longspan.nn.encoders import Encoder, RecurrentEncoder, _cell_layer


@pytest.mark.parametrize("name", encoder_names())
def test_every_encoder_reads_ragged_batches_and_goes_on_from_its_state(name: str) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(name, 3, 8, num_layers=2, dropout=0.1).eval()
    x = torch.randn(4, 10, 3)
    y, _ = encoder(x)
    assert y.shape == (4, 10, encoder.output_size)
    assert (encoder.input_size, encoder.output_size) == (3, 8)
    first, state = encoder(x[:, :6])
    second, _ = encoder(x[:, 6:], None, state)
    torch.testing.assert_close(torch.cat((first, second), 1), y)
    ragged, _ = encoder(x, torch.tensor([10, 4, 0, 7]))
    torch.testing.assert_close(ragged[1, :4], y[1, :4])
    assert not ragged[1, 4:].any()
    assert not ragged[2].any()


def test_every_registered_cell_is_an_encoder() -> None:
    assert encoder_names()[:3] == ("rnn", "gru", "lstm")
    assert set(cells.names()) <= set(encoder_names())


def test_a_cell_without_a_layer_of_its_own_is_an_encoder_too() -> None:
    layer = _cell_layer("lstm")(3, 8, 1, peephole=True, bidirectional=True, batch_first=True)
    encoder = RecurrentEncoder(layer)
    assert encoder.output_size == 16
    assert encoder(torch.randn(2, 5, 3))[0].shape == (2, 5, 16)
    assert layer.cell is cells.build("lstm", peephole=True)


def test_options_reach_the_layer() -> None:
    encoder = build_encoder("lstm", 3, 8, peephole=True, forget_bias=1.0, proj_size=4, bidirectional=True)
    assert encoder.output_size == 8
    assert isinstance(encoder, RecurrentEncoder)
    assert isinstance(encoder.layer, LSTM)
    assert "weight_ch_l0" in dict(encoder.layer.named_parameters())


def test_unknown_names_and_options_list_what_there_is() -> None:
    with pytest.raises(
        InputError, match=r"build_encoder: expected encoder to be one of rnn, gru, lstm.*'lstn'"
    ):
        build_encoder("lstn", 3, 8)
    with pytest.raises(
        InputError, match=r"encoder 'gru' has no option 'peephole': its options are bias, bidir"
    ):
        build_encoder("gru", 3, 8, peephole=True)
    with pytest.raises(InputError, match=r"encoder 'lstm' has no option 'batch_first'"):
        build_encoder("lstm", 3, 8, batch_first=False)


def test_an_encoder_must_say_how_it_reads() -> None:
    with pytest.raises(NotImplementedError, match=r"Encoder must define forward\(x, lengths, state\)"):
        Encoder()(torch.zeros(1, 1, 1))
