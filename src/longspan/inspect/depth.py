"""Gradients by depth: a recurrent layer unrolled is a feed-forward net whose layers share their weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from longspan.core.errors import InputError
from longspan.core.seeds import derive
from longspan.inspect.gradients import LagCurve
from longspan.nn.stack import Recurrent

__all__ = ["LayerStack", "depth_gradients", "plain_net", "unrolled"]


class LayerStack(nn.Module):
    """Layers ``a_l = tanh(W_l x_l + U_l a_{l-1} + b_l)``; layer l may read an input of its own.

    Args:
        layers: (W or None, U, b) of each: (H, I), (H, H), (H,). The same tensor may stand in many of them.
    """

    def __init__(self, layers: list[tuple[Tensor | None, Tensor, Tensor | None]]) -> None:
        super().__init__()
        self.layers = layers
        own = {id(part): part for each in layers for part in each if isinstance(part, nn.Parameter)}
        self.shared = nn.ParameterList(own.values())

    def forward(self, x: Tensor | None, first: Tensor) -> list[Tensor]:
        """The activations of every layer, (B, H) each.

        Args:
            x: (B, depth, I) or None. first: (B, H) what the first layer reads.
        """
        found = [first]
        for place, (reads, weight, bias) in enumerate(self.layers):
            sums = nn.functional.linear(found[-1], weight, bias)
            if reads is not None and x is not None:
                sums = sums + nn.functional.linear(x[:, place], reads)
            found.append(torch.tanh(sums))
        return found[1:]


def unrolled(layer: Recurrent, depth: int) -> LayerStack:
    """A plain recurrent layer as a feed-forward net: ``depth`` layers, one a step, that share their weights.

    Raises:
        InputError: the layer is not one tanh layer of the plain cell in one direction.
    """
    options = dict(layer.cell.options)
    if (
        layer.cell.name != "rnn"
        or options["nonlinearity"] != "tanh"
        or layer.num_layers > 1
        or layer.bidirectional
    ):
        raise InputError(f"unrolled: expected one layer of tanh rnn in one direction, got {layer!r}")
    weights = dict(layer.named_parameters())
    bias = None
    if options["bias"]:
        bias = weights["bias_ih_l0"] + weights["bias_hh_l0"]
    return LayerStack([(weights["weight_ih_l0"], weights["weight_hh_l0"], bias)] * depth)


def plain_net(width: int, depth: int, seed: int, *, shared: bool = False) -> LayerStack:
    """An untrained net of tanh layers, weights from U(-1/√H, 1/√H) as torch starts a recurrent layer.

    Args:
        width: H. depth: layers. seed: of the weights.
        shared: one set of weights for all layers, as in a recurrent network.
    """
    bound = width**-0.5
    draws = torch.Generator().manual_seed(derive(seed, "plain net"))

    def drawn(*shape: int) -> nn.Parameter:
        return nn.Parameter((2 * torch.rand(*shape, generator=draws) - 1) * bound)

    one = (None, drawn(width, width), drawn(width))
    return LayerStack([one if shared else (None, drawn(width, width), drawn(width)) for _ in range(depth)])


def depth_gradients(net: LayerStack, width: int, examples: int, seed: int) -> LagCurve:
    """|∂ last layer / ∂ layer| by the number of layers between them, for normal inputs: size (n, depth).

    The norm is over all units of both, by 16 random mixtures of the last layer's.
    """
    draws = torch.Generator().manual_seed(derive(seed, "inputs of the plain net"))
    layers = net(None, torch.randn(examples, width, generator=draws))
    signs = np.random.default_rng(derive(seed, "mixtures")).choice((-1.0, 1.0), (16, width))
    total = torch.zeros(examples, len(layers), dtype=torch.float64)
    for mixture in torch.as_tensor(signs, dtype=layers[0].dtype):
        found = torch.autograd.grad((layers[-1] * mixture).sum(), layers, retain_graph=True)
        total += torch.stack([each.double().square().sum(dim=1) for each in found], dim=1) / 16
    size = total.flip(1).sqrt().numpy()
    return LagCurve("last layer by layer", np.arange(len(layers)), size)
