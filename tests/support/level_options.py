"""The declaration of a small real task for the tests of the doors; its work is in level_task.py."""

from __future__ import annotations

from typing import Literal

from longspan.tasks.base import Options, Task, option


class FitOptions(Options):
    target: str = option(..., "Column to learn [numbers].", group="Data", metavar="COLUMN")
    known: tuple[str, ...] = option((), "Columns known ahead.", group="Data", metavar="COLUMN")
    kind: Literal["mean", "median"] = option("mean", "Which level.", group="Model")
    trim: float = option(0.0, "Share cut off at both ends.", group="Model", ge=0, lt=0.5)
    rounds: int = option(3, "Steps of learning.", group="Model", ge=1)
    weight: float | None = option(None, "Weight of the last value.", group="Model", gt=0)
    centre: bool = option(True, "Centre the data first.", group="Model")
    fail: Literal["no", "data", "wait", "interrupt", "crash"] = option("no", "Fail half-way.", group="Tests")


class PredictOptions(Options):
    steps: int = option(2, "How many rows to answer.", group="Level", ge=1)
    levels: tuple[float, ...] = option((0.5,), "Quantiles.", group="Level", min_length=1)


class EvaluateOptions(Options):
    squared: bool = option(False, "Squared instead of absolute error.", group="Level")


LEVEL = Task(
    name="level",
    summary="The level of a column.",
    data_help="A CSV file, or a frame, with a column of numbers.",
    work="level_task:Level",
    fit_options=FitOptions,
    predict_options=PredictOptions,
    evaluate_options=EvaluateOptions,
)
