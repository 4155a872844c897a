"""The page of a comparison, and the table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure as Drawing

from longspan import __version__
from longspan.report.compare_figures import (
    Course,
    Effect,
    Mark,
    courses_chart,
    effects_chart,
    standings_chart,
)
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
    number,
    render,
)
from longspan.report.style import Shape
from longspan.report.svg import svg_text
from longspan.studies.compare_phrases import capital, probability, with_article
from longspan.studies.compare_record import Made, Network, Part, Standing, title_of
from longspan.studies.compare_tests import Duel
from longspan.studies.compare_verdict import by_share

__all__ = ["comparison_page", "shown_table"]

_TONES: dict[str, Tone] = {
    "worth it": "good",
    "no difference": "same",
    "another is better": "bad",
    "simple is enough": "same",
    "simple wins": "bad",
    "cannot tell": "unknown",
}


def comparison_page(made: Made, parts: Sequence[Part]) -> str:
    """The page as HTML.

    Args:
        made: how the comparison was made. parts: by growing share of the training data, the whole last.
    """
    part, title = parts[-1], title_of(made.encoder)
    sections = [
        Section("Scores", [*_standings(made, part), _scores(made, part)]),
        Section(f"The {title} against each", _against(made, part)),
        *([] if len(parts) == 1 else [_growing(made, parts)]),
        Section("What it costs", _costs(made, part)),
        Section("How far back each can look", _reach(made, part)),
        Section("How it was made", _made(made)),
    ]
    question = f"Is {with_article(title)} worth it? {made.title}"
    lead = (
        f"{capital(_count(len(part.networks), 'network'))} of one size, trained alike from "
        f"{_count(made.seeds, 'seed')} each, and {_count(len(part.simple), 'simple method')}, on the same "
        "test part, which nothing was chosen on."
    )
    answer = Callout(_TONES[part.verdict.outcome], part.verdict.title, part.verdict.words)
    return render(Page(question, lead, sections, footer=f"longspan {__version__}", top=[answer]))


def shown_table(made: Made, part: Part) -> list[dict[str, Any]]:
    """Rows for the terminal."""
    found = []
    for each in part.rows:
        network, duel = each.network, part.against(each.name)
        found.append(
            {
                "method": each.title,
                made.measure: _with_spread(each),
                f"{title_of(made.encoder)} against it": "" if duel is None else _effect(duel),
                "adjusted p": None if duel is None or duel.adjusted is None else round(duel.adjusted, 4),
                "parameters": None if network is None else network.contestant.parameters,
                "training s": None if network is None else _rounded(network.seconds),
                "µs a step": _micro(network),
                "looks back": "" if network is None else _span(network),
            }
        )
    return found


def _standings(made: Made, part: Part) -> list[Block]:
    marks = [
        Mark(
            each.title,
            each.loss,
            () if each.network is None else each.network.seeds,
            each.spread,
            each.name == made.encoder,
            each.network is not None,
        )
        for each in part.rows
    ]
    caption = (
        f"{capital(made.measure)} on the test part: round dots are networks of one size, ticks their "
        "seeds, bars one standard deviation over the seeds; diamonds are simple methods. A triangle at the "
        "edge lies beyond it."
    )
    return [
        _drawing(lambda shape: standings_chart(marks, made.measure, shape), "Losses of all methods", caption)
    ]


def _scores(made: Made, part: Part) -> Table:
    names = list(dict.fromkeys(name for each in part.rows for name in each.scores))
    rows: list[list[Cell]] = [
        [each.title, _with_spread(each), *(each.scores.get(name) for name in names)] for each in part.rows
    ]
    strong = [place for place, each in enumerate(part.rows) if each.name == made.encoder]
    few = {each.units for each in part.rows if each.units}
    partly = "" if len(few) < 2 else " Methods that answered a part of the test are scored on that part."
    heads = ("method", made.measure, *names)
    return Table(
        f"Scores on the test part, lower is better; of networks the mean ± standard deviation over the "
        f"seeds.{partly}",
        heads,
        rows,
        strong=strong,
    )


def _against(made: Made, part: Part) -> list[Block]:
    titles = {each.name: each.title for each in part.rows}
    name = title_of(made.encoder)
    effects = [_effect_of(each, titles) for each in part.duels if each.effect is not None]
    rows: list[list[Cell]] = [
        [
            titles[each.other],
            _effect(each),
            _interval(each),
            None if each.adjusted is None else probability(each.adjusted).removeprefix("p").lstrip("= "),
            "better" if each.better else "worse" if each.worse else "not shown to differ",
        ]
        for each in part.duels
    ]
    heads = (f"{name} against", "difference", "95 % interval", "adjusted p", f"the {name} is")
    drawn: list[Block] = []
    if effects:
        caption = "Difference in loss with its 95 % interval; coloured where it is more than chance."

        def draw(shape: Shape) -> Drawing:
            return effects_chart(effects, name, made.measure, shape)

        drawn = [_drawing(draw, "Differences in loss", caption)]
    if not rows:
        return [Paragraph("There was nothing to compare it with.")]
    table = Table(f"Difference of the {name}'s loss; negative is better.", heads, rows)
    return [*drawn, table, Paragraph(_rule(made, part))]


def _rule(made: Made, part: Part) -> str:
    """How it was tested."""
    tests = {
        f"{each.test}, n = {each.n:,}" if each.p is not None else f"none, since {each.test}": None
        for each in part.duels
    }
    return (
        f"The tests are paired, over the {made.unit}s of the test part ({'; '.join(tests)}). The variance "
        "over seeds is added, since other seeds would have given other networks. p is adjusted by Holm over "
        f"all {len(part.duels)} tests. Of the simple methods the one to beat is tested, chosen by its error "
        "before the test part."
    )


def _effect_of(duel: Duel, titles: Mapping[str, str]) -> Effect:
    low, high = duel.interval or (None, None)
    return Effect(titles[duel.other], duel.effect or 0.0, low, high, clear=duel.better or duel.worse)


def _growing(made: Made, parts: Sequence[Part]) -> Section:
    """The learning curve over the training data."""
    places = tuple(math.log10(each.share) for each in parts)
    names = [each.name for each in parts[-1].networks]
    best = parts[-1].strongest
    courses = []
    for name in [*names, *([best] if best else [])]:
        found = [next(each for each in (*part.networks, *part.simple) if each.name == name) for part in parts]
        spread = None if found[0].network is None else tuple(each.spread for each in found)
        y = tuple(each.loss for each in found)
        courses.append(
            Course(found[0].title, places, y, spread, name == made.encoder, found[0].network is None)
        )
    ticks = [(place, f"{100 * part.share:g} %") for place, part in zip(places, parts, strict=True)]
    axis = "share of the training data"
    words = by_share([(part.share, part.verdict) for part in parts])
    caption = (
        "Loss on the same test part, learned from the most recent share of the training data. Bars are one "
        "standard deviation over the seeds. Simple methods that are fitted had the same share."
    )
    figure = _drawing(
        lambda shape: courses_chart(courses, made.measure, axis, ticks=ticks, shape=shape),
        "Loss over the share of the training data",
        caption,
    )
    heads = ("method", *(f"{100 * part.share:g} %" for part in parts))
    every = [each.name for each in parts[-1].rows]
    rows: list[list[Cell]] = []
    for name in every:
        row = [next((each for each in part.rows if each.name == name), None) for part in parts]
        last = row[-1]
        title = name if last is None else last.title
        rows.append([title, *(None if each is None else _with_spread(each) for each in row)])
    return Section(
        "With less to learn from",
        [Paragraph(words), figure, Table(f"{capital(made.measure)} by share.", heads, rows)],
    )


def _costs(made: Made, part: Part) -> list[Block]:
    rows: list[list[Cell]] = []
    for each in part.networks:
        network = each.network
        if network is None:
            continue
        steps = network.steps
        pace = network.pace
        rows.append(
            [
                each.title,
                network.contestant.width,
                network.contestant.parameters,
                network.contestant.own,
                None if math.isnan(steps) else round(steps),
                None if math.isnan(network.seconds) else f"{network.seconds:,.1f}",
                None if pace is None else f"{1e6 * pace.streamed:,.1f}",
                None if pace is None else f"{1e6 * pace.whole:,.2f}",
            ]
        )
    heads = (
        "network",
        "width",
        "parameters",
        "in the encoder",
        "steps",
        "training s",
        "µs streamed",
        "µs at once",
    )
    caption = (
        "Sizes and times, means over the seeds. The width of each is chosen so that the whole network has as "
        f"many parameters as that of the {title_of(made.encoder)}: all are within {_off(part)}. One step of "
        "one sequence in evaluation takes so many µs where the steps come one by one, each with the state of "
        f"the one before (streamed), and where a sequence of {made.length:,} steps is read at once."
    )
    blocks: list[Block] = [Table(caption, heads, rows)]
    drawn = [
        Course(
            each.title,
            tuple(float(one.step) for one in each.network.histories[0].records),
            tuple(one.validation_loss for one in each.network.histories[0].records),
            ours=each.name == made.encoder,
        )
        for each in part.networks
        if each.network is not None and each.network.histories
    ]
    if any(len(each.x) > 1 for each in drawn):  # a single check is no curve
        what = "Validation loss over the training steps"
        caption = f"{what}, of the first seed of each; the weights of the lowest point are kept."
        blocks.append(
            _drawing(
                lambda shape: courses_chart(drawn, "validation loss", "training steps", shape=shape),
                what,
                caption,
            )
        )
    return blocks


def _off(part: Part) -> str:
    """The largest difference in the number of parameters."""
    most = max((abs(each.network.off) for each in part.networks if each.network is not None), default=0.0)
    return f"{100 * most:.1f} %"


def _reach(made: Made, part: Part) -> list[Block]:
    rows: list[list[Cell]] = [
        [each.title, _span(each.network), _cut(each.network, made.length)]
        for each in part.networks
        if each.network is not None
    ]
    caption = f"Longest input that each can handle; here a sequence is {made.length:,} steps long."
    blocks: list[Block] = [Table(caption, ("network", "looks back", "what was cut or padded"), rows)]
    if made.facts.cut:
        blocks.append(Notes(tuple(map(_sentence, made.facts.cut))))
    return blocks


def _cut(network: Network, length: int) -> str:
    if network.span is None:
        return "nothing; its state carries on, however long the input"
    if network.span < length:
        return f"all but the last {network.span:,} of {length:,} steps"
    return f"nothing here; of a longer input all but the last {network.span:,} steps"


def _made(made: Made) -> list[Block]:
    budget = "none" if made.budget is None else f"{made.budget[0]:,.0f} s, {made.budget[1]:,.1f} s a training"
    settings = ", ".join(
        f"{key} {value}" for key, value in made.settings.items() if value not in (None, [], "")
    )
    pairs: list[tuple[str, Cell]] = [
        *made.facts.pairs,
        ("seeds", f"{made.seeds}, from {made.seed}; the same batches for every network"),
        ("time budget", budget),
        ("options", settings),
        ("command", made.command or "–"),
        ("data", f"SHA-256 {made.data_sha256[:16]}…"),
        *((key, _flat(value)) for key, value in made.machine.items()),
    ]
    notes = [*made.facts.notes, *made.notes]
    found: list[Block] = [KeyValues(pairs)]
    return [*found, Notes(tuple(map(_sentence, notes)))] if notes else found


def _flat(value: Any) -> str:
    return (
        ", ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, dict) else str(value)
    )


def _with_spread(standing: Standing) -> Cell:
    """``0.768 ± 0.0041``; a number where there is no spread."""
    if math.isnan(standing.loss) or standing.spread is None:
        return standing.loss
    return f"{number(standing.loss)} ± {standing.spread:.2g}"


def _effect(duel: Duel) -> str:
    return "–" if duel.effect is None else _percent(duel.effect)


def _interval(duel: Duel) -> str | None:
    return None if duel.interval is None else " to ".join(map(_percent, duel.interval))


def _percent(value: float) -> str:
    shown = f"{value:+,.1f} %" if abs(value) < 1000 else f"{value:+,.0f} %"
    return shown.replace("-", "−")


def _span(network: Network) -> str:
    return "any length" if network.span is None else f"{network.span:,} steps"


def _micro(network: Network | None) -> int | None:
    return None if network is None or network.pace is None else round(1e6 * network.pace.streamed)


def _rounded(seconds: float) -> float | None:
    return None if math.isnan(seconds) else round(seconds, 1)


def _count(count: int, noun: str) -> str:
    words = (
        "no",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    )
    return f"{words[count] if count < len(words) else f'{count:,}'} {noun}{'' if count == 1 else 's'}"


def _sentence(text: str) -> str:
    return f"{capital(text).rstrip('.')}."


def _drawing(draw: Callable[[Any], Drawing], what: str, caption: str) -> Figure:
    """A figure in both shapes; ``what`` tells those who do not see it."""
    wide: Markup = svg_text(draw("wide"), what)
    return Figure(wide, caption, svg_text(draw("narrow"), what))
