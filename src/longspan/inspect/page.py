"""The page of an inspection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan import __version__
from longspan.inspect.gates import GateTrace
from longspan.inspect.horizon import LEAST_SHARE, Ablation
from longspan.inspect.memory import Memory
from longspan.report.heatmap import Heat, Strip, attribution_chart, heatmaps, square_map
from longspan.report.memory_figures import LagLine, Mark, half_lives, lag_chart, removal_chart
from longspan.report.page import (
    Block,
    Callout,
    Figure,
    KeyValues,
    Notes,
    Page,
    Paragraph,
    Row,
    Section,
    Table,
    render,
)
from longspan.report.svg import svg_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from longspan.inspect.gradients import LagCurve, Rate
    from longspan.inspect.inspection import Inspection

__all__ = ["inspection_page"]

_MEANINGS = {
    "i": "input gate", "f": "forget gate", "g": "candidate", "o": "output gate", "c": "cell state",
    "h": "hidden state", "r": "reset gate", "z": "update gate", "n": "candidate",
}  # fmt: skip
_SIGNED = {"g", "c", "h", "n"}
_MOST_NAMED = 12  # rows of a map that all have their number beside them
_MOST_MAPS = 8
_MOST_UNITS = 10  # of the table


def inspection_page(found: Inspection) -> str:
    """One self-contained HTML page."""
    sections = [
        _horizon(found),
        _gradients(found),
        *[_gates(found, trace) for trace in found.gates],
        *[_held(found, memory) for memory in found.memory],
        *_no_memory(found),
        _attribution(found),
        *_attention(found),
        Section("What was looked at", [Notes(found.notes), _facts(found)]),
    ]
    top = [Callout("same", found.sentence, found.horizon.words[-1])]
    title = f"What {found.title} remembers"
    return render(Page(title, f"Drawn: {found.shown.title}.", sections, f"longspan {__version__}", top=top))


def _drawing(draw: Callable[[Any], Drawing], what: str, caption: str) -> Figure:
    """A figure in both shapes."""
    return Figure(svg_text(draw("wide"), what), caption, svg_text(draw("narrow"), what))


def _strip(found: Inspection, steps: int) -> Strip:
    """The last steps of the user's own input."""
    shown = found.shown
    values = None if shown.values is None else shown.values[-steps:]
    return Strip(shown.places[-steps:], shown.name, values, shown.tokens[-steps:])


def _steps(found: Inspection, there: int) -> int:
    return min(found.settings.window, there, len(found.shown.places))


def _horizon(found: Inspection) -> Section:
    horizon = found.horizon
    lines = [_removals(each) for each in horizon.ablations]
    marks = [Mark("used", horizon.used)] if horizon.used else []
    marks += [
        Mark(each.name, each.lag)
        for each in horizon.estimates
        if each.lag is not None and each.name in ("forget gates", "gradients")
    ]
    caption = (
        "How much the loss rises where all that is older than a lag is cut off, or belongs to another "
        "example; 1 is the rise where only the last step is left. Bands: 95 % over the examples. Rises below "
        "the dotted line do not count. Upright: the estimates of the horizon."
    )
    rows = [
        [each.name, each.lag, _time(found, each.lag or 0), _longer(each.edge), each.rule]
        for each in horizon.estimates
    ]
    heads = ("by", "lag, steps", "in time", "may be longer", "rule")
    strong = [place for place, each in enumerate(horizon.estimates) if each.lag == horizon.used]
    table = Table("Four estimates of how far back the model remembers.", heads, rows, strong[-1:])
    drawn = _drawing(
        lambda shape: removal_chart(
            lines, marks, "rise of the loss, share of the past's worth", LEAST_SHARE, shape
        ),
        found.sentence,
        caption,
    )
    return Section("Memory horizon", [drawn, table, Notes(horizon.words)])


def _longer(edge: bool) -> str:
    return "yes" if edge else "no"


def _removals(ablation: Ablation) -> LagLine:
    """As shares of what the whole past is worth; of 1 where it is worth nothing."""
    worth = ablation.worth if ablation.worth > 0 else 1.0
    every = ablation.removals
    low, high = (
        np.array(
            [np.nan if value is None else value / worth for value in (getattr(each, side) for each in every)]
        )
        for side in ("low", "high")
    )
    title = "cut off" if ablation.how == "cut" else "scrambled"
    lags, rises = np.array([each.lag for each in every]), np.array([each.rise / worth for each in every])
    return LagLine(title, lags, rises, low, high, ours=ablation.how == "scrambled")


def _gradients(found: Inspection) -> Section:
    every = [each.recurrent for each in found.gradients]
    lines = [
        _line(curve, each.title, ours=place == 0)
        for place, (curve, each) in enumerate(zip(every, found.gradients, strict=True))
    ]
    by = "input" if found.gradients[0].encoder is None else "input, through the encoder alone"
    blocks: list[Block] = [
        Paragraph(
            "How strongly the outputs move with the input k steps before the last one. Where each step "
            "passes on a fixed share, the curve is a straight line: below a rate of 1 it vanishes."
        ),
        _drawing(
            lambda shape: lag_chart(lines, f"|∂ outputs / ∂ x| by the {by}", _LAG, shape),
            "Size of the gradient by lag",
            "Mean over the examples; the band of this model holds 80 % of them.",
        ),
    ]
    beside = _beside(found)
    if len(beside) == 1:
        blocks.append(_drawing(beside[0][0], beside[0][1], beside[0][1]))
    else:
        blocks.append(Row([_narrow(draw, caption) for draw, caption in beside]))
    return Section("Gradient by lag", [*blocks, _rates(found)])


