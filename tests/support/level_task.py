"""The work of the test task: it learns the level of a column and answers with it.

It uses every kind of option, the workspace, tensors and files, and it fails on request.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

import narwhals as nw
import polars as pl
import torch
from level_options import LEVEL, EvaluateOptions, FitOptions, PredictOptions

from longspan.core.errors import DataError
from longspan.store.checkpoint import Checkpoint
from longspan.tasks.base import Contents, Run

__all__ = ["LEVEL", "Level"]


def read(data: Any, column: str) -> pl.Series:
    if isinstance(data, str):
        values = pl.read_csv(data)
    else:
        values = pl.DataFrame(nw.from_native(data, eager_only=True).to_dict(as_series=False))
    if column not in values.columns:
        raise DataError(f"expected it among {values.columns}, got none", source=str(data)[:40], column=column)
    return values[column]


def keep_checkpoint(workspace: Any) -> None:
    module = torch.nn.Linear(1, 1)
    workspace.save(Checkpoint(step=1, weights=module.state_dict(), optimizer={}))


class Level:
    def __init__(self, level: torch.Tensor, options: FitOptions, data: dict[str, Any] | None) -> None:
        self.level, self.options, self.data = level, options, data

    @classmethod
    def fit(cls, data: Any, options: FitOptions, run: Run) -> Level:
        values = read(data, options.target)
        digest = hashlib.sha256(values.to_numpy().tobytes()).hexdigest()
        source = data if isinstance(data, str) else None
        run.say(f"{len(values)} rows, seed {run.seed}, budget {run.time_budget}")
        if options.fail == "data":
            raise DataError("refused before the workspace", source=source)
        if options.fail == "wait":
            time.sleep(60)
        workspace = run.open_workspace(options, digest, "cpu")
        try:
            if options.fail == "interrupt" and not run.resume:
                keep_checkpoint(workspace)
                raise KeyboardInterrupt
            if options.fail == "crash":
                raise RuntimeError("boom")
            level = values.mean() if options.kind == "mean" else values.median()
        finally:
            if workspace is not None:
                workspace.close()
        tensor = torch.tensor([level], dtype=torch.float64)
        return cls(tensor, options, {"sha256": digest, "rows": {"read": len(values)}, "source": source})

    @classmethod
    def restore(cls, contents: Contents) -> Level:
        assert contents.files["note.txt"] == b"kept"
        return cls(contents.tensors["level"], FitOptions.model_validate(contents.config["options"]), None)

    def contents(self) -> Contents:
        return Contents({"options": self.options.given()}, {"level": self.level}, {"note.txt": b"kept"})

    def predict(self, data: Any, options: PredictOptions) -> pl.DataFrame:
        read(data, self.options.target)
        rows = [(step, self.level.item(), q) for q in options.levels for step in range(options.steps)]
        frame = pl.DataFrame(rows, schema=["step", "level", "quantile"], orient="row")
        start = pl.datetime(2024, 1, 1, time_zone="Europe/Berlin")
        return frame.with_columns(time=start + pl.duration(days=pl.col("step")), name=pl.lit("a"))

    def evaluate(self, data: Any, options: EvaluateOptions) -> dict[str, Any]:
        error = read(data, self.options.target) - self.level.item()
        score = (error**2).mean() if options.squared else error.abs().mean()
        return {"error": score, "undefined": float("nan"), "by step": [{"step": 1, "error": score}]}

    def describe(self) -> dict[str, Any]:
        found: dict[str, Any] = {"target": self.options.target}
        if self.data is not None:
            found |= {"data": self.data, "metrics": {"level": self.level.item(), "undefined": float("nan")}}
        return found
