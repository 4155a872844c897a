"""Derivatives of the engine's operators of every order and mode, against finite differences and the loop."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from kernel_contract import relative_error
from native_problems import Sizes, problem
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.functional import jacobian
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp

from longspan import cells, nn
from longspan.kernels import native, native_stack, reference
from longspan.kernels.dispatch import using
from longspan.kernels.native_cells import facts_of, record_place
from longspan.kernels.native_derivatives import cell_of, record_names
from longspan.kernels.native_library import NativeError
from longspan.kernels.plan import Arguments, Plan

# Forward-mode makes torch load decompositions of its own, which it scripts.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

Options = tuple[tuple[str, Any], ...]


def _option_sets() -> list[tuple[str, Options]]:
    forms: tuple[dict[str, bool], ...] = ({}, {"coupled": True}, {"forget_gate": False})
    found: list[tuple[str, Options]] = []
    for form, peephole, norm, projection, clip in product(
        forms, (False, True), (False, True), (False, True), (None, 0.5)
    ):
        flags = {"peephole": peephole, "layer_norm": norm, "projection": projection, "cell_clip": clip}
        found.append(("lstm", tuple({**form, **flags, "bias": len(found) % 3 > 0}.items())))
    for bias in (True, False):
        found += [("rnn", (("nonlinearity", kind), ("bias", bias))) for kind in ("tanh", "relu")]
        found.append(("gru", (("bias", bias),)))
    return found


OPTION_SETS = _option_sets()
NAMES = [
    f"{name}({','.join(f'{k}={v}' for k, v in options if v is not None)})" for name, options in OPTION_SETS
]


@pytest.mark.parametrize("place", range(len(OPTION_SETS)), ids=NAMES)
def test_the_engine_s_numbers_stand_for_the_cell_that_they_were_made_of(place: int) -> None:
    cell = cells.build(OPTION_SETS[place][0], **dict(OPTION_SETS[place][1]))
    facts = facts_of(cell)
    assert cell_of(facts.code, facts.options, facts.present, facts.cell_clip) is cell
    names = {record_place(cell, name): name for name in cell.records if name != "h"}
    assert names.items() <= record_names(cell).items()


def _situation(place: int, cell: str, options: Options) -> tuple[Plan, Arguments]:
    """The places alternate between masks, resets, lengths and both directions of a small problem."""
    training, resets, ragged = (bool(place >> bit & 1) for bit in range(3))
    backward = place % 16 == 15
    plan, args = problem(Sizes(3, 2, 2, 3, cell, options, training, resets, 40 + place), torch.float64)
    plan = plan._replace(record=plan.record[:: 1 + place % 3], bidirectional=backward, ragged=ragged)
    if ragged:
        args = args._replace(lengths=torch.tensor([3, place % 3]))
    if backward:
        args = args._replace(
            state=tuple(part.repeat(2, 1, 1) for part in args.state),
            weights=[*args.weights, *(0.9 * part for part in args.weights)],
            reset_state=args.reset_state and tuple(part.repeat(2, 1) for part in args.reset_state),
        )
    return plan, args


def _leaves(args: Arguments) -> tuple[Tensor, ...]:
    found = (args.x, *args.state, *args.weights, *(args.reset_state or ()))
    return tuple(part.detach().clone().requires_grad_() for part in found)


def _function(
    plan: Plan, args: Arguments, kernel: Callable[[Plan, Arguments], Any] = native.run
) -> Callable[..., tuple[Tensor, ...]]:
    """Everything that the kernel computes, of the tensors that have gradients."""
    states, weights = len(args.state), len(args.weights)

    def call(*leaves: Tensor) -> tuple[Tensor, ...]:
        result = kernel(
            plan,
            args._replace(
                x=leaves[0],
                state=leaves[1 : 1 + states],
                weights=list(leaves[1 + states : 1 + states + weights]),
                reset_state=leaves[1 + states + weights :] or None,
            ),
        )
        return (result.y, *result.state, *result.record.values())

    return call


@pytest.mark.parametrize("place", range(len(OPTION_SETS)), ids=NAMES)
def test_second_derivatives_are_those_of_finite_differences(place: int) -> None:
    plan, args = _situation(place, *OPTION_SETS[place])
    assert torch.autograd.gradgradcheck(_function(plan, args), _leaves(args), fast_mode=True)


@pytest.mark.parametrize("place", [22, 50])
def test_every_element_of_a_second_derivative_is_that_of_finite_differences(place: int) -> None:
    plan, args = _situation(place, *OPTION_SETS[place])
    args = args._replace(x=args.x[:, :1], state=tuple(part[:, :1] for part in args.state))
    args = args._replace(
        sample_ids=torch.tensor([4]),
        lengths=None if args.lengths is None else args.lengths[:1],
        reset=None if args.reset is None else args.reset[:, :1],
    )
    assert torch.autograd.gradgradcheck(_function(plan, args), _leaves(args))


def _third(function: Callable[..., tuple[Tensor, ...]], leaves: tuple[Tensor, ...]) -> list[Tensor]:
    """Gradients of a gradient of a gradient."""
    value = sum(part.square().sum() for part in function(*leaves))
    for _ in range(2):
        slopes = torch.autograd.grad(value, leaves, create_graph=True, allow_unused=True)
        value = sum(slope.pow(2).sum() for slope in slopes if slope is not None)
    found = torch.autograd.grad(value, leaves, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True)]


@pytest.mark.parametrize("place", [0, 31, 48, 53])
def test_third_derivatives_are_those_of_the_loop(place: int) -> None:
    plan, args = _situation(place, *OPTION_SETS[place])
    leaves = _leaves(args)
    got, want = (_third(_function(plan, args, kernel), leaves) for kernel in (native.run, reference.run))
    for one, other in zip(got, want, strict=True):
        assert relative_error(one, other) <= 1e-12


@pytest.mark.parametrize("which", range(4), ids=["x", "h", "c", "weight_ih"])
def test_second_derivatives_of_one_input_only(which: int) -> None:
    plan, args = _situation(14, *OPTION_SETS[14])
    leaves = tuple(leaf.detach() for leaf in _leaves(args))
    leaves[which].requires_grad_()
    found = []
    for kernel in (native.run, reference.run):
        y = _function(plan, args, kernel)(*leaves)[0]  # the states and the records have no gradient
        (slope,) = torch.autograd.grad(y.square().sum(), leaves[which], create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), leaves[which])[0])
    assert found[1].any()
    assert relative_error(*found) <= 1e-12


def test_a_second_derivative_to_the_cotangent_only() -> None:
    plan, args = _situation(0, *OPTION_SETS[0])
    leaves = _leaves(args)
    found = []
    for kernel in (native.run, reference.run):
        y = _function(plan, args, kernel)(*leaves)[0]
        cotangent = torch.ones_like(y, requires_grad=True)
        (slope,) = torch.autograd.grad(y, leaves[0], cotangent, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), cotangent)[0])
    assert relative_error(*found) <= 1e-12


def test_a_second_backward_pass_draws_the_masks_of_the_first() -> None:
    """Dropped h and held states are seen by no derivative of any order."""
    size = Sizes(4, 3, 2, 8, "gru", (), True, False, 3)
    plan, args = problem(size, torch.float64)
    plan = plan._replace(recurrent_dropout=1.0, zoneout=(0.0,), record=())
    weight = args.weights[1].clone().requires_grad_()
    x = args.x.clone().requires_grad_()
    y = native.run(plan, args._replace(x=x, weights=[args.weights[0], weight, *args.weights[2:]])).y
    slope = torch.autograd.grad(y.sum(), x, create_graph=True)[0]
    (through,) = torch.autograd.grad(slope.square().sum(), weight)
    assert not through.any(), "with all of h dropped the recurrent weights have no part in anything"


def test_operands_that_depend_on_each_other_are_not_counted_twice() -> None:
    """The second chunk's state is a function of the weights and of the input that it is called with."""
    found = []
    for kernel in ("native", "reference"):
        layer, _, x = _layer("lstm")
        x.requires_grad_()
        leaves = [x, *layer.parameters()]
        with using(kernel):
            y, _ = layer(x, layer(x)[1])
            slopes = torch.autograd.grad(y.square().sum(), leaves, create_graph=True)
            second = torch.autograd.grad(sum(slope.square().sum() for slope in slopes), leaves)
        found.append([*slopes, *second])
    for got, want in zip(*found, strict=True):
        assert relative_error(got, want) <= 1e-12


