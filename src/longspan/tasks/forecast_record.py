"""What is kept of a fit, as plain values, and what is shown of it."""

from __future__ import annotations

import math
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.core.wording import counted
from longspan.evaluation.backtest import by_horizon, score_table
from longspan.evaluation.conformal import calibrated_earlier
from longspan.evaluation.verdict import judge
from longspan.models.comparison import beside_baselines, scores_of
from longspan.models.learned import Learned

if TYPE_CHECKING:
    from longspan.data.panel import Panel
    from longspan.models.course import Asked, Course, Made
    from longspan.models.forecasting import Forecasts
    from longspan.models.session import Budget

__all__ = ["erred", "evaluated", "finite", "fit_record", "shown_metrics"]

_UNFITTED = "simple method that needs no fitting"
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
        "learned": Learned.of_panel(panel).model_dump(mode="json"),
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
    # Those of the backtest are calibrated.
    label = {} if record.get("calibration") is None else {"intervals": "before calibration"}
    return {"backtest": shown, "validation": label | record["validation"]}


def evaluated(
    found: Forecasts, panel: Panel, until: Any, record: dict[str, Any], title: str
) -> dict[str, Any]:
    """Scores of forecasts of given test data, and the verdict: tested as that of the backtest is.

    Args:
        found: forecasts of windows with known futures. panel: where they were cut.
        until: int64 (N,), rows of each series before the test part.
        record: of the fit, which says what was learned from. title: of the model.
    """
    tested = beside_baselines(found, panel, until, title)
    scores = scores_of(tested)
    kept = Learned.read(record.get("learned"))
    learned = int(kept.windows(panel, found.series, found.cut, tested.horizon).sum())
    verdict = judge(tested, simple=_UNFITTED)
    outcome, words = verdict.outcome, verdict.words
    windows = len(found.cut)
    if learned:
        outcome = "not tested"
        some = f"{'' if kept.whole else 'at least '}{learned:,} of {counted(windows, 'window')}"
        which = counted(windows, "window") if learned == windows else some
        words = f"This is no test: the model has learned from values of {which}. Here {erred(scores, title)}."
    elif outcome == "cannot tell" and verdict.comparisons:
        reason = verdict.comparisons[0].reason
        words = f"On {counted(windows, 'window')} {erred(scores, title)}; too few to test, since {reason}."
    counts = {"windows": windows, "series": len(set(found.series.tolist()))}
    return counts | scores | {"verdict": words, "outcome": outcome, "learned_windows": learned}


def erred(scores: dict[str, Any], title: str) -> str:
    """A clause that claims nothing: which of the model and the strongest baseline erred less, by how much."""
    best = scores["strongest"]
    model, simple = scores["model"]["mase"], scores["baselines"][best]["mase"]
    unit = "MASE"
    if model is None or simple is None or model != model or simple != simple:
        unit, model, simple = "mean absolute error", scores["model"]["mae"], scores["baselines"][best]["mae"]
    how = "less than" if model < simple else "more than" if model > simple else "as much as"
    name = f"{best.replace('_', ' ')}, the strongest {_UNFITTED}"
    return f"the {title} erred {how} {name} ({unit} {model:.4g} against {simple:.4g})"


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
