"""Made the golden folders. Run again it is refused: a released format is never rewritten.

python tests/golden/make.py
"""

from __future__ import annotations

from pathlib import Path

import torch

from longspan.store.folder import write_folder
from longspan.store.manifest import DataRecord, Manifest

HERE = Path(__file__).resolve().parent


def tiny_tensors() -> dict[str, torch.Tensor]:
    """One tensor of every kind, with values that go wrong first (-0, subnormal, NaN, empty)."""
    return {
        "f64": torch.tensor([[1.0, -0.0], [5e-324, 1.7976931348623157e308]], dtype=torch.float64),
        "f32": torch.tensor([0.1, -2.5, float("inf"), float("nan")], dtype=torch.float32),
        "f16": torch.tensor([65504.0, 6e-8], dtype=torch.float16),
        "bf16": torch.tensor([1.0, 3.0e38], dtype=torch.bfloat16),
        "i64": torch.tensor([-(2**63), 2**63 - 1]),
        "i32": torch.tensor([[-(2**31)], [2**31 - 1]], dtype=torch.int32),
        "i16": torch.tensor([-32768, 32767], dtype=torch.int16),
        "i8": torch.tensor([-128, 127], dtype=torch.int8),
        "u8": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(7.25),
        "empty": torch.zeros(0, 3),
    }


def tiny_manifest() -> Manifest:
    """A manifest with every field filled."""
    return Manifest(
        longspan="0.1.0",
        task="forecast",
        created="2026-01-02T03:04:05Z",
        command=("longspan", "fit", "forecast", "größen.csv", "--target", "Y", "--out", "model"),
        data=DataRecord(
            sha256="ab" * 32, rows={"read": 12, "train": 9, "validation": 3}, source="größen.csv"
        ),
        config={
            "horizon": 3,
            "hidden": 4,
            "quantiles": [0.1, 0.5, 0.9],
            "season": None,
            "scale": {"mean": 1e-3},
        },
        metrics={"mase": 0.875, "beaten": True},
        versions={"python": "3.11.7", "torch": "2.13.0", "polars": "1.0.0"},
    )


def main() -> None:
    """Write ``v1`` where it is missing."""
    page = b"<!doctype html><title>tiny</title>\n"
    write_folder(HERE / "v1", tiny_manifest(), tiny_tensors(), {"report.html": page})


if __name__ == "__main__":
    main()
