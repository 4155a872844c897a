from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import pytest
from report_examples import example_page

from longspan.core.errors import InputError
from longspan.report.page import (
    Callout,
    Figure,
    KeyValues,
    Notes,
    Page,
    Paragraph,
    Section,
    Table,
    number,
    render,
)

VOID = {"meta", "link", "br", "img", "hr", "input"}
NAN = float("nan")


class Reader(HTMLParser):
    """Checks that every tag is closed in order; keeps the elements and the text of each."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []

    def handle_starttag(self, tag, attrs) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {tag}: {attrs}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        assert "svg" in self.open, f"<{tag}/> closes itself only inside SVG"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        if data.strip():
            self.text.append((self.open[-1], data.strip()))


def read(page: Page) -> Reader:
    reader = Reader()
    reader.feed(render(page))
    reader.close()
    assert reader.open == []
    return reader


def only(block) -> Page:
    return Page("title", "", [Section("section", [block])])


def test_the_reader_rejects_what_is_not_well_formed() -> None:
    for broken in ("<p><b>x</p></b>", "<p/>", "</p>", '<p id="a" id="b">'):
        with pytest.raises(AssertionError):
            Reader().feed(broken)


def test_a_full_page_is_well_formed() -> None:
    reader = read(example_page())
    tags = [tag for tag, _ in reader.elements]
    assert [tags.count(tag) for tag in ("h1", "h2", "section", "figure", "figcaption", "svg", "table")] == [
        *(1, 3, 3, 5, 5),
        *(6, 1),
    ]
    assert ("html", {"lang": "en"}) in reader.elements
    assert ("title", "用电量 & <b>friends</b>") in reader.text
    assert ("h1", "用电量 & <b>friends</b>") in reader.text
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    labelled = [attrs["aria-labelledby"] for _, attrs in reader.elements if "aria-labelledby" in attrs]
    assert labelled
    assert set(labelled) <= set(ids)


def test_a_page_needs_nothing_but_itself() -> None:
    reader = read(example_page())
    tags = {tag for tag, _ in reader.elements}
    assert not tags & {"script", "iframe", "img", "object", "embed", "form", "a"}
    for tag, attrs in reader.elements:
        assert not any(name.startswith("on") for name in attrs)
        for name in ("src", "href", "xlink:href"):
            assert (attrs.get(name) or "#")[0] == "#" or attrs[name] == "data:,", (tag, attrs)
    policy = next(a["content"] for t, a in reader.elements if t == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", render(example_page()))


HOSTILE = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"


@pytest.mark.parametrize(
    ("page", "tag"),
    [
        (Page(HOSTILE, "", []), "h1"),
        (Page("t", HOSTILE, []), "p"),
        (Page("t", "", [], footer=HOSTILE), "footer"),
        (Page("t", "", [Section(HOSTILE, [])]), "h2"),
        (only(Paragraph(HOSTILE)), "p"),
        (only(Notes([HOSTILE])), "li"),
        (only(KeyValues([(HOSTILE, 1)])), "dt"),
        (only(KeyValues([("a", HOSTILE)])), "dd"),
        (only(Table("c", [HOSTILE], [])), "th"),
        (only(Table(HOSTILE, ["a"], [])), "span"),
        (only(Callout("good", HOSTILE)), "p"),
        (only(Callout("good", "t", HOSTILE)), "p"),
        (only(Callout("alarm", "t", items=[HOSTILE])), "li"),
        (Page("t", "", [], top=[Paragraph(HOSTILE)]), "p"),
        (only(Table("c", ["a", "b"], [["x", HOSTILE]])), "td"),
    ],
)
def test_hostile_text_is_inert_everywhere(page: Page, tag: str) -> None:
    reader = read(page)
    assert (tag, HOSTILE) in reader.text
    assert "script" not in {name for name, _ in reader.elements}


def test_hostile_language_stays_an_attribute() -> None:
    reader = read(Page("t", "", [], language='en"><script>'))
    assert ("html", {"lang": 'en"><script>'}) in reader.elements


def test_svg_that_was_not_made_here_is_refused() -> None:
    with pytest.raises(InputError, match="expected SVG from svg_text, got str"):
        Figure("<svg onload='alert(1)'></svg>", "caption")  # type: ignore[arg-type]


def test_table_heads_and_numbers() -> None:
    page = only(
        Table("scores", ["method", "MASE", "note"], [["LSTM", 0.84, "a"], ["drift", None, "2 b"]], strong=[0])
    )
    reader = read(page)
    heads = [attrs for tag, attrs in reader.elements if tag == "th"]
    assert [attrs["scope"] for attrs in heads] == ["col", "col", "col", "row", "row"]
    assert [attrs.get("class") for attrs in heads] == [None, "right", None, None, None]
    cells = [attrs.get("class") for tag, attrs in reader.elements if tag == "td"]
    assert cells == ["right", None, "right", None]
    assert [attrs.get("class") for tag, attrs in reader.elements if tag == "tr"] == [None, "strong", None]
    assert ("td", "–") in reader.text


@pytest.mark.parametrize(
    "cell", ["78 %", "0.84 ± 0.01", "−3", "1,234.5", "< 0.001", "−67.0 to +1.2 %", "1e−05 ± 2e−06"]
)
def test_written_numbers_stand_right(cell: str) -> None:
    assert f'<td class="right">{escape(cell)}</td>' in render(only(Table("c", ["a", "b"], [["x", cell]])))


@pytest.mark.parametrize("cell", ["12 rows", "a 1", "", "3 % of 4", "1 to many", "< a"])
def test_words_stand_left(cell: str) -> None:
    assert f"<td>{escape(cell)}</td>" in render(only(Table("c", ["a", "b"], [["x", cell]])))


def test_what_is_no_block_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        Section("scores", ["text"])  # type: ignore[list-item]
    assert str(caught.value) == (
        "Section 'scores': expected blocks of Paragraph, Table, Figure, Row, Notes, KeyValues, Callout, "
        "got str"
    )


def test_blocks_at_the_top_are_checked_too() -> None:
    with pytest.raises(InputError, match=r"Page 't': expected blocks of Paragraph, .*, got int"):
        Page("t", "", [], top=[3])  # type: ignore[list-item]


def test_a_callout_says_its_tone_in_a_sign_and_before_all_sections() -> None:
    page = Page("t", "lead", [Section("s", [])], top=[Callout("good", "Better than drift", "By much.")])
    reader = read(page)
    texts = [text for _, text in reader.text]
    assert texts.index("Better than drift") < texts.index("By much.") < texts.index("s")
    assert ("span", "✓") in reader.text
    assert ("div", {"class": "callout good", "role": "note"}) in reader.elements
    with pytest.raises(InputError) as caught:
        Callout("great", "t")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "Callout 't': expected a tone of 'good', 'bad', 'same', 'unknown', 'alarm', got 'great'"
    )


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        Table("scores", ["method", "MASE"], [["a", 1], ["b"]])
    assert str(caught.value) == "Table 'scores', row 1: expected 2 cells, one for each column, got 1"
    with pytest.raises(InputError, match="expected at least one column, got none"):
        Table("scores", [], [])


def test_a_figure_without_a_narrow_shape_scrolls_on_a_phone() -> None:
    classes = [attrs.get("class") for tag, attrs in read(example_page()).elements if tag == "figure"]
    assert classes == ["two", "one", None, None, "one"]


def test_equal_pages_give_equal_text() -> None:
    assert render(example_page()) == render(example_page())
    assert render(replace(example_page(), footer="")) != render(example_page())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (NAN, "–"),
        ("as it is", "as it is"),
        (True, "True"),
        (1234567, "1,234,567"),
        (-5, "−5"),
        (0.0, "0"),
        (0.84123, "0.8412"),
        (-12.3456, "−12.35"),
        (999.96, "1,000"),
        (1234.56, "1,235"),
        (1543211.2, "1,543,211"),
        (0.0001234, "0.0001234"),
        (0.00001234, "1.234e−05"),
        (-1.5e15, "−1.500e+15"),
        (float("inf"), "∞"),
        (float("-inf"), "−∞"),
    ],
)
def test_numbers_as_people_read_them(value, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.8449, 3, "0.845"),
        (99.96, 3, "100"),
        (0.0, 2, "0"),
        (-1234.5, 3, "−1,234"),
        (0.00001234, 2, "1.2e−05"),
    ],
)
def test_fewer_digits_where_seeds_differ_by_more(value: float, digits: int, text: str) -> None:
    assert number(value, digits) == text
