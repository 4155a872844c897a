"""``longspan.nn.LSTM``, ``GRU`` and ``RNN`` in the place of torch's."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

from longspan import nn
from longspan.nn import using

KINDS = ("LSTM", "GRU", "RNN")
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias": {"bias": False},
    "batch first": {"batch_first": True},
    "deep": {"num_layers": 3},
    "both ways": {"num_layers": 2, "bidirectional": True},
    "dropout": {"num_layers": 2, "dropout": 0.4, "bidirectional": True},
}
PAIRS = [(kind, form, FORMS[form]) for kind in KINDS for form in FORMS] + [
    ("RNN", "relu", {"nonlinearity": "relu"}),
    ("LSTM", "projection", {"proj_size": 2, "num_layers": 2, "bidirectional": True}),
]
pair = pytest.mark.parametrize(("kind", "form", "options"), PAIRS, ids=[f"{k}-{f}" for k, f, _ in PAIRS])
pytestmark = pytest.mark.filterwarnings(
    "ignore:LSTM with projections is not supported with oneDNN:UserWarning"
)


def twins(kind: str, options: dict[str, Any], dtype: torch.dtype = torch.float64) -> tuple[Any, Any]:
    torch.manual_seed(3)
    theirs = getattr(torch.nn, kind)(4, 5, dtype=dtype, **options)
    torch.manual_seed(3)
    return theirs, getattr(nn, kind)(4, 5, dtype=dtype, **options)


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def parts(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def results(layer: Any, x: Tensor, hx: Any = None) -> list[Tensor]:
    """Output, states, and the gradient of every parameter and the input."""
    x = x.clone().requires_grad_()
    torch.manual_seed(9)
    y, state = layer(x, hx)
    loss = y.sin().sum() + sum(part.cos().sum() for part in parts(state))
    gradients = torch.autograd.grad(loss, [x, *layer.parameters()])
    return [y.detach(), *(part.detach() for part in parts(state)), *gradients]


@pair
def test_same_starting_values_and_state_dict(kind: str, form: str, options: dict[str, Any]) -> None:
    theirs, ours = twins(kind, options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value)
    changed = {name: value + 1 for name, value in theirs.state_dict().items()}
    ours.load_state_dict(changed)
    theirs.load_state_dict(ours.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@pair
@pytest.mark.parametrize("with_state", [False, True])
def test_same_results_and_gradients(kind: str, form: str, options: dict[str, Any], with_state: bool) -> None:
    theirs, ours = twins(kind, options)
    x = numbers(6, 3, 4)
    hx = None
    if with_state:
        _, like = theirs(x)
        drawn = tuple(torch.randn_like(part) for part in parts(like))
        hx = drawn if isinstance(like, tuple) else drawn[0]
    wanted = results(theirs, x, hx)
    with using("vendor"):
        for got, want in zip(results(ours, x, hx), wanted, strict=True):
            assert torch.equal(got, want)
    if options.get("dropout"):
        return  # the other kernels draw their masks from a seed, torch from its generator
    for name in ("native", "reference"):
        with using(name):
            for got, want in zip(results(ours, x, hx), wanted, strict=True):
                torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-13)


@pair
@pytest.mark.parametrize("backend", ["vendor", "native", "reference"])
def test_unbatched_and_packed_inputs(kind: str, form: str, options: dict[str, Any], backend: str) -> None:
    theirs, ours = twins(kind, options)
    theirs.eval()
    ours.eval()
    with using(backend):
        got, want = ours(numbers(6, 4)), theirs(numbers(6, 4))
        torch.testing.assert_close(got, want)
        ragged = [numbers(length, 4) for length in (2, 6, 3)]
        for packed in (
            pack_sequence(ragged, enforce_sorted=False),
            pack_padded_sequence(numbers(6, 3, 4), torch.tensor([6, 4, 1])),
        ):
            (y, state), (their_y, their_state) = ours(packed), theirs(packed)
            assert isinstance(y, PackedSequence)
            torch.testing.assert_close(tuple(y), tuple(their_y))
            torch.testing.assert_close(state, their_state)


def test_packed_inputs_with_a_state_a_record_a_reset_and_masks() -> None:
    """What a packed batch gives is what the same sequences give padded, in the caller's order."""
    torch.manual_seed(0)
    layer = nn.LSTM(4, 5, 2, bidirectional=True, zoneout=0.3, dropout=0.2, dtype=torch.float64)
    lengths = torch.tensor([2, 6, 3])
    x, hx = numbers(6, 3, 4), tuple(numbers(2, 4, 3, 5))
    reset = torch.zeros(6, 3, dtype=torch.bool)
    reset[1, 1] = reset[2, 2] = True
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    for ids in (None, torch.tensor([5, 9, 2])):
        call = {"record": ("c", "i"), "reset": reset, "seed": 3, "sample_ids": ids}
        y, state, record = layer(packed, hx, **call)
        padded, _ = torch.nn.utils.rnn.pad_packed_sequence(y)
        want, want_state, want_record = layer(x, hx, lengths=lengths, **call)
        torch.testing.assert_close(padded, want)
        torch.testing.assert_close(state, want_state)
        torch.testing.assert_close(record, want_record)


