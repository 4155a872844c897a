"""The feed-forward encoder beside the plain multilayer perceptron that it is."""

from __future__ import annotations

import pytest
import torch

from longspan.core.errors import InputError
from longspan.nn.feedforward import FeedForward


@pytest.mark.parametrize("layers", [1, 3])
def test_every_step_is_the_same_perceptron_on_its_window(layers: int) -> None:
    torch.manual_seed(0)
    network = FeedForward(3, 8, layers, window=4).double()
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    y, state = network(x)
    for step in range(9):
        window = torch.zeros(2, 4, 3, dtype=torch.float64)
        seen = x[:, max(0, step - 3) : step + 1]
        window[:, 4 - seen.shape[1] :] = seen
        out = torch.einsum("bwi,hiw->bh", window, network.first.weight) + network.first.bias
        for layer in network.hidden:
            out = layer(out.relu())
        torch.testing.assert_close(y[:, step], out.relu(), rtol=1e-12, atol=1e-12)
    assert torch.equal(state, x[:, -3:])


def test_the_window_is_what_is_asked_then_what_is_reached_then_64() -> None:
    assert FeedForward(3, 8, reach=10, window=4).span == 4
    assert FeedForward(3, 8, reach=10).span == 10
    assert FeedForward(3, 8).span == 64


def test_parameters() -> None:
    for layers in (1, 3):
        network = FeedForward(8, 32, layers, window=168)
        expected = 168 * 8 * 32 + 32 + (layers - 1) * (32 * 32 + 32)
        assert sum(each.numel() for each in network.parameters()) == expected


def test_sizes_out_of_range() -> None:
    with pytest.raises(InputError, match=r"FeedForward: expected window of at least 1, got 0"):
        FeedForward(3, 8, window=0)
    with pytest.raises(InputError, match=r"FeedForward: expected window to be a whole number, got 2\.5"):
        FeedForward(3, 8, window=2.5)  # type: ignore[arg-type]
