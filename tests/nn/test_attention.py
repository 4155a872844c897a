"""The transformer beside plain formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from longspan.core.errors import InputError
from longspan.nn.attention import Transformer, _chosen_heads, _turned


def built(context: int, layers: int = 1, width: int = 8, **options: int) -> Transformer:
    torch.manual_seed(1)
    return Transformer(3, width, layers, context=context, **options).double()


def plainly(network: Transformer, x: Tensor) -> Tensor:
    """The blocks with attention written out: maps times values."""
    y = network.embed(x)
    for block, maps in zip(network.blocks, network.attention_maps(x), strict=True):
        own = block.attention
        value = own.project(block.attention_norm(y))[..., 2 * own.inner :]
        read = torch.einsum("bhts,bshw->bthw", maps, value.unflatten(-1, (own.heads, own.width)))
        y = y + own.out(read.flatten(2))
        y = y + block.network(block.network_norm(y))
    return network.norm(y)


@pytest.mark.parametrize("steps", [1, 5, 6, 17])
@pytest.mark.parametrize("heads", [1, 2, 8])
def test_blocks_of_fused_attention_give_what_the_formula_says(steps: int, heads: int) -> None:
    network, x = built(5, layers=2, heads=heads), torch.randn(2, steps, 3, dtype=torch.float64)
    maps = network.attention_maps(x)
    assert maps.shape == (2, 2, heads, steps, steps)
    torch.testing.assert_close(maps.sum(-1), torch.ones_like(maps[..., 0]))
    lag = torch.arange(steps)[:, None] - torch.arange(steps)
    assert not maps[..., (lag < 0) | (lag >= 5)].any()
    assert (maps[..., (lag >= 0) & (lag < 5)] > 0).all()
    torch.testing.assert_close(network(x)[0], plainly(network, x), rtol=1e-12, atol=1e-12)


def test_rotations_keep_lengths_and_show_differences_of_place_only() -> None:
    """Su et al. 2021, section 3.4.2: the product of a turned query and key tells how far apart they are."""
    query, key = torch.randn(2, 1, 6, dtype=torch.float64)
    q, k = (_turned(each.expand(50, -1), 6) for each in (query, key))
    torch.testing.assert_close(q.norm(dim=-1), query.norm().expand(50))
    products = q @ k.t()
    for lag in (0, 1, 7):
        along = products.diagonal(-lag)
        torch.testing.assert_close(along, along[:1].expand_as(along))
    later = _turned(query, 6, first=49)
    torch.testing.assert_close(later[0], q[49])


def test_rotation_angles() -> None:
    turned = _turned(torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(3, -1), 4)
    for place in range(3):
        expected = [math.cos(place), math.cos(place / 100), math.sin(place), math.sin(place / 100)]
        torch.testing.assert_close(turned[place], torch.tensor(expected))


def test_what_a_state_holds_is_bounded_by_the_context() -> None:
    network = built(4)
    state = None
    for steps, seen in ((1, 1), (1, 2), (9, 3), (1, 3)):
        _, state = network(torch.randn(2, steps, 3, dtype=torch.float64), None, state)
        assert [each.shape for each in (*state.keys, *state.values)] == [(2, 3, 8)] * 2
        assert state.seen.tolist() == [seen, seen]


def test_a_long_sequence_needs_no_square_of_memory() -> None:
    """100,000 steps: every pair would be 10¹⁰ weights."""
    network = Transformer(3, 8, context=16).eval()
    with torch.no_grad():
        y, _ = network(torch.randn(1, 100_000, 3))
    assert torch.isfinite(y).all()


def test_the_number_of_heads() -> None:
    chosen = {8: 1, 16: 2, 32: 4, 33: 1, 34: 1, 36: 2, 64: 8, 80: 8, 96: 8}
    assert {width: _chosen_heads(width) for width in chosen} == chosen
    assert built(4, width=9).blocks[0].attention.inner == 10  # an odd width is turned in pairs all the same
    with pytest.raises(InputError, match=r"Transformer: expected heads that divide the width 8, got 3"):
        built(4, heads=3)
    with pytest.raises(InputError, match=r"Transformer: expected context of at least 1, got 0"):
        built(0)


@pytest.mark.parametrize(("width", "heads", "layers"), [(32, 4, 1), (9, 1, 2), (6, 2, 3)])
def test_parameters(width: int, heads: int, layers: int) -> None:
    inner = heads * 2 * math.ceil(width / heads / 2)
    block = 4 * width * inner + 8 * width**2 + 10 * width
    network = built(5, layers, width, heads=heads)
    assert sum(each.numel() for each in network.parameters()) == 3 * width + 3 * width + layers * block