@pytest.mark.parametrize("batch_first", [False, True])
def test_shapes_of_records(batch_first: bool) -> None:
    layer = nn.LSTM(4, 5, 3, batch_first=batch_first, bidirectional=True, proj_size=2)
    x = torch.randn(3, 6, 4) if batch_first else torch.randn(6, 3, 4)
    y, (h, c), record = layer(x, record=("i", "c", "h", "pre_o"))
    assert y.shape == ((3, 6, 4) if batch_first else (6, 3, 4))
    assert (h.shape, c.shape) == ((6, 3, 2), (6, 3, 5))
    shapes = {name: tuple(value.shape) for name, value in record.items()}
    assert shapes == {
        "i": (3, 2, 3, 6, 5), "c": (3, 2, 3, 6, 5), "h": (3, 2, 3, 6, 2), "pre_o": (3, 2, 3, 6, 5)
    }  # fmt: skip
    _, _, alone = layer(x[0] if batch_first else x[:, 0], record="i")
    torch.testing.assert_close(alone["i"], record["i"][:, :, 0])


def test_no_record_means_two_results() -> None:
    assert len(nn.LSTM(4, 5, peephole=True)(torch.randn(6, 3, 4))) == 2


def test_deepcopy_and_torch_save_of_state_and_module() -> None:
    layer = nn.LSTM(4, 5, peephole=True, coupled=True, zoneout=(0.1, 0.2), learn_initial_state=True)
    x = torch.randn(6, 3, 4)
    copied = copy.deepcopy(layer)
    assert torch.equal(copied(x, seed=1)[0], layer(x, seed=1)[0])
    assert copied.weight_ih_l0 is not layer.weight_ih_l0
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert torch.equal(loaded(x, seed=1)[0], layer(x, seed=1)[0])
    assert loaded.cell is layer.cell
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    copied.load_state_dict(torch.load(file, weights_only=True))


@pytest.mark.parametrize("options", [{}, {"peephole": True}])
def test_functional_call(options: dict[str, Any]) -> None:
    layer = nn.LSTM(4, 5, **options)
    x = torch.randn(6, 3, 4)
    zeros = {name: torch.zeros_like(p) for name, p in layer.named_parameters()}
    y, _ = torch.func.functional_call(layer, zeros, (x,))
    assert not y.any()
    assert layer(x)[0].any()


