"""The engine under many Python threads, after a fork, and with the number of threads that torch is given."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from native_problems import Sizes, assert_same_bits, problem
from torch import Tensor

from longspan.kernels import native

CASES = [
    Sizes(9, 6, 5, 40, "lstm", (("peephole", True), ("layer_norm", True)), True, True, 1),
    Sizes(30, 1, 5, 128, "lstm", (), False, False, 2),
    Sizes(7, 13, 3, 33, "gru", (), True, True, 3),
    Sizes(12, 4, 9, 20, "rnn", (("nonlinearity", "relu"),), False, True, 4),
]


def _trained(case: Sizes) -> dict[str, Tensor]:
    """Results and gradients of a training step."""
    plan, args = problem(case)
    weights = [weight.requires_grad_() for weight in args.weights]
    result = native.run(plan, args._replace(weights=weights))
    loss = result.y.square().sum() + sum(part.sum() for part in result.record.values())
    gradients = torch.autograd.grad(loss, weights)
    named = dict(zip(plan.cell.weight_names, gradients, strict=True))
    return {"y": result.y, **{f"final {k}": part for k, part in enumerate(result.state)}, **named}


@pytest.mark.parametrize("threads", [1, 3])
def test_many_python_threads_at_once_get_the_same_bits(threads: int) -> None:
    want = [_trained(case) for case in CASES]
    jobs = [place % len(CASES) for place in range(48)]
    torch.set_num_threads(threads)
    with ThreadPoolExecutor(8) as pool:
        for place, got in zip(jobs, pool.map(lambda place: _trained(CASES[place]), jobs), strict=True):
            assert_same_bits(got, want[place])


_ENGINE_AND_FORK = """
import os, sys, torch
from longspan import nn
from longspan.nn import using

torch.manual_seed(1)
torch.set_num_threads(2)
layer, x = nn.LSTM(8, 64, peephole=True), torch.randn(40, 8, 8)

def train():
    y, _ = layer(x)
    return [y.detach(), *torch.autograd.grad(y.square().sum(), list(layer.parameters()))]

want = train()
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        same = all(torch.equal(a, b) for _ in range(3) for a, b in zip(train(), want, strict=True))
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if all(torch.equal(a, b) for a, b in zip(train(), want, strict=True)) else 1)
        _, status = os.waitpid(grandchild, 0)
        os._exit(0 if same and status == 0 else 1)
    children.append(child)
after = train()
codes = [os.waitpid(child, 0)[1] for child in children]
assert all(torch.equal(a, b) for a, b in zip(after, want, strict=True)), "the parent"
assert codes == [0, 0, 0], codes
"""


def _run(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script on the engine, without tools that do not fork."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True, text=True, timeout=240, check=False, env=environment,
    )  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_and_its_child_run_on() -> None:
    done = _run(_ENGINE_AND_FORK)
    assert done.returncode == 0, done.stderr


_THREADS_FOLLOWED = """
import os, torch
from longspan import nn
from longspan.nn import explain

def tasks():
    return len(os.listdir("/proc/self/task"))

layer, x = nn.LSTM(64, 128, peephole=True), torch.randn(64, 64, 64)
assert explain(layer, x).backend == "native"
found = []
with torch.no_grad():
    for threads in (1, 3, 1, 2):
        torch.set_num_threads(threads)
        layer(x)
        found.append(tasks())
print(*found)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads in /proc")  # noqa: PTH112
def test_the_engine_starts_as_many_threads_as_torch_is_given() -> None:
    done = _run(_THREADS_FOLLOWED)
    assert done.returncode == 0, done.stderr
    one, three, again, two = (int(word) for word in done.stdout.split())
    assert three - one == 2
    assert again <= three
    assert one < two <= three, "those that sleep may be kept"