def _beside(found: Inspection) -> list[tuple[Callable[[Any], Drawing], str]]:
    """Drawings and captions: all ways of the past, the states, and the same by depth."""
    own = found.gradients[0]
    drawn: list[tuple[list[LagLine], str, str, str]] = []
    if own.encoder is not None:
        whole = [_line(own.input, "all ways", ours=True), _line(own.encoder, "the encoder alone")]
        drawn.append((whole, "|∂ outputs / ∂ past|", _LAG, _ALL_WAYS))
    if own.states:
        states = [
            _line(each, f"by {each.name.split()[-1]}", ours=place == 0)
            for place, each in enumerate(own.states)
        ]
        drawn.append((states, "|∂ loss / ∂ state|", _LAG, _BY_STATE))
    titles = ("each its own weights", "shared, as unrolled")
    depth = [_line(curve, title) for curve, title in zip(found.depth, titles, strict=True)]
    drawn.append((depth, "|∂ last layer / ∂ layer|", "layers below the last one", _BY_DEPTH))
    return [(partial(lag_chart, lines, name, beneath), caption) for lines, name, beneath, caption in drawn]


_LAG = "lag k, steps before the last one"
_ALL_WAYS = (
    "All ways by which the past reaches the answer (lags, summaries, a linear map), and the encoder alone."
)
_BY_STATE = "How the loss moves with the states of k steps before, at fixed other states of that step."
_BY_DEPTH = (
    "The same by depth, in an untrained feed-forward net of tanh layers as wide as the encoder. A recurrent "
    "net unrolled is such a net, one layer a step, with shared weights."
)


def _narrow(draw: Callable[[Any], Drawing], caption: str) -> Figure:
    """A figure in the narrow shape alone, to stand beside another."""
    return Figure(svg_text(draw("narrow"), caption), caption)


def _line(curve: LagCurve, title: str, *, ours: bool = False) -> LagLine:
    low, high = curve.band() if ours else (None, None)
    return LagLine(title, curve.lags, curve.mean, low, high, ours)


def _rates(found: Inspection) -> Table:
    rows: list[list[Any]] = []
    for each in found.gradients:
        rows += [
            [f"{each.title}, {curve.name}", *_rate(curve.rate)] for curve in (each.recurrent, *each.states)
        ]
    titles = ("feed-forward, layer by layer", "feed-forward, shared weights")
    rows += [[title, *_rate(curve.rate)] for title, curve in zip(titles, found.depth, strict=True)]
    return Table(
        "Rate: the factor from one lag (or layer) to the next, by a log-linear fit; 95 % over the examples.",
        ("curve", "rate", "from", "to", "lags fitted"),
        rows,
        strong=(0,),
    )


def _rate(rate: Rate | None) -> list[Any]:
    if rate is None:
        return [None, None, None, "fewer than three lags above zero"]
    return [rate.value, rate.low, rate.high, f"{rate.first:,} to {rate.last:,}"]


def _units(found: Inspection, trace: GateTrace) -> list[int]:
    """Rows of the maps, in their order."""
    asked = [unit - 1 for unit in found.settings.units]
    return asked or trace.order.tolist()


def _gates(found: Inspection, trace: GateTrace) -> Section:
    steps = _steps(found, len(trace.values[trace.state]))
    units = _units(found, trace)
    longest = [
        each.longest for each in found.memory if (each.layer, each.backward) == (trace.layer, trace.backward)
    ]
    named = {trace.busiest: "busiest"} | ({longest[0]: "longest"} if longest else {})
    heats = [
        _gate_map(name, values[-steps:], [unit for unit in units if unit < values.shape[1]], named)
        for name, values in trace.values.items()
    ]
    words = f"Unit {trace.busiest + 1} is the busiest: its {trace.state} moves most from step to step."
    if longest:
        words += f" Unit {longest[0] + 1} lives longest."
    strip = _strip(found, steps)
    caption = (
        f"The last {steps:,} steps of the drawn example; units (rows) in an order in which those that move "
        "together stand together."
    )
    drawn = _drawing(
        lambda shape: heatmaps(strip, heats, shape), f"Gates and states of {trace.title}", caption
    )
    return Section(f"Gates over time, {trace.title}", [Paragraph(words), drawn])


def _gate_map(name: str, values: Any, units: list[int], named: dict[int, str]) -> Heat:
    rows = {
        place: f"{named[unit]} {unit + 1}" if unit in named else str(unit + 1)
        for place, unit in enumerate(units)
        if unit in named or len(units) <= _MOST_NAMED
    }
    title = f"{name}, {_MEANINGS[name]}" if name in _MEANINGS else name
    signed = name in _SIGNED or bool((values < 0).any() or (values > 1).any())
    return Heat(title, values[:, units].T, "signed" if signed else "share", _apart(rows, len(units)))


