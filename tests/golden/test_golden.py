"""Folders of every released format are read for ever, with the values that they were made with."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import pytest
import torch

from longspan.store.flatten import same
from longspan.store.folder import read_folder

HERE = Path(__file__).resolve().parent
SEALED = {
    "model.json": "e3350e0b096f878c5cb01d85474f9db3801dc0d55e496232b36ccd70f2844359",
    "report.html": "a9d38b8b3e16e8d9835acfab5b44b6becc499577a198c5ccd94d1d27f01e2ed9",
    "weights.safetensors": "e9249010679968a41125b0256846361c07090e78eb8e7f0a33760f15f4ba1d4f",
}


@pytest.mark.parametrize("name", sorted(SEALED))
def test_golden_bytes_are_the_released_ones(name: str) -> None:
    assert hashlib.sha256((HERE / "v1" / name).read_bytes()).hexdigest() == SEALED[name]


def test_golden_v1_is_read_with_its_values() -> None:
    contents = read_folder(HERE / "v1")
    manifest = contents.manifest
    assert manifest.format_version == 1
    assert (manifest.longspan, manifest.task, manifest.created) == (
        "0.1.0",
        "forecast",
        "2026-01-02T03:04:05Z",
    )
    assert manifest.command[:4] == ("longspan", "fit", "forecast", "größen.csv")
    assert manifest.data.sha256 == "ab" * 32
    assert manifest.data.rows == {"read": 12, "train": 9, "validation": 3}
    assert manifest.config == {
        "horizon": 3,
        "hidden": 4,
        "quantiles": [0.1, 0.5, 0.9],
        "season": None,
        "scale": {"mean": 0.001},
    }
    assert manifest.metrics == {"mase": 0.875, "beaten": True}
    assert manifest.versions == {"python": "3.11.7", "torch": "2.13.0", "polars": "1.0.0"}
    assert contents.read("report.html") == b"<!doctype html><title>tiny</title>\n"


def test_golden_v1_tensors_are_exact() -> None:
    tensors = dict(read_folder(HERE / "v1").tensors)
    assert tensors["f64"].tolist() == [[1.0, -0.0], [5e-324, 1.7976931348623157e308]]
    assert str(tensors["f64"][0, 1].item()) == "-0.0"
    assert tensors["i64"].tolist() == [-(2**63), 2**63 - 1]
    assert tensors["bool"].tolist() == [True, False, True]
    assert tensors["empty"].shape == (0, 3)
    assert tensors["scalar"].shape == ()
    assert torch.isnan(tensors["f32"][3])
    assert same(tensors, _make().tiny_tensors())


def test_today_writes_the_same_bytes(tmp_path: Path) -> None:
    make = _make()
    make.HERE = tmp_path
    make.main()
    for name, digest in SEALED.items():
        assert hashlib.sha256((tmp_path / "v1" / name).read_bytes()).hexdigest() == digest


def _make():
    spec = importlib.util.spec_from_file_location("golden_make", HERE / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