LAYERS = {
    "lstm": lambda **kw: nn.LSTM(2, 3, 2, bidirectional=True, **kw),
    "everything": lambda **kw: nn.LSTM(
        2, 4, 2, bidirectional=True, proj_size=2, peephole=True, layer_norm=True, cell_clip=0.8, zoneout=0.1,
        recurrent_dropout=0.3, dropout=0.3, learn_initial_state=True, **kw,
    ),
    "gru": lambda **kw: nn.GRU(2, 3, 2, zoneout=0.2, **kw),
    "rnn": lambda **kw: nn.RNN(2, 3, 1, "tanh", learn_initial_state=True, **kw),
}  # fmt: skip


def _layer(name: str) -> tuple[nn.Recurrent, dict[str, Tensor], Tensor]:
    torch.manual_seed(3)
    layer = LAYERS[name](dtype=torch.float64)
    params = {key: value.detach() for key, value in layer.named_parameters()}
    return layer, params, torch.randn(3, 2, 2, dtype=torch.float64)


def _on(kernel: str, run: Callable[[], Any]) -> list[Tensor]:
    with using(kernel):
        return [leaf.detach() for leaf in torch.utils._pytree.tree_leaves(run())]


def _same_on_both(run: Callable[[], Any], bound: float = 1e-12) -> None:
    got, want = _on("native", run), _on("reference", run)
    assert len(got) == len(want)
    assert any(value.any() for value in want)
    for one, other in zip(got, want, strict=True):
        assert one.shape == other.shape
        assert relative_error(one, other) <= bound


