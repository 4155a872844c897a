"""The report of a fitted forecaster, from plain arrays and records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan import __version__
from longspan.baselines.table import BASELINES
from longspan.data.results import is_row_number
from longspan.report.figures import Fan, Score, forecast_fan, learning_curve, scores_chart
from longspan.report.page import Figure, KeyValues, Notes, Page, Paragraph, Section, Table, render
from longspan.report.svg import svg_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from longspan.data.panel import Panel
    from longspan.models.design import Design
    from longspan.models.forecasting import Forecasts
    from longspan.training.history import History

__all__ = ["forecast_report", "score_table"]

_SHOWN = 4  # series


def forecast_report(
    panel: Panel,
    design: Design,
    history: History,
    record: dict[str, Any],
    held: Forecasts,
    ahead: Forecasts,
    verdict: str,
) -> str:
    """The page as HTML.

    Args:
        panel: the data. design: the model's. history: the course of training.
        record: scores of the validation part, notes.
        held: forecasts of the validation part, whose futures are known.
        ahead: one forecast a series, from its last value.
        verdict: the answer in a sentence.
    """
    target = panel.schema.target
    scores = record["validation"]
    sections = [
        Section("Forecast", _fans(panel, ahead, "What is forecast after the last known value")),
        Section(
            "How good it is",
            [
                Paragraph(
                    f"Every method forecast the same {len(held.mean):,} windows of the last "
                    f"{record['steps']:,} values of each series. The network did not learn from these "
                    "values, but they decided when training stopped: its scores are a little too kind."
                ),
                score_table(scores, "Scores on the validation part; lower is better."),
                _figure(
                    lambda shape: _score_chart(scores, shape), "Bars of the scores", "Shorter is better."
                ),
                *_fans(
                    panel, _latest(held), "The last window of the validation part, with what happened", scores
                ),
            ],
        ),
        Section("Training", [_learning(history), _facts(design, history)]),
        Section("The data", [_data_facts(panel, record), Notes(record["notes"] or ["nothing to report"])]),
    ]
    lead = verdict[0].upper() + verdict[1:] + "."
    return render(Page(f"Forecast of {target}", lead, sections, footer=f"longspan {__version__}"))


def _fan(panel: Panel, found: Forecasts, place: int, baselines: dict[str, Any] | None = None) -> Fan:
    """The drawing of one window: as much of its past as helps to judge it."""
    series, cut, horizon = int(found.series[place]), int(found.cut[place]), found.mean.shape[1]
    season = next(iter(panel.schema.seasons), 1)
    past = min(cut, max(3 * horizon, 2 * season, 24))
    stamps = panel.stamps(series, cut - past, past + horizon)
    dated = panel.frequency.unit != "row" and panel.schema.time is not None
    times = stamps.astype("datetime64[us]") if dated else stamps + int(is_row_number(panel))
    values = panel.values(series)
    actual = found.actual[place]
    target = panel.schema.target
    return Fan(
        target=f"{target} of {panel.ids[series]}" if panel.ids[series] else target,
        times=times,
        history=values[cut - past : cut],
        median=found.median[place],
        quantiles=found.quantiles[place],
        levels=found.levels,
        actual=None if np.isnan(actual).all() else actual,
        baselines=baselines or {},
    )


def _fans(panel: Panel, found: Forecasts, caption: str, scores: dict[str, Any] | None = None) -> list[Figure]:
    places = np.unique(np.linspace(0, len(found.mean) - 1, _SHOWN).astype(np.int64))
    figures = []
    for place in places:
        lines = {}
        if scores is not None:
            best = BASELINES[scores["strongest"]]
            line = best.run(found.past[place : place + 1], found.mean.shape[1], scores["season"])[0]
            lines = {best.title: line}
        fan = _fan(panel, found, int(place), lines)
        named = f"{caption}: {fan.target}." if panel.ids[int(found.series[place])] else f"{caption}."
        figures.append(_figure(lambda shape, fan=fan: forecast_fan(fan, shape), "Values over time", named))  # type: ignore[misc]
    return figures


def _latest(held: Forecasts) -> Forecasts:
    """The last window of every series."""
    last = np.flatnonzero(np.append(held.series[1:] != held.series[:-1], True))
    arrays = {
        name: getattr(held, name)[last] for name in ("series", "cut", "past", "actual", "mean", "quantiles")
    }
    return replace(held, **arrays)


def _figure(draw: Callable[[Any], Drawing], what: str, caption: str) -> Figure:
    return Figure(svg_text(draw("wide"), what), caption, svg_text(draw("narrow"), what))


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


def _learning(history: History) -> Figure:
    records = history.records
    steps = [each.step for each in records]
    train = [float("nan") if each.train_loss is None else each.train_loss for each in records]
    validation = [each.validation_loss for each in records]
    return _figure(
        lambda shape: learning_curve(steps, validation, train, best_step=history.best_step, shape=shape),
        "Curves of the losses",
        "Loss over training steps, in scaled units; the weights of the best validation are kept.",
    )


def _facts(design: Design, history: History) -> KeyValues:
    start = f"the value {design.anchor:,} steps before" if design.anchor else "the last value"
    stopped = {
        "max_steps": "all steps done",
        "patience": "no more improvement",
        "time_budget": "time budget spent",
    }
    return KeyValues(
        (
            ("encoder", f"{design.encoder}, {design.num_layers} × {design.hidden_size} units"),
            ("reads", f"{design.context:,} steps"),
            ("forecasts", f"{design.horizon:,} steps, {design.decoding}, {design.head}"),
            ("starts from", start),
            ("steps", f"{history.steps:,}, best {history.best_step or 0:,}"),
            ("stopped by", stopped.get(history.stopped_by or "", "")),
            ("training time", f"{history.seconds:.0f} s"),
        )
    )


def _data_facts(panel: Panel, record: dict[str, Any]) -> KeyValues:
    seasons = ", ".join(f"{season:,}" for season in panel.schema.seasons) or "none found"
    return KeyValues(
        (
            ("source", record["data"]["source"] or "a frame in memory"),
            ("series", len(panel)),
            ("values", int(panel.observed.sum())),
            ("frequency", str(panel.frequency)),
            ("seasons, in steps", seasons),
            ("SHA-256", record["data"]["sha256"][:16] + "…"),
        )
    )