def _apart(rows: dict[int, str], count: int) -> dict[int, str]:
    """Without labels that would lie on the one before."""
    kept: dict[int, str] = {}
    for place, name in sorted(rows.items()):
        if not kept or place - max(kept) >= max(1, count // 7):
            kept[place] = name
    return kept


def _held(found: Inspection, memory: Memory) -> Section:
    threshold = found.settings.threshold
    traces = [each for each in found.gates if (each.layer, each.backward) == (memory.layer, memory.backward)]
    steps = _steps(found, len(memory.log_held))
    units = [unit for unit in _units(found, traces[0]) if unit < len(memory.half_life)]
    held = memory.held(threshold)[-steps:][:, units]
    rows = {place: str(unit + 1) for place, unit in enumerate(units) if len(units) <= _MOST_NAMED}
    heat = Heat(f"share still held at the end; forgotten below {threshold:.0%}", held.T, "share", rows)
    strip = _strip(found, steps)
    title = f"{traces[0].title}"
    drawn = _drawing(
        lambda shape: heatmaps(strip, [heat], shape),
        f"What {title} still holds",
        f"For every step the share of the value written there that each unit (row) holds at the end: the "
        f"{memory.words}. Below {threshold:.0%} it is blank: forgotten.",
    )
    lives = _drawing(
        lambda shape: half_lives(memory.half_life, len(memory.log_held), shape),
        "Half-lives of the units",
        "Half-life of each unit at its mean rate on the drawn example.",
    )
    return Section(f"Memory that decays, {title}", [drawn, lives, _lives(found, memory)])


def _lives(found: Inspection, memory: Memory) -> Table:
    """The longest-lived units."""
    order = np.argsort(-memory.half_life, kind="stable")[:_MOST_UNITS]
    rows = [
        [f"unit {unit + 1}", _life(memory.half_life[unit]), _time(found, memory.half_life[unit])]
        for unit in order.tolist()
    ]
    return Table("The longest-lived units.", ("unit", "half-life, steps", "in time"), rows, strong=(0,))


def _life(value: float) -> float | str:
    return float(value) if np.isfinite(value) else "never"


def _time(found: Inspection, value: float) -> str | None:
    """In time, in one piece; None where a step has no length, the value no end, or no step is meant."""
    if not np.isfinite(value) or value == 0:
        return None
    return found.step.time(float(value)).replace(" ", "\u00a0") or None


def _no_memory(found: Inspection) -> list[Section]:
    if found.memory or not found.gates:
        return []
    words = "This cell keeps nothing by a gate: each step writes its whole state anew, so no share is held."
    return [Section("Memory that decays", [Paragraph(words)])]


def _attribution(found: Inspection) -> Section:
    given = found.attribution
    steps = _steps(found, len(given.shares))
    strip, shares = _strip(found, steps), given.by_step[-steps:]
    drawn_of = (
        ""
        if len(shares) == len(given.by_step)
        else f" The last {len(shares):,} are drawn, which sum to {shares.sum():.4g}."
    )
    caption = (
        f"Integrated gradients of the {given.name}: what each step adds to it, from {given.baseline_name}. "
        f"All {len(given.by_step):,} steps sum to {given.prediction - given.baseline:.4g} but for "
        f"{abs(given.gap):.2g}.{drawn_of}"
    )
    drawn = _drawing(
        lambda shape: attribution_chart(strip, shares, f"added to the {given.name}", shape), caption, caption
    )
    facts = KeyValues(
        (("prediction", given.prediction), ("from", given.baseline), ("points of the path", given.points))
    )
    blocks: list[Block] = [drawn, facts]
    if len(found.features) > 1:
        total = given.shares.sum(axis=0)
        order = np.argsort(-np.abs(total))[:_MOST_UNITS]
        rows = [[found.features[each], float(total[each])] for each in order.tolist()]
        blocks.append(Table("The same by feature, over all steps.", ("feature", "adds"), rows))
    return Section("One prediction, explained", blocks)


def _attention(found: Inspection) -> list[Section]:
    if found.attention is None:
        return []
    layers, heads = found.attention.shape[:2]
    places = [(layer, head) for layer in range(layers) for head in range(heads)][:_MOST_MAPS]
    maps = [_map(found.attention[place], *place) for place in places]
    return [Section("Attention", [Row(maps)])]


def _map(values: Any, layer: int, head: int) -> Figure:
    title = f"layer {layer + 1}, head {head + 1}"
    caption = f"Attention of {title}: each reading step, downwards, and where it looks."
    return _narrow(lambda shape: square_map(values, title, shape), caption)


def _facts(found: Inspection) -> KeyValues:
    asked = found.settings
    return KeyValues(
        (
            ("one step", found.step.name),
            ("forgotten below", f"{asked.threshold:.0%}"),
            ("features", ", ".join(found.features)),
            ("seed", asked.seed),
        )
    )
