"""Without the engine everything runs on other kernels, and says so once: not at import, not while tracing."""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
import logging, sys

lines = []

class Keep(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())

logging.getLogger("longspan").addHandler(Keep())
from dataclasses import replace
import torch
import longspan.nn
from longspan import cells, nn
from longspan.nn import explain, using

assert lines == [], f"said at import: {lines}"
record = cells.register("other")(lambda: replace(cells.build("rnn"), name="other", options=()))()
x = torch.randn(4, 2, 3)
nn.Recurrent(record, 3, 5)(x)
assert lines == [], f"said for a cell that the engine does not have: {lines}"
layer = nn.LSTM(3, 5, peephole=True, zoneout=0.1)
if "trace" in sys.argv:
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    compiled(x)
    assert lines == [], f"said while tracing: {lines}"
for _ in range(3):
    y, _, records = layer(x, record="i", lengths=[4, 2])
    torch.autograd.grad(y.sum(), list(layer.parameters()))
assert len(lines) == 1, lines
assert explain(layer, x).backend == "reference"
assert explain(layer, x).refusals["native"] in lines[0], (explain(layer, x).refusals, lines)
assert explain(nn.LSTM(3, 5), x).backend == "vendor"
nn.LSTM(3, 5)(x)
assert len(lines) == 1, lines
try:
    with using("native"):
        layer(x)
except ValueError as error:
    print("refused:", error)
print("said:", lines[0])
"""


def _run(library: str, *arguments: str) -> str:
    """What a program prints with this path in place of the library's."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _SCRIPT, *arguments],
        capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "LONGSPAN_NATIVE_LIBRARY": library},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_library_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "liblongspan.so"
    said = _run(str(path), "trace")
    reason = f"there is no native library at {path}: install longspan where there is a C++ compiler"
    assert f"said: {reason}" in said
    assert f"refused: using('native'): the backend cannot run this call: {reason}" in said


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    path = tmp_path / "liblongspan.so"
    path.write_text("not a library", encoding="utf-8")
    assert f"said: the native library {path} cannot be loaded: " in _run(str(path))


def test_a_library_of_something_else() -> None:
    name = ctypes.util.find_library("z") or ctypes.util.find_library("m")
    places = [Path(folder) / str(name) for folder in ("/lib/x86_64-linux-gnu", "/usr/lib", "/lib64", "/lib")]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        pytest.skip("no other shared library was found in the usual places")
    said = _run(str(path))
    assert f"said: the native library {path} cannot be loaded: " in said
    assert "longspan_abi" in said
