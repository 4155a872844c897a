"""The causal convolutional network beside plain formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from longspan.core.errors import InputError
from longspan.nn.convolution import CausalConvolution, TemporalConvolution


def plainly(layer: CausalConvolution, x: Tensor, dilation: int) -> Tensor:
    """Tap j of k reads the step (k - 1 - j) · dilation ago."""
    weight, bias = layer.convolution.weight, layer.convolution.bias
    taps = weight.shape[2]
    total = torch.zeros(*x.shape[:2], weight.shape[0], dtype=x.dtype) + bias
    for tap in range(taps):
        ago = (taps - 1 - tap) * dilation
        total = total + pad(x, (0, 0, ago, 0))[:, : x.shape[1]] @ weight[:, :, tap].t()
    return total


@pytest.mark.parametrize("inputs", [3, 4])
def test_the_network_is_what_the_formula_says(inputs: int) -> None:
    torch.manual_seed(0)
    network = TemporalConvolution(inputs, 4, 2, kernel_size=3, levels=3).double()
    x = torch.randn(2, 30, inputs, dtype=torch.float64)
    y = x
    for number, block in enumerate(network.blocks):
        inner = y
        for part in block.parts:
            inner = plainly(part, inner, 2 ** (number % 3)).relu()
        y = (inner + block.skip(y)).relu()
    torch.testing.assert_close(network(x)[0], y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("reach", "layers", "kernel", "levels", "span"),
    [
        *[(1, 1, 3, 1, 5), (5, 1, 3, 1, 5), (6, 1, 3, 2, 13), (None, 1, 3, 5, 125)],
        *[(168, 1, 3, 6, 253), (168, 2, 3, 5, 249), (168, 1, 8, 4, 211)],
    ],
)
def test_as_few_levels_as_reach_over_the_sequence(
    reach: int | None, layers: int, kernel: int, levels: int, span: int
) -> None:
    network = TemporalConvolution(3, 4, layers, kernel_size=kernel, reach=reach)
    assert (network.levels, network.span) == (levels, span)


@pytest.mark.parametrize(("inputs", "width", "layers", "levels"), [(8, 32, 1, 6), (5, 5, 2, 3)])
def test_parameters(inputs: int, width: int, layers: int, levels: int) -> None:
    network = TemporalConvolution(inputs, width, layers, kernel_size=3, levels=levels)
    others = 2 * layers * levels - 1
    expected = 3 * width * (inputs + others * width) + 2 * width * (others + 1)
    if inputs != width:
        expected += inputs * width + width
    assert sum(each.numel() for each in network.parameters()) == expected


def test_sizes_out_of_range() -> None:
    with pytest.raises(InputError, match=r"TemporalConvolution: expected kernel_size of at least 2, got 1"):
        TemporalConvolution(3, 4, kernel_size=1)
    with pytest.raises(InputError, match=r"TemporalConvolution: expected levels of at least 1, got 0"):
        TemporalConvolution(3, 4, levels=0)