@pytest.mark.parametrize("options", [{}, {"peephole": True}])
def test_weight_norm_as_parametrisation_and_as_hook(options: dict[str, Any]) -> None:
    x = torch.randn(6, 3, 4)
    layer = nn.LSTM(4, 5, **options)
    before = layer(x)[0]
    torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    torch.testing.assert_close(layer(x)[0], before)
    with torch.no_grad():
        layer.parametrizations.weight_hh_l0.original0.mul_(3)
    assert not torch.allclose(layer(x)[0], before)
    hooked = nn.LSTM(4, 5, **options)
    before = hooked(x)[0]
    with pytest.warns(FutureWarning, match="weight_norm"):
        torch.nn.utils.weight_norm(hooked, "weight_hh_l0")
    torch.testing.assert_close(hooked(x)[0], before)
    hooked(x)[0].sum().backward()
    assert hooked.weight_hh_l0_g.grad is not None


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_gives_what_torch_gives(kind: str) -> None:
    theirs, ours = twins(kind, {}, torch.float32)
    x = torch.randn(6, 3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=0)
        low, _ = getattr(nn, kind)(4, 5)(x.bfloat16())
    assert low.isfinite().all()


def test_autocast_on_the_loop_is_near_full_precision() -> None:
    layer = nn.LSTM(4, 5, peephole=True, layer_norm=True)
    x = torch.randn(6, 3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, _ = layer(x)
        y.sum().backward()
    torch.testing.assert_close(y.float(), layer(x)[0], rtol=0, atol=0.03)
    assert layer.weight_hh_l0.grad is not None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("options", [{}, {"peephole": True}])
def test_half_precision_layers(dtype: torch.dtype, options: dict[str, Any]) -> None:
    layer = nn.LSTM(4, 5, **options).to(dtype)
    y, (h, c) = layer(torch.randn(6, 3, 4, dtype=dtype))
    assert {y.dtype, h.dtype, c.dtype} == {dtype}


# A traced frame that goes on after a break looks at .grad of every tensor that it is handed.
after_break = pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"
)


@after_break
@pytest.mark.parametrize("options", [{}, {"peephole": True}, {"zoneout": 0.3}])
def test_compile(options: dict[str, Any]) -> None:
    torch._dynamo.reset()
    layer = nn.LSTM(4, 5, **options)
    x = torch.randn(4, 3, 4)
    whole = bool(
        options
    )  # torch's fused call is no part of a traced training graph, for torch's layer either
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=whole)
    y, _ = compiled(x, seed=torch.tensor(3))
    torch.testing.assert_close(y, layer(x, seed=3)[0])
    y.sum().backward()
    assert layer.weight_hh_l0.grad is not None


@after_break
def test_compile_follows_using_in_and_out_of_its_block() -> None:
    torch._dynamo.reset()
    layer = nn.LSTM(4, 5)
    x = torch.randn(4, 3, 4)
    compiled = torch.compile(layer, backend="aot_eager")
    vendor = compiled(x)[0]
    with using("reference"):
        inside = compiled(x)[0]
        assert torch.equal(inside, layer(x)[0])
    assert not torch.equal(inside, vendor)  # the two kernels add in another order
    assert torch.equal(compiled(x)[0], vendor)


@after_break
def test_compile_with_lengths_and_without_gradient() -> None:
    torch._dynamo.reset()
    layer = nn.LSTM(4, 5)
    x, lengths = torch.randn(4, 3, 4), torch.tensor([2, 0, 4])
    compiled = torch.compile(layer, backend="aot_eager")
    torch.testing.assert_close(compiled(x, lengths=lengths), layer(x, lengths=lengths))
    with torch.no_grad():
        whole = torch.compile(layer, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(whole(x), layer(x))


def test_forget_bias() -> None:
    layer = nn.LSTM(4, 5, 2, bidirectional=True, forget_bias=1.5)
    for layer_weights in layer.all_weights:
        total = layer_weights[2] + layer_weights[3]
        assert torch.equal(total[5:10], torch.full((5,), 1.5))
        assert not torch.equal(total[:5], torch.full((5,), 1.5))
    coupled = nn.LSTM(4, 5, coupled=True, forget_bias=1.5)
    assert torch.equal((coupled.bias_ih_l0 + coupled.bias_hh_l0)[:5], torch.full((5,), -1.5))
    layer.reset_parameters()
    assert torch.equal((layer.bias_ih_l1 + layer.bias_hh_l1)[5:10], torch.full((5,), 1.5))


def test_variants_start_from_the_numbers_of_torch() -> None:
    torch.manual_seed(3)
    theirs = torch.nn.LSTM(4, 5, 2)
    torch.manual_seed(3)
    ours = nn.LSTM(4, 5, 2, peephole=True, layer_norm=True, learn_initial_state=True)
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value)
    assert torch.equal(ours.gain_ih_l0, torch.ones(20))
    assert not ours.initial_c.any()
    assert 0 < ours.weight_ch_l1.abs().max() <= 5**-0.5


