"""The report of a fitted forecaster, from plain arrays and records."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan import __version__
from longspan.baselines.table import BASELINES
from longspan.report.figures import Score, learning_curve, scores_chart
from longspan.report.page import (
    Block,
    Callout,
    Cell,
    Figure,
    KeyValues,
    Notes,
    Page,
    Paragraph,
    Section,
    Table,
    Tone,
    render,
)
from longspan.tasks.forecast_report_backtest import Examined, backtest_section, calibration_section
from longspan.tasks.forecast_report_figures import drawing, fans
from longspan.tasks.forecast_report_residuals import residual_section

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from longspan.data.panel import Panel
    from longspan.evaluation.audit import Audit, Finding
    from longspan.evaluation.backtest import Backtest
    from longspan.evaluation.conformal import Calibration
    from longspan.evaluation.verdict import Verdict
    from longspan.models.design import Design
    from longspan.models.forecasting import Forecasts
    from longspan.training.history import History

__all__ = ["forecast_report", "score_table"]

_TONES: dict[str, Tone] = {
    "better": "good",
    "worse": "bad",
    "no difference": "same",
    "cannot tell": "unknown",
    "not tested": "unknown",
}
_UNTESTED = (
    "There is no backtest, so nobody knows how good this forecast is. The scores below are of the validation "
    "part, which decided when training stopped."
)


def forecast_report(
    panel: Panel,
    design: Design,
    history: History,
    record: dict[str, Any],
    held: Forecasts,
    ahead: Forecasts,
    lead: str = "",
    *,
    verdict: Verdict | None = None,
    backtest: Backtest | None = None,
    calibration: Calibration | None = None,
    audit: Audit | None = None,
    tuning: Sequence[Mapping[str, Any]] = (),
    histories: Mapping[str, History] | None = None,
    notes: Sequence[str] = (),
    made: Mapping[str, Any] | None = None,
) -> str:
    """The page as HTML.

    Args:
        panel: the data. design: the model's. history: the course of the final training.
        record: scores of the validation part (``"validation"``, ``"steps"``), ``"data"``, ``"notes"``; with a
            backtest also ``"backtest"``, which says whether the forecast is that of an ``"ensemble"``.
        held: forecasts of the validation part, whose futures are known.
        ahead: one forecast a series, from its last value, as `predict` gives it.
        lead: a sentence under the title; where there is no verdict, what the validation part says.
        verdict: of the backtest; None reads "not tested".
        backtest: the origins with what every method forecast there, quantiles as the networks gave them.
        calibration: the one that the model carries (from all origins of the backtest).
        audit: of the leaks.
        tuning: one mapping a trial, in order: ``"trial"``, ``"loss"`` (None where the trial failed) and what
            was tried, name → value; the heads of the table are the names.
        histories: title (such as "seed 1") → training of each network of the backtest.
        notes: on the backtest, in words: what was left out, and why; or why there is none.
        made: more of how it was made, name → value: ``{"seed": 0, "command": "longspan fit …"}``.
    """
    examined = None if backtest is None else Examined(backtest, record["backtest"]["ensemble"])
    sections = [
        Section("Forecast", [*fans(panel, ahead, "What is forecast after the last known value")]),
        *_tested(panel, examined, verdict, calibration, notes),
        *([] if examined is not None else [_validated(panel, record, held)]),
        Section("Training", [_learning(history, histories or {}), *_tuning(tuning), _facts(design, history)]),
        Section("The data", [_data_facts(panel, record), Notes(record["notes"] or ["nothing to report"])]),
        *([] if audit is None else [_checked(audit)]),
        Section("How it was made", [_made(record, made or {})]),
    ]
    answer = f"{lead[0].upper()}{lead[1:]}." if lead else ""
    found = _audited(audit)
    leaks = audit is not None and not audit.clean
    top = [*found, _answer(verdict)] if leaks else [_answer(verdict), *found]
    title = f"Forecast of {panel.schema.target}"
    return render(Page(title, answer, sections, footer=f"longspan {__version__}", top=top))


def _answer(verdict: Verdict | None) -> Callout:
    """The verdict, before anything else."""
    if verdict is None:
        return Callout("unknown", "Not tested", _UNTESTED)
    title = {
        "better": f"Better than {verdict.title}",
        "worse": f"Worse than {verdict.title}",
        "no difference": f"No better than {verdict.title}",
        "cannot tell": "Cannot tell",
        "not tested": "Not tested",
    }[verdict.outcome]
    return Callout(_TONES[verdict.outcome], title, verdict.words)


def _audited(audit: Audit | None) -> list[Block]:
    """Loud where something leaks, a line where nothing does."""
    if audit is None:
        return []
    if audit.clean:
        return [Paragraph(" ".join(map(_sentence, audit.words())))]
    count = len(audit.findings)
    title = f"{count} leak{'s' if count > 1 else ''} found: do not trust the scores"
    return [Callout("alarm", title, items=[_finding(each) for each in audit.findings])]


def _checked(audit: Audit) -> Section:
    """What the audit looked at, and how far."""
    what = "What was changed, and what had to stay the same or had to change with it:"
    return Section("Leakage audit", [Paragraph(what), Notes(audit.checks)])


def _finding(finding: Finding) -> str:
    return f"{_sentence(finding.kind)} {_sentence(finding.words)}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def _tested(
    panel: Panel,
    examined: Examined | None,
    verdict: Verdict | None,
    calibration: Calibration | None,
    notes: Sequence[str],
) -> list[Section]:
    if examined is None:
        return [Section("Backtest", [Notes(notes)])] if notes else []
    found = [
        backtest_section(panel, examined, verdict, notes),
        calibration_section(examined, calibration),
        residual_section(panel, examined.own, examined.shown(examined.own)[0]),
    ]
    return [section for section in found if section is not None]


def _validated(panel: Panel, record: dict[str, Any], held: Forecasts) -> Section:
    """Without a backtest, the validation part is all there is."""
    scores = record["validation"]
    best = BASELINES[scores["strongest"]]

    def strongest(past: Any) -> dict[str, Any]:
        return {best.title: best.run(past[None], held.mean.shape[1], scores["season"])[0]}

    return Section(
        "On the validation part",
        [
            Paragraph(
                f"Every method forecast the same {len(held.mean):,} windows of the last {record['steps']:,} "
                "values of each series. The network did not learn from these values, but they decided when "
                "training stopped: its scores are a little too kind."
            ),
            score_table(scores, "Scores on the validation part; lower is better."),
            drawing(lambda shape: _score_chart(scores, shape), "Bars of the scores", "Shorter is better."),
            *fans(
                panel, _latest(held), "The last window of the validation part, with what happened", strongest
            ),
        ],
    )


def _latest(held: Forecasts) -> Forecasts:
    """The last window of every series."""
    last = np.flatnonzero(np.append(held.series[1:] != held.series[:-1], True))
    arrays = {
        name: getattr(held, name)[last] for name in ("series", "cut", "past", "actual", "mean", "quantiles")
    }
    return replace(held, **arrays)


def score_table(scores: dict[str, Any], caption: str) -> Table:
    """MASE, sMAPE, MAE and RMSE of the model and of every baseline; ``scores`` are those of `evaluate`."""
    names = ("mase", "smape", "mae", "rmse")
    rows = [["the model", *(scores["model"][name] for name in names)]]
    rows += [
        [BASELINES[key].title, *(each[name] for name in names)] for key, each in scores["baselines"].items()
    ]
    season = scores["season"]
    relative = f"the seasonal naive of {season:,} steps" if season > 1 else "the last value"
    return Table(
        f"{caption} MASE is relative to {relative} in the past.",
        ("method", "MASE", "sMAPE", "MAE", "RMSE"),
        rows,
        strong=(0,),
    )


def _score_chart(scores: dict[str, Any], shape: Any) -> Drawing:
    name, measure = (
        ("mase", "MASE") if np.isfinite(scores["model"]["mase"]) else ("mae", "mean absolute error")
    )
    bars = [Score("the model", scores["model"][name], ours=True)]
    bars += [Score(BASELINES[key].title, each[name]) for key, each in scores["baselines"].items()]
    return scores_chart(bars, measure, shape)


def _learning(history: History, histories: Mapping[str, History]) -> Figure:
    steps, train, validation = _curve(history)
    beside = [(each_steps, loss) for each_steps, _, loss in map(_curve, histories.values())]
    caption = "Loss over training steps, in scaled units; the weights of the best validation are kept."
    if beside:
        count = len(beside)
        thin = (
            "The thin curve is that of the network"
            if count == 1
            else f"Thin curves are those of the {count} networks"
        )
        caption += f" {thin} of the backtest, which learned from less."
    best = f"Best validation loss {history.best_loss:.4g}" if history.best_loss is not None else "Losses"
    return drawing(
        lambda shape: learning_curve(
            steps, validation, train, best_step=history.best_step, beside=beside, shape=shape
        ),
        best,
        caption,
    )


def _curve(history: History) -> tuple[list[int], list[float], list[float]]:
    """Steps, training loss and validation loss."""
    records = history.records
    train = [float("nan") if each.train_loss is None else each.train_loss for each in records]
    return [each.step for each in records], train, [each.validation_loss for each in records]


def _tuning(trials: Sequence[Mapping[str, Any]]) -> list[Block]:
    """The trials of the search, the best of them marked; losses are those of the validation part."""
    if not trials:
        return []
    heads = list(trials[0])
    losses = [np.inf if trial["loss"] is None else float(trial["loss"]) for trial in trials]
    best = int(np.argmin(losses))
    rows = [[_tried(trial[head]) for head in heads] for trial in trials]
    return [
        Table(
            f"{len(trials)} trials of the search, judged on the validation part before the backtest; the "
            "best is marked.",
            [head.replace("_", " ") for head in heads],
            rows,
            strong=(best,) if np.isfinite(losses[best]) else (),
        )
    ]


def _tried(value: Any) -> Cell:
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
    return value if value is None or isinstance(value, int | str) else str(value)


def _facts(design: Design, history: History) -> KeyValues:
    start = f"the value {_counted(design.anchor, 'step')} before" if design.anchor else "the last value"
    stopped = {
        "max_steps": "all steps done",
        "patience": "no more improvement",
        "time_budget": "time budget spent",
    }
    return KeyValues(
        (
            ("encoder", f"{design.encoder}, {design.num_layers} × {design.hidden_size} units"),
            ("reads", _counted(design.context, "step")),
            ("forecasts", f"{_counted(design.horizon, 'step')}, {design.decoding}, {design.head}"),
            ("starts from", start),
            ("steps", f"{history.steps:,}, best {history.best_step or 0:,}"),
            ("stopped by", stopped.get(history.stopped_by or "", "")),
            ("training time", f"{history.seconds:.0f} s"),
        )
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _data_facts(panel: Panel, record: dict[str, Any]) -> KeyValues:
    seasons = ", ".join(f"{season:,}" for season in panel.schema.seasons) or "none found"
    return KeyValues(
        (
            ("source", record["data"]["source"] or "a frame in memory"),
            ("series", len(panel)),
            ("values", int(panel.observed.sum())),
            ("frequency", str(panel.frequency)),
            ("seasons, in steps", seasons),
        )
    )


def _made(record: dict[str, Any], made: Mapping[str, Any]) -> KeyValues:
    """What is needed to make it again."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy"))
    return KeyValues(
        (
            *((name, _tried(value)) for name, value in made.items()),
            ("data, SHA-256", record["data"]["sha256"]),
            ("longspan", __version__),
            ("python", platform.python_version()),
            ("with", versions),
        )
    )
