"""``longspan paper`` and `longspan.paper`: what is written, refused, gone on with; the page in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from headless import NAMES, OVERLAPS, STICKS_OUT, Browser, find_browser

import longspan
from longspan.cli.entry import run
from longspan.core.errors import InputError
from longspan.studies.catalogue import STUDIES
from longspan.studies.course import Course
from longspan.studies.paper import write_outcome
from longspan.studies.paper_page import paper_page
from longspan.studies.study import (
    Bar,
    Chart,
    Figure,
    Findings,
    Line,
    Outcome,
    Scale,
    Setting,
    Study,
    Table,
)

TOY = Study(
    name="toy",
    title="A toy & its <network>",
    source="Nobody 1900, table 1",
    about="Whether it runs.",
    settings=(Setting("learning rate", 0.001, 0.5), Setting("width", 3)),
    seeds=2,
    budget=1.0,
    tolerance="it runs.",
    run="none:none",
)
DONE: list[str] = []


def toy(course: Course) -> Findings:
    """Two parts a seed, which note that they were done."""

    def part(seed: int, _keeper: Any) -> dict[str, Any]:
        DONE.append(f"{seed}")
        return {"sequences": 100 * (seed + 1)}

    found = course.seeds("lstm", part)
    values = [float(each["sequences"]) for each in found]
    figure = Figure("training sequences", max(values, default=None), 8_440, bar=Bar(at_most=8_440))
    line = Line("LSTM", (1.0, 10.0, 100.0), (1.0, 0.5, 0.0), ours=True)
    return Findings((figure,), (Chart("Progress", "What it shows.", "sequences", "share", (line,)),))


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study of its own in the catalogue."""
    DONE.clear()
    monkeypatch.setitem(STUDIES, "toy", TOY)
    monkeypatch.setattr(Study, "load", lambda _self: toy)
    return TOY


@pytest.mark.usefixtures("study")
def test_the_outcome_is_written_and_read(tmp_path: Path) -> None:
    outcome = longspan.paper("toy", out=tmp_path / "found")
    kept = json.loads((tmp_path / "found" / "outcome.json").read_text())
    assert kept == json.loads(json.dumps(outcome.to_json()))
    assert kept["verdict"] == "reproduced"
    assert kept["seeds"] == [0, 1]
    assert kept["machine"]["cores"] >= 1
    page = (tmp_path / "found" / "report.html").read_text()
    assert "Reproduced: it runs." in page
    assert "A toy &amp; its &lt;network&gt;" in page
    assert not (tmp_path / "found.partial").exists()


@pytest.mark.usefixtures("study")
def test_what_there_was_no_time_for_is_said_and_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "found"
    first = longspan.paper("toy", out=out, time_budget="0.000000001")
    assert first.verdict == "budget does not allow"
    assert first.left_out == ("lstm-seed-0", "lstm-seed-1")
    assert DONE == []
    assert not (tmp_path / "found.partial").exists(), "nothing was kept, so nothing is left"
    second = longspan.paper("toy", out=out, seeds=1, force=True)
    assert second.sentence == "Reproduced, with 1 of 2 seeds: it runs."
    assert DONE == ["0"]


@pytest.mark.usefixtures("study")
def test_a_resumed_study_does_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "found"
    whole = toy

    def broken(course: Course) -> Findings:
        course.part("lstm-seed-0", lambda _keeper: {"sequences": 100})
        raise KeyboardInterrupt

    monkeypatch.setattr(Study, "load", lambda _self: broken)
    with pytest.raises(KeyboardInterrupt):
        longspan.paper("toy", out=out)
    assert not out.exists()
    monkeypatch.setattr(Study, "load", lambda _self: whole)
    with pytest.raises(InputError, match="Pass resume=True to go on with it, or force=True to start anew"):
        longspan.paper("toy", out=out)
    assert longspan.paper("toy", out=out, resume=True).verdict == "reproduced"
    assert DONE == ["1"], "the first part was kept"


