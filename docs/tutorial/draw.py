"""Draws every picture of the tutorial: ``python docs/tutorial/draw.py [FOLDER]``.

``NAME.svg`` is in English, ``NAME.zh.svg`` in Chinese; they show the same numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from lessons import LAG, Lessons
from matplotlib.figure import Figure
from words import CHINESE, ENGLISH, Words

from longspan.report.cell_diagram import GATE_SHADES, cell_diagram, line_diagram
from longspan.report.diagram import Recall, sentence_diagram, unrolled_diagram
from longspan.report.gate_figures import Fading, GateRow, fading_chart, gate_rows, squashing_chart
from longspan.report.heatmap import Heat, Strip, heatmaps
from longspan.report.memory_figures import LagLine, Mark, lag_chart, removal_chart
from longspan.report.svg_file import save_svg

__all__ = ["PICTURES", "SHARED", "draw"]

FOLDER = Path(__file__).resolve().parents[1] / "pictures" / "tutorial"
_FIRST = 1850 - 1700  # the first year that is drawn
_KEEPS = (0.98, 0.98, 0.98, 0.10)


def _sentences(words: Words, _: Lessons) -> Figure:
    found = []
    for text, decides in words.sentences:
        parts = tuple(text.split())
        far = "…" in parts
        note = words.far_apart if far else words.apart.format(len(parts) - 1 - decides)
        found.append(Recall(parts, decides, note))
    return sentence_diagram(found, 5, words.window)


def _powers(words: Words, _: Lessons) -> Figure:
    lags = np.arange(51)
    title, name, beneath = words.powers
    lines = [
        LagLine(title.format(size), lags, np.power(size, lags.astype(np.float64)), ours=size == 1.0)
        for size in (1.0, 0.9, 1.1)
    ]
    return lag_chart(lines, name, beneath)


def _gradient(words: Words, lessons: Lessons) -> Figure:
    lines = []
    for name, taught in (("LSTM", lessons.lstm), ("RNN", lessons.rnn)):
        curve, (low, high) = taught.by_lag, taught.by_lag.band()
        title = words.right.format(name, 100 * taught.right)
        lines.append(LagLine(title, curve.lags, curve.mean, low, high, ours=name == "LSTM"))
    return lag_chart(lines, *words.gradient)


def _line(words: Words, lessons: Lessons) -> Figure:
    """Through the RNN goes what was measured of it: the mean factor of a step, from lag 1 to the mark."""
    size = lessons.rnn.by_lag.mean
    factor = float((size[LAG] / size[1]) ** (1 / (LAG - 1)))
    return line_diagram(_KEEPS, (factor,) * len(_KEEPS), words.line)


def _strip(words: Words, lessons: Lessons) -> Strip:
    years = np.arange("1700", "2008", dtype="datetime64[Y]").astype("datetime64[D]")
    spots = 100 * lessons.values[:-1].double().numpy()
    return Strip(years[_FIRST:], words.spots, spots[_FIRST:])


def _gates(words: Words, lessons: Lessons) -> Figure:
    values, unit = lessons.trace.values, lessons.unit
    rows = [
        GateRow(title, values[name][_FIRST:, unit].astype(np.float64), GATE_SHADES[name], gate=name in "fio")
        for name, title in words.gates.items()
    ]
    return gate_rows(_strip(words, lessons), rows)


def _units(words: Words, lessons: Lessons) -> Figure:
    trace = lessons.trace
    names = {place: f"unit {unit + 1}" for place, unit in enumerate(trace.order.tolist())}
    heats = [
        Heat("forget gate f", trace.values["f"][_FIRST:, trace.order].T, "share", names),
        Heat("cell state c", trace.values["c"][_FIRST:, trace.order].T, "signed", names),
    ]
    return heatmaps(_strip(words, lessons), heats)


def _held(words: Words, lessons: Lessons) -> Figure:
    kept = lessons.trace.values["f"].astype(np.float64)[_FIRST + 1 : _FIRST + 41]
    held = np.concatenate([np.ones((1, kept.shape[1])), kept.cumprod(axis=0)])
    lives = lessons.half_lives
    longest, shortest = int(lives.argmax()), int(lives.argmin())
    others = [unit for unit in range(len(lives)) if unit not in (longest, shortest)]
    fadings = [
        Fading(words.unit.format(unit + 1, lives[unit]), held[:, unit], shade)
        for unit, shade in ((longest, "model"), (shortest, "orange"))
    ]
    fadings += [Fading("" if place else words.others, held[:, unit]) for place, unit in enumerate(others)]
    name, beneath, forgotten = words.held
    return fading_chart(fadings, 0.05, name, beneath, forgotten)


def _removal(_: Words, lessons: Lessons) -> Figure:
    found = lessons.inspection.horizon
    cut = found.ablation("cut")
    line = LagLine(
        "all that is older is cut off",
        np.array([each.lag for each in cut.removals]),
        np.array([each.rise for each in cut.removals]),
        ours=True,
    )
    marks = [Mark("horizon", cut.horizon), Mark("where the mark stood", LAG)]
    return removal_chart([line], marks, "rise of the loss, nats", 0.02 * cut.worth)


PICTURES: dict[str, Callable[[Words, Lessons], Figure]] = {
    "sentences": _sentences,
    "squashing": lambda words, _: squashing_chart(words.squashing, words.slope),
    "unrolled": lambda words, _: unrolled_diagram(4, words.unrolled),
    "powers": _powers,
    "gradient": _gradient,
    "cell": lambda words, _: cell_diagram(words.cell),
    "line": _line,
    "gates": _gates,
    "units": _units,
    "held": _held,
    "removal": _removal,
}
SHARED = ("units", "removal")
"""Drawn in English only."""


def draw(folder: Path, lessons: Lessons | None = None) -> list[str]:
    """Draw all pictures into a folder that exists, and name their files."""
    measured = Lessons() if lessons is None else lessons
    names = []
    for words in (ENGLISH, CHINESE):
        for name, make in PICTURES.items():
            if words is not ENGLISH and name in SHARED:
                continue
            names.append(f"{name}{words.suffix}.svg")
            save_svg(make(words, measured), folder / names[-1], words.descriptions[name], words.language)
    return names


def main() -> None:
    """Draw into the folder of the pages, or into the one that is named."""
    parser = argparse.ArgumentParser(description="Draw the pictures of the tutorial.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help=f"where to; {FOLDER}")
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    print(*draw(folder), sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
