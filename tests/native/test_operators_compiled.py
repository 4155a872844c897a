"""The engine's operators in graphs: torch's own checks, compiled layers, exported ones, with equal bits."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from native_problems import Sizes, problem, sizes
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.export import Dim

from longspan import nn
from longspan.kernels import native_ops, native_stack
from longspan.kernels.plan import Arguments, Plan
from longspan.nn import explain

# What torch itself warns of while it traces: pytree, its own deprecated parts, and threads of the compiler.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)

COMPILER = next((name for name in ("g++", "clang++", "c++") if shutil.which(name)), None)
NO_COMPILER = pytest.mark.skipif(COMPILER is None, reason="inductor needs a C++ compiler, and there is none")
# One layer through inductor, which takes its time; what differs between layers is traced the same way.
COMPILED = [
    *[("aot_eager", name) for name in ("options", "masks", "records", "ragged")],
    pytest.param("inductor", "records", marks=NO_COMPILER),
]


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    """Nothing compiled before; memory as it comes, since compiled code knows no deterministic mode."""
    torch.use_deterministic_algorithms(False)
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def _operands(plan: Plan, args: Arguments, *, gradients: bool) -> tuple[Any, ...]:
    """What the forward operator is called with."""
    seen: list[tuple[Any, ...]] = []
    whole = native_ops.run_side

    def spy(inputs: Any, side: native_ops.Side) -> Any:
        seen.append((*inputs, side.numbers(), side.rates()))
        return whole(inputs, side)

    if gradients:
        args = args._replace(
            x=args.x.requires_grad_(),
            weights=[weight.requires_grad_() for weight in args.weights],
            state=tuple(part.requires_grad_() for part in args.state),
            reset_state=args.reset_state and tuple(part.requires_grad_() for part in args.reset_state),
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native_stack, "run_side", spy)
        native_stack.run_operators(plan, args)
    return seen[0]


@settings(max_examples=25)
@given(sizes(max_steps=5, max_batch=3, max_hidden=18), st.booleans(), st.booleans(), st.booleans())
def test_torch_s_own_checks_of_the_operators(
    size: Sizes, record: bool, ragged: bool, gradients: bool
) -> None:
    plan, args = problem(size)
    plan = plan._replace(record=plan.record if record else (), ragged=ragged)
    if ragged:
        args = args._replace(lengths=torch.arange(size.batch) % (size.steps + 1))
    operands = _operands(plan, args, gradients=gradients)
    # Fake tensors too: the number of records and the sizes of the tape are known without running.
    names = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.longspan.native_side.default, operands, test_utils=names)
    y, h, c, records, tape = torch.ops.longspan.native_side(*operands)
    assert records.shape[0] == len(operands[11]) - 7, "records are always there, possibly none of them"
    assert (tape.numel() > 0) == gradients
    if gradients:
        kept = [*operands[11]]
        kept[5] = 1
        slopes = [torch.randn_like(part) for part in (y, h, c, records)]
        back = (*operands[:11], kept, operands[12], tape, *slopes, True)
        torch.library.opcheck(torch.ops.longspan.native_side_backward.default, back, test_utils=names)


def _results(*operands: Any) -> tuple[Tensor, ...]:
    """All but the tape, parts of which are not written."""
    return torch.ops.longspan.native_side(*operands)[:4]


def _step(function: Any, operands: tuple[Any, ...]) -> list[Tensor]:
    """Results and gradients of a sum that weighs every element differently."""
    results = function(*operands)
    loss = sum((part * torch.linspace(0.1, 1.0, part.numel()).view(part.shape)).sum() for part in results)
    leaves = [part for part in (*operands[:3], *operands[3], *operands[6:8]) if part is not None]
    return [*results, *torch.autograd.grad(loss, [leaf for leaf in leaves if leaf.requires_grad])]


@pytest.mark.parametrize("record", [(), ("i", "c")], ids=["no records", "records"])
def test_a_training_step_of_an_operator_is_traced_right_for_sizes_of_any_value(
    record: tuple[str, ...],
) -> None:
    compiled = torch.compile(_results, fullgraph=True, backend="aot_eager", dynamic=True)
    for steps, batch in ((4, 3), (7, 2), (5, 9)):
        size = Sizes(steps, batch, 2, 5, "lstm", (("peephole", True), ("layer_norm", True)), True, True, 1)
        plan, args = problem(size)
        operands = _operands(plan._replace(record=record), args, gradients=True)
        for got, want in zip(_step(compiled, operands), _step(_results, operands), strict=True):
            assert torch.equal(got, want)


def _layer(name: str) -> tuple[nn.Recurrent, dict[str, Any]]:
    """A layer that only the engine runs fast, and a call of it."""
    torch.manual_seed(2)
    if name == "options":
        layer: nn.Recurrent = nn.LSTM(3, 5, 2, peephole=True, bidirectional=True, learn_initial_state=True)
        return layer, {}
    if name == "masks":
        layer = nn.LSTM(
            3, 6, 2, layer_norm=True, proj_size=2, zoneout=0.2, recurrent_dropout=0.3, dropout=0.2
        )
        return layer, {"seed": 3, "sample_ids": torch.tensor([4, 9])}
    if name == "records":
        return nn.GRU(3, 5), {"record": ("r", "pre_n")}
    return nn.RNN(3, 5, nonlinearity="relu"), {
        "lengths": torch.tensor([2, 4]),
        "reset": torch.tensor([[0, 0], [0, 1], [1, 0], [0, 0]]).bool(),
    }


def _trained(function: Any, layer: nn.Recurrent, x: Tensor, options: dict[str, Any]) -> list[Tensor]:
    leaves = torch.utils._pytree.tree_leaves(function(x, **options))
    loss = sum((leaf.cos() * leaf).sum() for leaf in leaves)
    return [*leaves, *torch.autograd.grad(loss, [x, *layer.parameters()])]


@pytest.mark.parametrize(("backend", "name"), COMPILED)
def test_a_layer_is_one_graph_with_the_bits_of_the_layer(backend: str, name: str) -> None:
    layer, options = _layer(name)
    x = torch.randn(4, 2, 3, requires_grad=True)
    assert explain(layer, x, **options).backend == "native"
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    got, want = (_trained(function, layer, x, options) for function in (compiled, layer))
    for one, other in zip(got, want, strict=True):
        if backend == "aot_eager":
            assert torch.equal(one, other)
        else:  # the compiler adds up the test's own loss in its own order
            torch.testing.assert_close(one, other, rtol=2e-6, atol=2e-6)
    with torch.no_grad():
        assert torch.equal(compiled(x, **options)[0], layer(x, **options)[0])


def test_one_compiled_layer_serves_every_size() -> None:
    layer, _ = _layer("options")
    counter, counts = CompileCounterWithBackend("aot_eager"), []
    compiled = torch.compile(layer, fullgraph=True, backend=counter, dynamic=True)
    for steps, batch in ((4, 2), (9, 3), (30, 5)):
        x = torch.randn(steps, batch, 3, requires_grad=True)
        got, want = (_trained(function, layer, x, {}) for function in (compiled, layer))
        assert all(torch.equal(one, other) for one, other in zip(got, want, strict=True))
        counts.append(counter.frame_count)
    assert len(set(counts)) == 1, "nothing is compiled anew for another size"


class _Recording(torch.nn.Module):
    def __init__(self, layer: nn.Recurrent) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Any:
        return self.layer(x, record=("i", "c"))


@pytest.mark.parametrize("decomposed", [False, True])
def test_an_exported_layer_has_the_bits_of_the_layer_at_every_size(decomposed: bool) -> None:
    module = _Recording(_layer("options")[0]).eval()
    sizes = {"x": {0: Dim("steps", min=1, max=5000), 1: Dim("batch", min=1, max=512)}}
    program = torch.export.export(module, (torch.randn(4, 2, 3),), dynamic_shapes=sizes)
    if decomposed:
        program = program.run_decompositions()
    nodes = [node.target for node in program.graph.nodes]
    assert nodes.count(torch.ops.longspan.native_side.default) == 4, "two layers in two directions"
    for steps, batch in ((4, 2), (1, 1), (2, 7), (41, 5), (300, 1)):
        x = torch.randn(steps, batch, 3)
        got, want = (torch.utils._pytree.tree_leaves(call(x)) for call in (program.module(), module))
        assert all(torch.equal(one, other) for one, other in zip(got, want, strict=True))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_an_exported_layer_is_read_from_its_file(kind: Any) -> None:
    layer, x = kind(3, 4, batch_first=True), torch.randn(2, 5, 3)
    file = io.BytesIO()
    torch.export.save(torch.export.export(layer.eval(), (x,)), file)
    file.seek(0)
    assert torch.equal(torch.export.load(file).module()(x)[0], layer(x)[0])


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_trace_serves_with_gradients_and_without() -> None:
    """``torch.jit.trace`` traces twice, with gradients and without, and wants the same graph."""
    layer, x = nn.LSTM(3, 4, peephole=True), torch.randn(5, 2, 3)
    traced = torch.jit.trace(layer, (x,))
    y, _ = traced(x)
    assert torch.equal(y, layer(x)[0])
    parts = [torch.autograd.grad(each.square().sum(), list(layer.parameters())) for each in (y, layer(x)[0])]
    assert all(torch.equal(one, other) for one, other in zip(*parts, strict=True))


def test_a_compiled_layer_under_no_grad_keeps_no_tape() -> None:
    layer, _ = _layer("options")
    tapes: list[bool] = []

    def spy(graph: torch.fx.GraphModule, _: Any) -> Any:
        tapes.extend(
            bool(node.args[11][5]) for node in graph.graph.nodes if "native_side" in str(node.target)
        )
        return graph.forward

    with torch.no_grad():
        torch.compile(layer, fullgraph=True, backend=spy)(torch.randn(4, 2, 3))
    assert tapes == [False] * 4
