"""What a published experiment is, run again: its declaration, its scale, and what came of it.

Light: the command line reads the declarations to list them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from longspan.core.errors import InputError, LongspanError

if TYPE_CHECKING:
    from longspan.studies.course import Course

__all__ = [
    "Bar",
    "Chart",
    "Figure",
    "Findings",
    "Line",
    "OutOfTime",
    "Outcome",
    "Scale",
    "Setting",
    "Study",
    "Table",
    "Verdict",
]

Verdict = Literal["reproduced", "not reproduced", "budget does not allow", "reported", "smoke"]
Value = str | int | float | None


class OutOfTime(LongspanError):  # noqa: N818 - nothing is wrong
    """The time that a study was given is spent; what was finished is kept."""


@dataclass(frozen=True)
class Setting:
    """One setting of an experiment: its name, here, and in the publication (None: it says nothing of it)."""

    name: str
    here: str | int | float
    published: str | int | float | None = None


@dataclass(frozen=True)
class Study:
    """A published experiment that can be run again.

    Args:
        name: by which it is asked for: small letters, digits, ``-``.
        title: what it is, in a few words.
        source: citation with the number of the table or figure.
        about: what is asked and how it is judged, a paragraph.
        settings: exactly how it is run, beside the publication's way.
        seeds: how many times each network is trained.
        budget: seconds that all of it takes on two cores, as expected.
        tolerance: what counts as reproduced, in words.
        run: where the work is found, ``"longspan.studies.hochreiter_reber:embedded_reber"``; called with the
            `Course`, it gives the `Findings`.

    Raises:
        InputError: a name or a number that is none.
    """

    name: str
    title: str
    source: str
    about: str
    settings: tuple[Setting, ...]
    seeds: int
    budget: float
    tolerance: str
    run: str

    def __post_init__(self) -> None:
        if not self.name or not all(part.isalnum() and part == part.lower() for part in self.name.split("-")):
            raise InputError(f"study: expected a name such as 'embedded-reber', got {self.name!r}")
        if self.seeds < 1 or not 0 < self.budget < math.inf:
            raise InputError(
                f"study {self.name!r}: expected at least one seed and a budget above 0, "
                f"got {self.seeds} seeds and {self.budget} s"
            )

    def load(self) -> Callable[[Course], Findings]:
        """What runs it; torch comes in here."""
        module, _, function = self.run.partition(":")
        found: Callable[[Course], Findings] = getattr(import_module(module), function)
        return found


@dataclass(frozen=True)
class Scale:
    """How much of a study is run.

    Args:
        seeds: of the runs; the study's own are 0, 1, … Hyperparameters were chosen on seeds from 1,000 up.
        smoke: everything small, to see that it runs; it says nothing about the publication.
        seconds: after which no further work is begun and training is broken off; None for no limit.

    Raises:
        InputError: no seeds, or one twice, or a time that is none.
    """

    seeds: tuple[int, ...]
    smoke: bool = False
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise InputError(f"seeds: expected different whole numbers from 0 up, got {self.seeds}")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise InputError(f"seconds: expected a time above 0, or None for no limit, got {self.seconds!r}")


@dataclass(frozen=True)
class Bar:
    """What a figure must be for the study to count as reproduced: one bound, or both.

    Raises:
        InputError: no bound is given.
    """

    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise InputError("Bar: expected at_least, at_most or both, got neither")

    def holds(self, value: float) -> bool:
        """Whether a value is within the bounds."""
        return not (self._below(value) or self._above(value))

    def missed(self, value: float) -> str:
        """By how much a value is out of bounds, in words; empty where it is not."""
        for bound, out, word in (
            (self.at_least, self._below(value), "below"),
            (self.at_most, self._above(value), "above"),
        ):
            if bound is not None and out:
                share = f", {abs(value - bound) / abs(bound):.1%}" if bound else ""
                return f"{value:,.6g}, {abs(value - bound):,.4g} {word} the {bound:,.6g} asked for{share}"
        return ""

    def __str__(self) -> str:
        parts = [
            f"{sign} {bound:,.6g}"
            for sign, bound in (("≥", self.at_least), ("≤", self.at_most))
            if bound is not None
        ]
        return " and ".join(parts)

    def _below(self, value: float) -> bool:
        return self.at_least is not None and not value >= self.at_least

    def _above(self, value: float) -> bool:
        return self.at_most is not None and not value <= self.at_most


@dataclass(frozen=True)
class Figure:
    """One number of the publication beside ours.

    Args:
        what: what is counted or measured, with its unit.
        ours: our number; None where it could not be found in the time given.
        published: theirs, as a number or in words; None where there is none.
        spread: (lowest, highest) over the seeds.
        bar: what it must be; None where it is only reported.
        censored: ours is a lower bound: what was counted had not come to its end when it was broken off.
        note: what the reader should know.
    """

    what: str
    ours: float | None
    published: Value = None
    spread: tuple[float, float] | None = None
    bar: Bar | None = None
    note: str = ""
    censored: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether it meets its bar; None where there is no bar, or no number of ours."""
        if self.bar is None or self.ours is None:
            return None
        return self.bar.holds(self.ours) and not (self.censored and self.bar.at_most is not None)

    @property
    def missed(self) -> str:
        """By how much it misses its bar, in words; empty where it does not, or has none."""
        if self.bar is None or self.ours is None:
            return ""
        if self.censored and self.bar.at_most is not None:
            return f"more than {self.ours:,.6g}, broken off there; {self.bar} is asked for"
        return self.bar.missed(self.ours)