@pytest.mark.usefixtures("study")
def test_outputs_that_cannot_be_used_are_refused_before_any_work(tmp_path: Path) -> None:
    out = tmp_path / "found"
    with pytest.raises(InputError, match=r"nothing is kept at .*found.partial.*Leave resume=True out"):
        longspan.paper("toy", out=out, resume=True)
    with pytest.raises(InputError, match="resume= needs out= of the earlier run"):
        longspan.paper("toy", resume=True)
    with pytest.raises(InputError, match=r"does not exist\. Make it first"):
        longspan.paper("toy", out=tmp_path / "no" / "found")
    longspan.paper("toy", out=out)
    with pytest.raises(InputError, match=r"exists\. Pass force=True to replace it"):
        longspan.paper("toy", out=out)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("work of years")
    for force in (False, True):
        with pytest.raises(InputError, match=r"holds no outcome\.json, so it is none of ours"):
            longspan.paper("toy", out=other, force=force)
    assert (other / "thesis.txt").read_text() == "work of years"
    assert DONE == ["0", "1"]


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "seeds"),
        ({"time_budget": "soon"}, "a positive length of time such as 90"),
        ({"smoke": 1}, "smoke"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        longspan.paper("toy", **options)


def shell(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(words)
    found = capsys.readouterr()
    return code, found.out, found.err


def test_the_list_names_every_study(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("paper", "--list"), ("paper",)):
        code, out, _ = shell(capsys, *words)
        assert code == 0
        assert all(name in out for name in STUDIES)
    code, out, _ = shell(capsys, "paper", "--list", "--json")
    assert [each["name"] for each in json.loads(out)["studies"]] == list(STUDIES)


@pytest.mark.usefixtures("study")
def test_the_shell_shows_the_figures_and_the_verdict(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = shell(capsys, "paper", "toy", "--out", str(tmp_path / "found"))
    assert code == 0
    assert "≤ 8,440" in out
    assert "Reproduced: it runs." in out
    assert f"Page: {tmp_path}/found/report.html" in err
    code, out, _ = shell(capsys, "paper", "toy", "--json", "--seeds", "1", "--time-budget", "15m")
    assert code == 0
    kept = json.loads(out)
    assert (kept["seeds"], kept["time_budget"]) == ([0], 900.0)
    code, _, err = shell(capsys, "paper", "toy", "--time-budget", "soon")
    assert code == 2
    assert "--time-budget expected a positive length of time such as 90, '90s', '15m' or '2h'" in err


def test_an_unknown_study_is_refused_on_the_shell(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = shell(capsys, "paper", "lottery")
    assert code == 2
    assert "expected NAME to be one of embedded-reber" in err


def example(**changes: Any) -> Outcome:
    """An outcome with every kind of thing on its page."""
    figures = (
        Figure("LSTM, training sequences, median", 9_284.0, 8_440, (2_600.0, 12_400.0), Bar(at_most=8_440)),
        Figure("LSTM, % of seeds solved", 100.0, 100, (100.0, 100.0), Bar(at_least=100)),
        Figure("plain RNN, training sequences", None, "> 200,000", note="out of time"),
    )
    lines = tuple(
        Line(name, (200.0, 400.0, 800.0, 4_000.0 + seed), (1.0, 0.8, 0.3, 0.1 * seed), ours=name == "LSTM")
        for name in ("LSTM", "LSTM without forget gate", "plain RNN")
        for seed in range(3)
    )
    mark = (8_440.0, "LSTM, published")
    chart = Chart(
        "Progress", "By sequences.", "training sequences", "share wrong", lines, mark, True, False, (0, 1)
    )
    table = Table("All networks.", ("network", "solved"), (("LSTM", "3 of 3"), ("plain RNN", None)))
    found = Findings(figures, (chart,), (table,), ("A remark.",))
    outcome = Outcome(TOY, Scale((0, 1)), found, (), 12.5, {"processor": "none", "versions": {"torch": "2"}})
    return replace(outcome, **changes)


class Texts(HTMLParser):
    """The text of each cell of the first table."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        if tag in ("td", "th"):
            self.inside = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.cells[-1] += data.strip()


def test_the_page_says_by_how_much() -> None:
    page = paper_page(example())
    assert "Not reproduced" in page
    assert "9,284, 844 above the 8,440 asked for, 10.0%" in page
    parser = Texts()
    parser.feed(page)
    assert parser.cells[6:12] == [
        "LSTM, training sequences, median", "8,440", "9,284", "2,600 to 12,400", "≤ 8,440", "no",
    ]  # fmt: skip
    assert "0.001" in parser.cells


def test_what_there_was_no_time_for_has_no_drawing() -> None:
    whole = example()
    empty = replace(whole.findings.charts[0], title="Nothing yet", lines=())
    page = paper_page(
        replace(whole, findings=replace(whole.findings, charts=(empty,)), left_out=("lstm-seed-1",))
    )
    assert "Nothing yet" not in page
    assert "<svg" not in page
    assert "Left out for want of time: lstm-seed-1" in page


def test_equal_outcomes_give_equal_pages() -> None:
    assert paper_page(example()) == paper_page(example())


def test_a_smoke_page_says_so() -> None:
    page = paper_page(example(scale=Scale((0,), smoke=True)))
    assert "A smoke run" in page
    assert "eproduced:" not in page


def test_what_stands_at_the_place_is_not_replaced(tmp_path: Path) -> None:
    write_outcome(example(), tmp_path / "a")
    with pytest.raises(InputError, match="exists"):
        write_outcome(example(), tmp_path / "a")
    write_outcome(example(), tmp_path / "a", force=True)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.skip(f"no headless browser: install one of {', '.join(NAMES)}")
    started = Browser(path, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_in_a_browser(browser: Browser, tmp_path: Path, width: int) -> None:
    write_outcome(example(), tmp_path / "a")
    browser.show(tmp_path / "a" / "report.html", width)
    assert browser.complaints() == []
    assert browser.value("document.documentElement.scrollWidth") == width
    assert browser.value(STICKS_OUT) == []
    assert browser.value(OVERLAPS) == []
    assert browser.value("document.querySelectorAll('svg').length") == 2
    assert browser.value("document.title") == TOY.title


def test_the_curves_of_one_name_are_one_entry_of_the_legend(browser: Browser, tmp_path: Path) -> None:
    write_outcome(example(), tmp_path / "a")
    browser.show(tmp_path / "a" / "report.html", 1200)
    texts: list[str] = browser.value(
        "[...document.querySelectorAll('.wide svg text')].map(e => e.textContent)"
    )
    names: Callable[[str], int] = texts.count
    assert [names(each) for each in ("LSTM", "plain RNN", "LSTM, published")] == [1, 1, 1]
