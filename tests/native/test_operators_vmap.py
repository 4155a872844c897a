"""The engine's operators under vmap: every slice has what it has alone, and gradients are those of a loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_contract import relative_error
from native_problems import Sizes, assert_same_bits, problem, sizes
from torch import Tensor, vmap
from torch.func import functional_call, grad, jacrev, jvp, stack_module_state

from longspan import nn
from longspan.kernels import native
from longspan.kernels.dispatch import using

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

N = 3


def _looped(function: Callable[..., Any], dims: Sequence[int | None], *given: Tensor) -> list[Tensor]:
    """The function on each slice alone, and the results put together; leaves in order."""
    parts = [
        function(
            *(value if dim is None else value.select(dim, k) for value, dim in zip(given, dims, strict=True))
        )
        for k in range(N)
    ]
    leaves = [torch.utils._pytree.tree_leaves(part) for part in parts]
    return [torch.stack(each) for each in zip(*leaves, strict=True)]


@settings(max_examples=30)
@given(sizes(max_steps=6, max_batch=4, max_hidden=20), st.data())
def test_slices_have_the_bits_that_they_have_alone(size: Sizes, data: st.DataObject) -> None:
    plan, args = problem(size)
    operands = (args.x, *args.state, *args.weights, *(args.reset_state or ()))
    mapped = [data.draw(st.sampled_from((None, 0, -1))) for _ in operands]
    mapped[0] = data.draw(st.sampled_from((0, 1)))
    states, weights = len(args.state), len(args.weights)
    if data.draw(st.booleans()):  # then one call can do it
        mapped[1 + states :] = [None] * (len(mapped) - 1 - states)
    scale = torch.linspace(0.5, 1.5, N)
    values = [
        value if dim is None else torch.stack([value * factor for factor in scale], dim)
        for value, dim in zip(operands, mapped, strict=True)
    ]
    if data.draw(st.booleans()):
        values = [value.requires_grad_() for value in values]
    if data.draw(st.booleans()):
        args = args._replace(sample_ids=None)

    def run(*given: Tensor) -> tuple[Tensor, ...]:
        inner = args._replace(
            x=given[0],
            state=given[1 : 1 + states],
            weights=list(given[1 + states : 1 + states + weights]),
            reset_state=given[1 + states + weights :] or None,
        )
        result = native.run(plan, inner)
        return (result.y, *result.state, *result.record.values())

    got = [part.detach() for part in vmap(run, tuple(mapped))(*values)]
    want = _looped(run, mapped, *values)
    assert_same_bits(dict(enumerate(got)), dict(enumerate(want)))  # type: ignore[arg-type]


def _layer(**changes: Any) -> tuple[nn.LSTM, dict[str, Tensor], Tensor]:
    torch.manual_seed(5)
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64, **changes}
    layer = nn.LSTM(3, 4, **options)
    params = {key: value.detach() for key, value in layer.named_parameters()}
    return layer, params, torch.randn(N, 5, 2, 3, dtype=torch.float64)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"peephole": True, "layer_norm": True, "proj_size": 2, "learn_initial_state": True},
        {"zoneout": 0.3, "recurrent_dropout": 0.4, "dropout": 0.2},
    ],
    ids=["plain", "options", "masks"],
)
@pytest.mark.parametrize("ids", [None, [7, 2]], ids=["places", "sample_ids"])
def test_per_sample_gradients_are_those_of_a_loop(changes: dict[str, Any], ids: list[int] | None) -> None:
    layer, params, x = _layer(**changes)
    reset = torch.tensor([[0, 0], [0, 1], [0, 0], [1, 0], [0, 0]]).bool()

    def loss(params: dict[str, Tensor], x: Tensor) -> Tensor:
        options = {"lengths": [5, 3], "reset": reset, "seed": 11, "sample_ids": ids}
        y, (h, c) = functional_call(layer, params, (x,), options)
        return y.square().sum() + h.sum() + c.sum()

    with using("native"):
        got = vmap(grad(loss, argnums=(0, 1)), (None, 0))(params, x)
        want = [grad(loss, argnums=(0, 1))(params, one) for one in x]
    for name, value in got[0].items():
        assert torch.equal(value, torch.stack([each[name] for each, _ in want])), name
    assert torch.equal(got[1], torch.stack([each for _, each in want]))
    assert sum(bool(value.any()) for value in got[0].values()) == len(params)


def test_a_gradient_of_a_mapped_layer_is_the_sum_over_its_slices() -> None:
    """The tape is asked for by what is outside of vmap, where the layer cannot see it."""
    layer, params, x = _layer()

    def total(params: dict[str, Tensor], x: Tensor) -> Tensor:
        return vmap(lambda x: functional_call(layer, params, (x,))[0])(x).square().sum()

    def looped(params: dict[str, Tensor], x: Tensor) -> Tensor:
        return sum((functional_call(layer, params, (one,))[0].square().sum() for one in x), torch.zeros(()))

    with using("native"):
        got, want = (grad(function, argnums=(0, 1))(params, x) for function in (total, looped))
        assert relative_error(got[1], want[1]) <= 1e-13
        for name, value in want[0].items():
            assert relative_error(got[0][name], value) <= 1e-13
        frozen = x.clone().requires_grad_()
        (only_x,) = torch.autograd.grad(total(params, frozen), frozen)
    assert relative_error(only_x, want[1]) <= 1e-13


def test_an_ensemble_is_one_call() -> None:
    layers = [nn.GRU(3, 4, batch_first=True, zoneout=0.1).eval() for _ in range(N)]
    params, buffers = stack_module_state(layers)  # type: ignore[arg-type]
    x = torch.randn(2, 5, 3)
    with using("native"):
        got = vmap(lambda params: functional_call(layers[0], (params, buffers), (x,))[0])(params)
        want = torch.stack([layer(x)[0] for layer in layers])
    assert torch.equal(got, want)


def test_jacobians_and_tangents_under_vmap() -> None:
    layer, params, x = _layer(num_layers=1)

    def run(x: Tensor) -> Tensor:
        return functional_call(layer, params, (x,))[0][-1]

    found = []
    for kernel in ("native", "reference"):
        with using(kernel):
            found.append((
                vmap(jacrev(run))(x),
                vmap(lambda x: jvp(run, (x,), (x,))[1])(x),
                jvp(lambda x: vmap(run)(x), (x,), (x,))[1],
                vmap(vmap(run, 1, 1))(x.unsqueeze(3)),
                vmap(grad(lambda x: grad(lambda x: run(x).pow(3).sum())(x).square().sum()))(x),
            ))  # fmt: skip
    for got, want in zip(*found, strict=True):
        assert want.any()
        assert relative_error(got, want) <= 1e-11


def test_randomness_decides_whether_slices_share_their_masks() -> None:
    layer, params, x = _layer(recurrent_dropout=0.5, num_layers=1)
    same = x[:1].expand(N, -1, -1, -1)

    def run(x: Tensor) -> Tensor:
        return functional_call(layer, params, (x,))[0]

    with using("native"):
        one = vmap(run, randomness="same")(same)
        assert torch.equal(one[0], one[1])
        each = vmap(run, randomness="different")(same)
        assert not torch.equal(each[0], each[1])
        with pytest.raises(RuntimeError, match="randomness"):
            vmap(run)(same)
        seeds = torch.tensor([3, 4, 3])
        keyed = vmap(lambda seed: functional_call(layer, params, (x[0],), {"seed": seed})[0])(seeds)
        assert torch.equal(keyed[0], keyed[2])
        assert torch.equal(keyed[1], functional_call(layer, params, (x[0],), {"seed": 4})[0])
        ids = torch.tensor([[0, 1], [5, 6], [0, 1]])
        named = vmap(lambda i: functional_call(layer, params, (x[0],), {"seed": 3, "sample_ids": i})[0])(ids)
        assert torch.equal(named[0], keyed[0])
        assert not torch.equal(named[1], keyed[0])


def test_mapped_lengths_and_resets() -> None:
    """Straight at the kernel."""
    plan, args = problem(Sizes(5, 2, 3, 4, "lstm", (("peephole", True),), False, True, 4))
    plan = plan._replace(ragged=True)
    lengths = torch.tensor([[5, 2], [0, 1], [3, 5]])
    resets = torch.rand(N, 5, 2) < 0.4

    def run(lengths: Tensor, reset: Tensor) -> tuple[Tensor, ...]:
        result = native.run(plan, args._replace(lengths=lengths, reset=reset))
        return (result.y, *result.state, *result.record.values())

    got, want = vmap(run)(lengths, resets), _looped(run, (0, 0), lengths, resets)
    assert_same_bits(dict(enumerate(got)), dict(enumerate(want)))  # type: ignore[arg-type]


@pytest.mark.parametrize("kept", [False, True])
def test_no_slices_give_nothing_of_the_right_shape(kept: bool) -> None:
    layer, params, x = _layer(num_layers=1)

    def run(params: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(layer, params, (x,))[0].sum()

    with using("native"):
        found = vmap(grad(run) if kept else run, (None, 0))(params, x[:0])
    shapes = {name: (0, *value.shape) for name, value in params.items()}
    assert ({n: tuple(v.shape) for n, v in found.items()} == shapes) if kept else (found.shape == (0,))
