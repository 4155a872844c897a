"""The page of a comparison: what it says, and how it reads in a real browser.

LONGSPAN_SCREENSHOTS names a folder where its pictures are kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from compare_contest import DrawnContest
from headless import NAMES, OVERLAPS, STICKS_OUT, Browser, find_browser

from longspan.models.session import Session
from longspan.studies.compare import Comparison
from longspan.studies.compare_course import chosen_encoders, matched, run_contest
from longspan.studies.compare_page import shown_table
from longspan.studies.compare_record import Made

LEVELS = {"lstm": 0.8, "rnn": 1.2, "gru": 0.79, "feedforward": 1.0, "cnn": 0.9, "transformer": 0.95}
SIMPLE = {"seasonal_naive": 1.1, "last_value": 160.0}
VIEWS = {"light": (1200, False), "dark": (1200, True), "phone": (360, False)}


def comparison(contest: DrawnContest, shares: tuple[float, ...] = (1.0,), seeds: int = 3) -> Comparison:
    field = matched(contest, chosen_encoders(tuple(LEVELS), "lstm"))
    course = run_contest(contest, field, Session(), seeds=seeds, shares=shares)
    made = Made(
        task="drawn",
        title=contest.title,
        measure=contest.measure,
        unit="example",
        length=contest.length,
        facts=contest.facts(),
        encoder="lstm",
        seeds=seeds,
        seed=0,
        command="longspan compare drawn <data>",
        budget=(600.0, 20.0),
        settings={"horizon": 24, "nothing": None},
        machine={"processor": "one that counts", "cores": 2},
        data_sha256=contest.data_sha256,
        notes=course.notes,
    )
    return Comparison(made, course.parts)


def whole() -> Comparison:
    return comparison(DrawnContest(LEVELS, SIMPLE), (0.1, 0.3, 1.0))


def failing() -> Comparison:
    return comparison(DrawnContest(LEVELS, SIMPLE, failing=("rnn", "cnn")))


def alone() -> Comparison:
    return comparison(DrawnContest(LEVELS, failing=tuple(LEVELS)), seeds=1)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.skip(f"no headless browser: install one of {', '.join(NAMES)}")
    started = Browser(path, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


def test_the_page_answers_the_question_and_shows_what_it_rests_on() -> None:
    html = whole().html()
    for words in (
        "Is an LSTM worth it? what is drawn",
        "Six networks of one size, trained alike from three seeds each, and two simple methods",
        "No difference shown between the LSTM and the GRU",
        "With 10 % of the training data:",
        "paired bootstrap over examples, n = 200",
        "all are within",
        "nothing; its state carries on, however long the input",
        "all but the last 9 of 50 steps",
        "What was cut.",
        "One was left out.",
        "longspan compare drawn &lt;data&gt;",
        "600 s, 20.0 s a training",
    ):
        assert words in html, words


def test_what_failed_is_on_the_page() -> None:
    html = failing().html()
    assert "RNN: 3 of 3 trainings failed: the loss is not finite." in html
    assert "Cannot tell" in alone().html()


def test_the_table_for_the_terminal() -> None:
    found = whole()
    rows = shown_table(found.made, found.parts[-1])
    assert [row["method"] for row in rows][-1] == "last value"
    lstm = next(row for row in rows if row["method"] == "LSTM")
    assert lstm["looks back"] == "any length"
    assert lstm["µs a step"] == 30
    assert " ± " in lstm["loss"]


@pytest.mark.parametrize("make", [whole, failing, alone])
def test_the_page_reads_on_every_screen(make, browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(make().html(), "utf-8")
    pictures = Path(os.environ.get("LONGSPAN_SCREENSHOTS") or tmp_path)
    for view, (width, dark) in VIEWS.items():
        browser.show(page, width, dark=dark)
        browser.screenshot(pictures / f"compare-{make.__name__}-{view}.png")
        assert browser.complaints() == [], view
        assert [url for url in browser.requests() if not url.startswith("data:")] == [page.as_uri()], view
        assert browser.value("document.documentElement.scrollWidth") == width, view
        assert browser.value(STICKS_OUT) == [], view
        assert browser.value(OVERLAPS) == [], view