@pytest.mark.parametrize("name", LAYERS)
def test_second_derivatives_through_a_layer(name: str) -> None:
    layer, _, x = _layer(name)

    def run(x: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
        y, state = layer(x, lengths=[3, 2], reset=torch.tensor([[0, 0], [0, 1], [1, 0]]).bool(), seed=5)
        return y, *(state if isinstance(state, tuple) else (state,))

    with using("native"):
        inputs = (x.requires_grad_(), *layer.parameters())
        assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
        assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


def _loss(layer: nn.Recurrent, params: dict[str, Tensor], x: Tensor) -> Tensor:
    y, _, records = functional_call(layer, params, (x,), {"record": layer.cell.activations[0], "seed": 3})
    return y.square().sum() + sum(value.pow(3).sum() for value in records.values())


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("transform", [grad, jacrev, jacfwd], ids=lambda f: f.__name__)
def test_transforms_of_torch_func(name: str, transform: Callable[..., Any]) -> None:
    layer, params, x = _layer(name)
    _same_on_both(lambda: transform(lambda params: _loss(layer, params, x))(params))
    _same_on_both(lambda: transform(lambda x: functional_call(layer, params, (x,), {"seed": 3})[0])(x)
                  if transform is not grad else transform(lambda x: _loss(layer, params, x))(x))  # fmt: skip


@pytest.mark.parametrize("name", ["lstm", "everything"])
def test_hessians(name: str) -> None:
    layer, params, x = _layer(name)

    def loss(x: Tensor) -> Tensor:
        return _loss(layer, params, x)

    _same_on_both(lambda: hessian(loss)(x))
    _same_on_both(lambda: jacrev(jacrev(loss))(x))
    _same_on_both(lambda: jacrev(jacfwd(loss))(x))
    _same_on_both(lambda: torch.autograd.functional.hessian(loss, x))
    with using("native"):
        assert torch.allclose(hessian(loss)(x), jacrev(jacrev(loss))(x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_forward_mode_has_the_tangents_of_the_loop(name: str) -> None:
    layer, params, x = _layer(name)
    directions = {key: torch.full_like(value, 0.3) for key, value in params.items()}

    def run(params: dict[str, Tensor], x: Tensor) -> Any:
        return functional_call(layer, params, (x,), {"record": layer.cell.records, "seed": 3})

    _same_on_both(lambda: jvp(run, (params, x), (directions, x)))
    _same_on_both(lambda: jvp(grad(lambda x: _loss(layer, params, x)), (x,), (x.cos(),)))
    _same_on_both(lambda: grad(lambda x: jvp(lambda x: _loss(layer, params, x), (x,), (x,))[1])(x))


def test_a_tangent_is_the_adjoint_of_a_gradient() -> None:
    layer, params, x = _layer("everything")

    def run(x: Tensor) -> Tensor:
        return functional_call(layer, params, (x,), {"seed": 3})[0]

    with using("native"):
        y, tangent = jvp(run, (x,), (x.sin(),))
        pulled = vjp(run, x)[1](y.cos())[0]
    assert (tangent * y.cos()).sum().item() == pytest.approx((pulled * x.sin()).sum().item(), rel=1e-10)


@pytest.mark.parametrize("wants_gradient", [False, True])
def test_dual_numbers(wants_gradient: bool) -> None:
    layer, _, x = _layer("everything")
    layer.requires_grad_(wants_gradient)

    def run() -> tuple[Tensor, ...]:
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x.clone().requires_grad_(wants_gradient), x.exp())
            y, tangent = forward_ad.unpack_dual(layer(dual, seed=2)[0])
        more = torch.autograd.grad(tangent.square().sum(), layer.weight_hh_l0) if wants_gradient else ()
        return y, tangent, *more

    _same_on_both(run)


def test_a_tangent_that_comes_after_the_forward_pass_is_not_lost() -> None:
    """It has the tangent of the loop, or there is an error in words."""
    found = []
    for kernel in ("native", "reference"):
        layer, _, x = _layer("lstm")
        with using(kernel):
            y, _ = layer(x.requires_grad_())
            with forward_ad.dual_level():
                cotangent = forward_ad.make_dual(torch.ones_like(y), y.detach().cos())
                (slope,) = torch.autograd.grad(y, x, cotangent)
                found.append(forward_ad.unpack_dual(slope).tangent)
    assert relative_error(*found) <= 1e-12


def test_an_operator_s_gradient_refuses_a_tangent_in_words() -> None:
    plan, args = _situation(0, *OPTION_SETS[0])
    y = native_stack.run_operators(plan, args._replace(x=args.x.requires_grad_())).y
    with forward_ad.dual_level():
        cotangent = forward_ad.make_dual(torch.ones_like(y), torch.ones_like(y))
        with pytest.raises(
            NativeError, match=r'got some: run both in it, or the layer in using\("reference"\)'
        ):
            torch.autograd.grad(y, args.x, cotangent)


def test_jacobians_of_torch_autograd() -> None:
    layer, _, x = _layer("everything")
    _same_on_both(lambda: jacobian(lambda x: layer(x, seed=3)[0], x))


def test_a_batch_of_cotangents_gives_what_each_gives() -> None:
    layer, _, x = _layer("everything")
    x.requires_grad_()
    y = layer(x, seed=3)[0]
    cotangents, operands = torch.randn(3, *y.shape, dtype=y.dtype), [x, *layer.parameters()]
    together = torch.autograd.grad(y, operands, cotangents, is_grads_batched=True, retain_graph=True)
    for k, cotangent in enumerate(cotangents):
        alone = torch.autograd.grad(y, operands, cotangent, retain_graph=True)
        torch.testing.assert_close(tuple(part[k] for part in together), alone)


def test_an_operator_refuses_a_batch_of_cotangents_in_words() -> None:
    plan, args = _situation(0, *OPTION_SETS[0])
    with pytest.raises(NativeError, match=r"got a batch of them .*: use torch\.func\.jacrev"):
        jacobian(lambda x: native_stack.run_operators(plan, args._replace(x=x)).y, args.x, vectorize=True)


def test_checkpointed_layers_and_hooks_see_the_same_gradients() -> None:
    layer, _, x = _layer("everything")
    x.requires_grad_()
    with using("native"):
        plain = torch.autograd.grad(layer(x, seed=4)[0].sum(), [x, *layer.parameters()], allow_unused=True)
        y = torch.utils.checkpoint.checkpoint(lambda x: layer(x, seed=4)[0], x, use_reentrant=False)
        kept = torch.autograd.grad(y.sum(), [x, *layer.parameters()], allow_unused=True)
    for one, other in zip(plain, kept, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)