def test_a_learned_initial_state_gets_gradients_and_stands_where_hx_is_missing() -> None:
    layer = nn.GRU(4, 5, 2, learn_initial_state=True)
    x = torch.randn(6, 3, 4)
    layer(x)[0].sum().backward()
    assert layer.initial_h.grad.shape == (2, 5)
    with torch.no_grad():
        layer.initial_h.normal_()
    torch.testing.assert_close(layer(x), layer(x, layer.initial_h.unsqueeze(1).expand(-1, 3, -1)))


def test_the_dropout_of_a_layer_may_be_changed_later() -> None:
    layer = nn.LSTM(4, 5, 2, dropout=0.5)
    layer.dropout = 0.0
    x = torch.randn(6, 3, 4)
    assert torch.equal(layer(x)[0], layer(x)[0])


def test_what_the_layer_says_of_itself() -> None:
    assert repr(nn.LSTM(4, 5)) == "LSTM(4, 5)"
    layer = nn.LSTM(
        4, 5, 2, bias=False, batch_first=True, proj_size=2, peephole=True, zoneout=(0.1, 0.0), cell_clip=3.0
    )
    assert repr(layer) == (
        "LSTM(4, 5, num_layers=2, bias=False, batch_first=True, proj_size=2, zoneout=(0.1, 0.0), "
        "peephole=True, cell_clip=3.0)"
    )
    assert repr(nn.LSTM(4, 5, forget_bias=1.0, learn_initial_state=True)) == (
        "LSTM(4, 5, learn_initial_state=True, forget_bias=1.0)"
    )
    assert repr(nn.RNN(4, 5, nonlinearity="relu")) == "RNN(4, 5, nonlinearity=relu)"


WORKER = """
import json, os, sys, torch
from longspan import nn
rank, store, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
torch.distributed.init_process_group(
    "gloo", store=torch.distributed.FileStore(store, 2), rank=rank, world_size=2
)
torch.manual_seed(0)
layer = torch.nn.parallel.DistributedDataParallel(nn.LSTM(4, 5, peephole=True, zoneout=0.2))
x = torch.randn(6, 4, 4, generator=torch.Generator().manual_seed(1))
mine = slice(2 * rank, 2 * rank + 2)
y, _ = layer(x[:, mine], seed=3, sample_ids=torch.arange(4)[mine])
(y.square().sum() / 2).backward()
with open(out, "w") as file:
    json.dump([p.grad.tolist() for p in layer.parameters()], file)
torch.distributed.barrier()
torch.distributed.destroy_process_group()
os._exit(0)  # gloo's threads may outlive the group and abort an interpreter that shuts down in order
"""


def test_distributed_data_parallel_gives_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    """Two fresh processes: a forked one may not use the autograd of a parent that has used it."""
    outs = [tmp_path / f"{rank}.json" for rank in range(2)]
    processes = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(rank), str(tmp_path / "store"), str(out)])
        for rank, out in enumerate(outs)
    ]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    found = [json.loads(out.read_text()) for out in outs]
    assert found[0] == found[1]
    torch.manual_seed(0)
    layer = nn.LSTM(4, 5, peephole=True, zoneout=0.2)
    x = torch.randn(6, 4, 4, generator=torch.Generator().manual_seed(1))
    y, _ = layer(x, seed=3, sample_ids=torch.arange(4))
    (y.square().sum() / 4).backward()
    for got, parameter in zip(found[0], layer.parameters(), strict=True):
        torch.testing.assert_close(torch.tensor(got), parameter.grad, rtol=1e-4, atol=1e-6)