@dataclass(frozen=True)
class Line:
    """A line of a chart: its name, and its points in order; a y of None is a gap."""

    name: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    ours: bool = False
    """Drawn in the colour of the model."""


@dataclass(frozen=True)
class Chart:
    """Lines over one axis; lines of one name are one entry of the legend, such as the seeds of a network.

    Args:
        title: of the section that it stands in.
        caption: what it shows and how to read it.
        x, y: names of the axes, with their units.
        lines: what is drawn.
        mark: a value of x to be marked, with its name, such as the published number.
        log_x, log_y: logarithmic axes.
        range_y: lowest and highest of the y axis; None takes them from the lines.
    """

    title: str
    caption: str
    x: str
    y: str
    lines: tuple[Line, ...]
    mark: tuple[float, str] | None = None
    log_x: bool = False
    log_y: bool = False
    range_y: tuple[float, float] | None = None


@dataclass(frozen=True)
class Table:
    """Rows under heads, for what is neither a figure nor a chart."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True)
class Findings:
    """What a study's work gives: figures beside the published ones, and what the page shows with them."""

    figures: tuple[Figure, ...]
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a study.

    Args:
        study: its declaration.
        scale: how much of it was run.
        findings: its figures.
        left_out: the parts that the time given did not allow, by name.
        seconds: that the parts took together.
        machine: processor, cores, threads, system and versions.
    """

    study: Study
    scale: Scale
    findings: Findings
    left_out: tuple[str, ...]
    seconds: float
    machine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """``reported`` where no figure has a bar."""
        if self.scale.smoke:
            return "smoke"
        if self.left_out or any(each.bar and each.ours is None for each in self.findings.figures):
            return "budget does not allow"
        held = [each.holds for each in self.findings.figures if each.holds is not None]
        if not held:
            return "reported"
        return "reproduced" if all(held) else "not reproduced"

    def holds(self, figure: Figure) -> bool | None:
        """Whether one of its figures meets its bar; a smoke run says nothing."""
        return None if self.scale.smoke else figure.holds

    @property
    def sentence(self) -> str:
        """The verdict in full: if not reproduced by how much, if not run what was left out."""
        few = "" if len(self.scale.seeds) >= self.study.seeds else f", with {self._of_seeds()}"
        match self.verdict:
            case "smoke":
                return "A smoke run, far smaller than the experiment: it says that the study runs, no more."
            case "budget does not allow":
                parts = ", ".join(self.left_out) or "figures without a number"
                return f"The time given does not allow a verdict{few}. Left out: {parts}."
            case "reported":
                return f"Reported beside the published figures{few}; the study sets no bar."
            case "reproduced":
                return f"Reproduced{few}: {self.study.tolerance}"
        missed = [f"{each.what} is {each.missed}" for each in self.findings.figures if each.missed]
        return f"Not reproduced{few}: {'; '.join(missed)}."

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; a number that is not finite is None."""
        figures = [
            asdict(each) | {"bar": None if each.bar is None else str(each.bar), "holds": self.holds(each)}
            for each in self.findings.figures
        ]
        found = {
            "study": asdict(self.study),
            "verdict": self.verdict,
            "sentence": self.sentence,
            "seeds": list(self.scale.seeds),
            "smoke": self.scale.smoke,
            "time_budget": self.scale.seconds,
            "figures": figures,
            "charts": [asdict(each) for each in self.findings.charts],
            "tables": [asdict(each) for each in self.findings.tables],
            "notes": list(self.findings.notes),
            "left_out": list(self.left_out),
            "seconds": self.seconds,
            "machine": dict(self.machine),
        }
        return {key: _finite(value) for key, value in found.items()}

    def _of_seeds(self) -> str:
        return f"{len(self.scale.seeds)} of {self.study.seeds} seeds"


def _finite(value: Any) -> Any:
    """A value with None in the place of every NaN and infinity."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
