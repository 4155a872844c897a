"""The page of a study: reproduced or not, our figures beside the published ones, how it was run."""

from __future__ import annotations

from typing import Any

import numpy as np

from longspan.report.page import (
    Block,
    Callout,
    Cell,
    KeyValues,
    Notes,
    Page,
    Paragraph,
    Section,
    Table,
    Tone,
    number,
    render,
)
from longspan.report.page import Figure as Drawing
from longspan.report.study_figures import Curve, curves_chart
from longspan.report.svg import svg_text
from longspan.studies.study import Chart, Figure, Outcome, Verdict

__all__ = ["paper_page"]

_TONES: dict[Verdict, tuple[Tone, str]] = {
    "reproduced": ("good", "Reproduced"),
    "not reproduced": ("bad", "Not reproduced"),
    "budget does not allow": ("unknown", "The budget does not allow a verdict"),
    "reported": ("same", "Reported, no bar"),
    "smoke": ("unknown", "A smoke run"),
}


def paper_page(outcome: Outcome) -> str:
    """The outcome of a study as one HTML page."""
    study = outcome.study
    tone, title = _TONES[outcome.verdict]
    sections = [
        Section("Our figures beside the published", [_figures(outcome), *_notes(outcome)]),
        *_charts(outcome.findings.charts),
        *([Section("More figures", _tables(outcome))] if outcome.findings.tables else []),
        Section("How it is run", _method(outcome)),
    ]
    page = Page(
        title=study.title,
        lead=study.about,
        sections=sections,
        footer=_footer(outcome),
        top=[Callout(tone, title, outcome.sentence)],
    )
    return render(page)


def _figures(outcome: Outcome) -> Table:
    figures = outcome.findings.figures
    none = "–" if outcome.scale.smoke else "not run"
    rows: list[list[Cell]] = []
    for each in figures:
        holds = "–" if each.bar is None else {True: "yes", False: "no", None: none}[outcome.holds(each)]
        bar = "reported" if each.bar is None else str(each.bar)
        rows.append([each.what, _whole(each.published), _ours(each), _spread(each), bar, holds])
    strong = [place for place, each in enumerate(figures) if each.bar is not None]
    columns = ("figure", "published", "ours", "lowest to highest", "must be", "holds")
    return Table("Our figures and their spread over the seeds, beside the published.", columns, rows, strong)


def _ours(figure: Figure) -> Cell:
    return f"> {number(_whole(figure.ours))}, unsolved" if figure.censored else _whole(figure.ours)


def _spread(figure: Figure) -> Cell:
    if figure.spread is None:
        return None
    low, high = (number(_whole(each)) for each in figure.spread)
    return low if low == high else f"{low} to {high}"


def _whole(value: Cell) -> Cell:
    """A count is written in full."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _setting(value: Cell) -> Cell:
    """A setting as it was given: 0.001, and not 0.001000."""
    return f"{value:g}" if isinstance(value, float) else value


def _notes(outcome: Outcome) -> list[Block]:
    remarks = [f"{each.what}: {each.note}" for each in outcome.findings.figures if each.note]
    remarks += list(outcome.findings.notes)
    remarks += [f"Left out for want of time: {name}" for name in outcome.left_out]
    return [Notes(remarks)] if remarks else []


def _charts(charts: tuple[Chart, ...]) -> list[Section]:
    drawn = [each for each in charts if each.lines]  # of what there was time for
    titles = dict.fromkeys(each.title for each in drawn)
    return [Section(title, [_drawing(each) for each in drawn if each.title == title]) for title in titles]


def _drawing(chart: Chart) -> Drawing:
    curves = [
        Curve(each.name, np.array(each.x, np.float64), np.array(each.y, np.float64), each.ours)
        for each in chart.lines
    ]
    style: Any = {
        "mark": chart.mark,
        "log_x": chart.log_x,
        "log_y": chart.log_y,
        "range_y": chart.range_y,
    }
    wide, narrow = (
        svg_text(curves_chart(curves, chart.x, chart.y, **style, shape=shape), f"{chart.title}: {chart.y}")
        for shape in ("wide", "narrow")
    )
    return Drawing(wide, chart.caption, narrow)


def _tables(outcome: Outcome) -> list[Block]:
    return [Table(each.caption, each.columns, each.rows) for each in outcome.findings.tables]


def _method(outcome: Outcome) -> list[Block]:
    study = outcome.study
    settings: list[list[Cell]] = [
        [each.name, _setting(each.here), _setting(each.published)] for each in study.settings
    ]
    versions = ", ".join(f"{name} {version}" for name, version in outcome.machine.get("versions", {}).items())
    facts: list[tuple[str, Cell]] = [
        ("source", study.source),
        ("counts as reproduced", study.tolerance),
        ("seeds", ", ".join(map(str, outcome.scale.seeds))),
        ("seeds of the study", study.seeds),
        ("time expected on two cores, s", _whole(study.budget)),
        ("time taken, s", round(outcome.seconds)),
        ("time allowed, s", "no limit" if outcome.scale.seconds is None else _whole(outcome.scale.seconds)),
        ("processor", outcome.machine.get("processor")),
        ("cores, threads", f"{outcome.machine.get('cores')}, {outcome.machine.get('threads')}"),
        ("system", outcome.machine.get("system")),
        ("versions", versions),
    ]
    how = "Seeds draw weights, training sequences and tests; hyperparameters were chosen on other seeds."
    table = Table("Settings here and in the publication.", ("setting", "here", "published"), settings)
    return [KeyValues(facts), table, Paragraph(how)]


def _footer(outcome: Outcome) -> str:
    return f"longspan paper {outcome.study.name} · {outcome.machine.get('date', '')}"
