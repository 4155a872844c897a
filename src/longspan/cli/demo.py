"""The demo: a real series is learned, forecast beside simple baselines, and drawn, in about a minute."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars

    from longspan.api import Model

__all__ = ["run"]

_HORIZON = 104  # weeks
_TITLE = "Two years of CO₂ above Mauna Loa, forecast"
_LEAD = (
    "Weekly measurements of carbon dioxide at Mauna Loa, Hawaii, 1958 to 2001 (the series that statsmodels "
    "ships), of which 59 weeks are missing. An LSTM learned from all but the last two years and then "
    "forecast these in one go."
)


def run(out: Path, say: Callable[[str], None], *, progress: bool) -> dict[str, Any]:
    """Learn, forecast and draw; the report, its picture and the model are written below ``out``.

    Args:
        out: folder, made where it is not there; an earlier demo in it is replaced.
        say: shows the user one line.
        progress: show the training's progress.

    Returns:
        Scores, and where everything was written; JSON-able.
    """
    from longspan.api import fit
    from longspan.data import registry
    from longspan.store.atomic import write_file

    say("The series: weekly CO₂ at Mauna Loa, 1958 to 2001. The last two years are kept for the test.")
    data = registry.load("co2")
    out.mkdir(parents=True, exist_ok=True)
    model = fit(
        "forecast",
        data[:-_HORIZON],
        target="co2",
        time="time",
        horizon=_HORIZON,
        steps=800,
        validate_every=50,
        seeds=1,  # of the backtest: three would take more than a minute
        out=out / "model",
        force=True,
        progress=progress,
    )
    logging.getLogger("longspan").setLevel(logging.WARNING)  # what is in the data was said by the fit
    scores = model.evaluate(data)
    page, picture = _draw(model, data, scores)
    write_file(out / "report.html", page.encode())
    picture(out / "forecast.png")
    say("")
    say(f"Two years that it has not seen: {scores['verdict']}")
    say(f"The report:  {out / 'report.html'}")
    say(f"The model:   {out / 'model'}")
    return {"report": str(out / "report.html"), "model": str(out / "model"), "scores": scores}


def _draw(model: Model, data: polars.DataFrame, scores: dict[str, Any]) -> tuple[str, Callable[[Path], None]]:
    """The page, and what writes its main picture as PNG."""
    import numpy as np

    from longspan.baselines.table import BASELINES
    from longspan.report.figures import Fan, forecast_fan
    from longspan.report.page import Figure, Page, Paragraph, Section, render
    from longspan.report.svg import save_png, svg_text
    from longspan.tasks.forecast_report import score_table

    found = model.predict(data[:-_HORIZON])
    levels = [name for name in found.columns if name.startswith("q")]
    values = data["co2"].to_numpy()
    best = BASELINES[scores["strongest"]]
    past = values[:-_HORIZON]
    fan = Fan(
        target="CO₂, ppm",
        times=data["time"].to_numpy()[-3 * _HORIZON :],
        history=past[-2 * _HORIZON :],
        median=found["forecast"].to_numpy(),
        quantiles=np.stack([found[name].to_numpy() for name in levels], axis=1),
        levels=[float(name[1:]) for name in levels],
        actual=values[-_HORIZON:],
        baselines={best.title: best.run(past[None], _HORIZON, scores["season"])[0]},
    )
    caption = "The forecast with its 80 and 95 % bands, the strongest simple baseline, and what happened."
    wide, narrow = (
        svg_text(forecast_fan(fan, shape), "Measurements, forecast and baseline over time")
        for shape in ("wide", "narrow")
    )
    sections = [
        Section("Forecast and truth", [Figure(wide, caption, narrow)]),
        Section(
            "Against simple baselines",
            [
                Paragraph(scores["verdict"]),
                score_table(scores, "Scores on two years that no method has seen; lower is better."),
            ],
        ),
        Section(
            "Next",
            [
                Paragraph(
                    "The model is in the folder beside this page, with a report of its own: what it was "
                    "trained on, how training went, how it did on its validation part. Try your own table: "
                    "longspan fit forecast DATA --target COLUMN --horizon STEPS --out MODEL"
                )
            ],
        ),
    ]
    page = render(Page(_TITLE, _LEAD, sections))
    return page, lambda path: save_png(forecast_fan(fan), path)
