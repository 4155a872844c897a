"""What is kept of a fit, as plain values, and what is shown of it."""

from __future__ import annotations

import math
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.evaluation.backtest import by_horizon, score_table
from longspan.evaluation.conformal import calibrated_earlier

if TYPE_CHECKING:
    from longspan.data.panel import Panel
    from longspan.models.course import Asked, Course, Made
    from longspan.models.session import Budget

__all__ = ["finite", "fit_record", "shown_metrics", "verdict"]

_SHOWN = ("mase", "smape", "rmse", "wql", "coverage_80", "coverage_95")


def fit_record(
    data: Any,
    sha256: str,
    course: Course,
    asked: Asked,
    made: Made,
    scores: dict[str, Any],
    budget: Budget,
) -> dict[str, Any]:
    """The record in the model folder.

    Args:
        data: as the user gave them. sha256: their hash.
        course: what the fit was to do. asked: by the user. made: what it came to.
        scores: of the validation part, from `compare`.
        budget: the time that stages took.
    """
    panel = made.whole.panel
    record: dict[str, Any] = {
        "data": {"sha256": sha256, "rows": _rows(panel, len(made.whole.training)), "source": _source(data)},
        "validation": scores,
        "notes": list(panel.notes),
        "steps": made.whole.validation,
        "backtest": _backtest(course, asked, made),
        "audit": made.audit.to_json(),
        "calibration": None if made.calibration is None else made.calibration.words(),
        "tuning": [each.row() for each in made.trials],
        "time": budget.to_json(),
    }
    return record


def _backtest(course: Course, asked: Asked, made: Made) -> dict[str, Any]:
    verdict = made.verdict.to_json()
    if made.tested is None:
        return {"verdict": verdict, "reason": course.origins.reason, "notes": []}
    backtest, _ = calibrated_earlier(made.tested.backtest, together=asked.ensemble)
    origins = course.origins
    return {
        "verdict": verdict,
        "origins": {
            "calibrating": origins.calibrating,
            "testing": origins.testing,
            "stride": origins.stride,
            "part": origins.part,
        },
        "seeds": {"asked": asked.seeds, "tested": len(backtest.model)},
        "ensemble": asked.ensemble,
        "season": backtest.season,
        "table": [each.to_json() for each in score_table(backtest)],
        "horizons": [each.to_json() for each in by_horizon(backtest)],
        "notes": list(made.tested.notes),
    }


def shown_metrics(record: dict[str, Any]) -> dict[str, Any]:
    """What ``fit`` and ``info`` show: verdict and scores of the backtest, then the validation part."""
    backtest = record.get("backtest")
    if backtest is None:  # a folder of before there was one
        return {"validation": record["validation"]}
    methods = [
        {"method": row["title"] if row["sample"] is None else f"{row['title']} ({row['sample']})"}
        | {name: row["scores"].get(name) for name in _SHOWN}
        for row in backtest.get("table", [])
    ]
    found = {"verdict": backtest["verdict"]["words"], "outcome": backtest["verdict"]["outcome"]}
    shown: dict[str, Any] = found | ({"methods": methods} if methods else {})
    return {"backtest": shown, "validation": record["validation"]}


def verdict(scores: dict[str, Any]) -> str:
    """One sentence on given test data: is the model better than the baselines that need no fitting?"""
    best = scores["strongest"]
    model, simple = scores["model"]["mase"], scores["baselines"][best]["mase"]
    unit = "MASE"
    if model is None or simple is None or model != model or simple != simple:
        unit, model, simple = "mean absolute error", scores["model"]["mae"], scores["baselines"][best]["mae"]
    title = best.replace("_", " ")
    if model < simple:
        return (
            f"the model beats {title}, the strongest baseline that needs no fitting: "
            f"{unit} {model:.4g} against {simple:.4g}"
        )
    return f"{title} is better: {unit} {simple:.4g} against {model:.4g} of the model. Use it instead"


def finite(value: Any) -> Any:
    """JSON has no NaN: a score that there is not (MASE of a constant series) is None."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rows(panel: Panel, windows: int) -> dict[str, int]:
    return {"values": int(panel.observed.sum()), "series": len(panel), "windows": windows}


def _source(data: Any) -> str | None:
    """The file's name, where the data are a file."""
    return Path(data).name if isinstance(data, str | PathLike) else None
