"""What commands write for people and for programs."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.cli import output
from longspan.cli.generate import given_values, option_specs
from longspan.core.errors import InputError, ModelError
from longspan.tasks.base import Options, option


def test_json_is_one_strict_document(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_json({"a": math.nan, "b": [math.inf, 1], "Ümlaut": "中"})
    text = capsys.readouterr().out
    assert json.loads(text, parse_constant=pytest.fail) == {"a": None, "b": [None, 1], "Ümlaut": "中"}
    assert "中" in text


def test_times_in_csv_keep_only_digits_that_say_something() -> None:
    frame = pl.DataFrame(
        {
            "whole": [datetime(2024, 1, 1, 5), None],
            "parts": [datetime(2024, 1, 1, 5, microsecond=250000), datetime(2024, 1, 1)],
            "value": [1.5, None],
        }
    )
    assert output.csv_text(frame).splitlines() == [
        "whole,parts,value",
        "2024-01-01 05:00:00,2024-01-01 05:00:00.250,1.5",
        ",2024-01-01 00:00:00,",
    ]


@given(st.lists(st.tuples(st.text(max_size=8), st.none() | st.floats(allow_nan=False)), max_size=8))
def test_csv_reads_back(rows: list[tuple[str, float | None]]) -> None:
    clean = [(word.replace("\r", "").replace("\0", ""), number) for word, number in rows]
    frame = pl.DataFrame(clean, schema={"word": pl.String, "number": pl.Float64}, orient="row")
    back = list(csv.reader(io.StringIO(output.csv_text(frame), newline="")))
    assert back[0] == ["word", "number"]
    assert [(word, float(number) if number else None) for word, number in back[1:]] == clean


def test_a_record_is_shown_whole_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 500
    output.show_record(
        {"name": long, "none": None, "rows": [{"a": 1, "b": long}, {"a": 20_000}], "deep": {"k": True}}
    )
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert f"name  {long}" in lines
    assert "none  –" in lines
    assert "  k  yes" in lines
    assert any(line.split() == ["1", long] for line in lines)
    assert any(line.split() == ["20,000", "–"] for line in lines)


def test_brackets_in_values_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_record({"column": "[bold]units[/bold]", "rows": [{"a": "[red]x"}]})
    shown = capsys.readouterr().out
    assert "[bold]units[/bold]" in shown
    assert "[red]x" in shown


STEERING = "\x1b]0;owned\x07\x1b[2J\r\x7f\x9b31m"


def test_control_characters_in_a_record_are_spelt_out(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_record(
        {
            "plain": STEERING,
            STEERING: 1,
            "many": (STEERING, "a"),
            "rows": [{"name": STEERING, STEERING: 2}],
            f"deep {STEERING}": {"k": STEERING},
        }
    )
    shown = capsys.readouterr().out
    assert not [each for each in shown if unicodedata.category(each) == "Cc" and each != "\n"]
    assert shown.count(r"\x1b]0;owned\x07\x1b[2J\x0d\x7f\x9b31m") == 7


def test_control_characters_in_a_table_are_spelt_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    output.show_rows(pl.DataFrame({"name": ["\x1b[2J"], "\x1bkey": ["a"]}))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.split()[:2] == ["name", r"\x1bkey"]


def test_lines_and_tabs_of_a_value_stay(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_record({"words": "one\ntwo"})
    assert capsys.readouterr().out == "words  one\ntwo\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EROFS])
@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_a_file_that_cannot_be_written_is_no_fault_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, ending: str
) -> None:
    path = tmp_path / f"p{ending}"
    path.write_bytes(b"before")

    def full(_handle: int, _data: bytes) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ModelError) as caught:
        output.write_rows(pl.DataFrame({"a": [1]}), path)
    assert str(caught.value) == (
        f"{path}: not written ({os.strerror(number)}). Make room or give a place that can be written"
    )
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"before"


class Full(io.StringIO):
    """A standard output with no room, which fails again whenever it is written to."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "show",
    [
        lambda: output.write_json({"a": 1}),
        lambda: output.show_text("a"),
        lambda: output.show_record({"a": 1}),
        lambda: output.show_rows(pl.DataFrame({"a": [1]})),
    ],
    ids=["json", "text", "record", "rows"],
)
def test_a_standard_output_without_room_is_no_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch, show: Callable[[], None]
) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(
        ModelError, match=r"^standard output: not written \(No space left on device\)\. Make room"
    ):
        show()


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("words", [["datasets", "list"], ["datasets", "list", "--json"]])
def test_a_full_disk_behind_standard_output_is_said_once(words: list[str]) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "longspan", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "standard output: not written (No space left on device). Make room or give a place that can be "
        "written\n"
    )


@pytest.mark.parametrize("name", ["p.xlsx", "p", "p.csv.gz"])
def test_an_ending_that_we_do_not_write_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a file ending in"):
        output.check_new_file(tmp_path / name, force=False)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        output.check_new_file(tmp_path / "no" / "p.csv", force=False)
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(InputError, match="got the folder"):
        output.check_new_file(tmp_path / "d.csv", force=True)


class Sample(Options):
    names: tuple[str, ...] = option((), "names")
    numbers: tuple[int, ...] | None = option(None, "numbers")
    on: bool | None = option(None, "switch")


@given(st.lists(st.text("ab ,\"'-é", min_size=1, max_size=5), max_size=4))
def test_names_with_commas_and_quotes_can_be_given(names: list[str]) -> None:
    """Each name quoted as CSV quotes it, joined by commas, is read back as it was."""
    text = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    given_ = {"names": [text] if names else []}
    assert given_values(option_specs(Sample), given_).get("names", ()) == tuple(names)


def test_what_is_not_given_is_absent() -> None:
    assert given_values(option_specs(Sample), {"names": None, "numbers": [], "on": None}) == {}
    assert given_values(option_specs(Sample), {"on": False}) == {"on": False}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,x", "--numbers expected a whole number, got 'x'"),
        ('"1', "--numbers expected values separated by commas"),
    ],
)
def test_a_wrong_list_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given_values(option_specs(Sample), {"numbers": [text]})


def test_a_type_that_the_shell_cannot_show_is_refused() -> None:
    class Odd(Options):
        table: dict[str, int] = option({}, "table")

    with pytest.raises(InputError, match=r"Odd\.table: an option is int, float"):
        option_specs(Odd)


def test_a_name_that_every_task_has_is_refused(level_task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from longspan.cli.app import build
    from longspan.tasks.base import TASKS

    class Taken(Options):
        seed: int = option(0, "mine")

    monkeypatch.setitem(TASKS, "level", dataclasses.replace(level_task, fit_options=Taken))
    with pytest.raises(InputError, match="declares 'seed', which every task has already"):
        build()
