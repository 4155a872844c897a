"""Every input that cannot be used is refused with file, row and column, and nothing is left on the disk."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Shell = Callable[..., subprocess.CompletedProcess[str]]
Listing = Callable[[Path], dict[str, bytes]]

HEAD = "time,y\n"
ROWS = [f"2020-01-{day:02},{day}.5\n" for day in range(1, 31)]


def with_row(row: int, text: str) -> bytes:
    """The good table with one line exchanged; rows are counted as a person does, the header being 1."""
    lines = [HEAD, *ROWS]
    lines[row - 1] = text + "\n"
    return "".join(lines).encode()


# name → (bytes of d.csv, further words, what the message must hold)
REFUSED: dict[str, tuple[bytes, tuple[str, ...], tuple[str, ...]]] = {
    "empty file": (b"", (), ("d.csv", "empty")),
    "header only": (HEAD.encode(), (), ("d.csv", "header only")),
    "text in a number column": (
        with_row(9, "2020-01-08,n/a"),
        (),
        ("d.csv row 9, column 'y'", "'n/a'", "--missing"),
    ),
    "infinity": (with_row(12, "2020-01-11,inf"), (), ("d.csv row 12, column 'y'", "inf")),
    "a time that is none": (
        with_row(7, "soon,6.5"),
        ("--time", "time"),
        ("d.csv row 7, column 'time'", "'soon'"),
    ),
    "the same time twice": (
        with_row(5, "2020-01-03,9"),
        (),
        ("d.csv row", "column 'time'", "2020-01-03", "--duplicates"),
    ),
    "wrong encoding": (
        with_row(4, "2020-01-03,\xe9").replace("\xe9".encode(), b"\xe9"),
        (),
        ("d.csv row 4", "0xe9", "--encoding 'latin-1'"),
    ),
    "missing column": (with_row(2, ROWS[0].strip()).replace(b",y\n", b",x\n"), (), ("d.csv", "'y'", "'x'")),
    "too short": ("".join([HEAD, *ROWS[:6]]).encode(), (), ("column 'y'", "expected 10 values", "got 6")),
    "ambiguous dates": (
        (
            "time,y\n" + "".join(f"0{day}-0{month}-00,{day}\n" for month in (1, 2, 3) for day in range(1, 10))
        ).encode(),
        (),
        ("d.csv", "column 'time'", "--day-first"),
    ),
    "mixed dates": (
        with_row(20, "19/01/2020,3"),
        ("--time", "time"),
        ("d.csv row 20, column 'time'", "19/01/2020"),
    ),
    "no value at all": (
        ("time,y\n" + "".join(f"2020-01-{day:02},\n" for day in range(1, 31))).encode(),
        (),
        ("'y'", "none"),
    ),
    "a row cut off": (with_row(31, "2020-01-30"), (), ("d.csv row 31",)),
    "no counts": (
        with_row(9, "2020-01-08,3"),
        ("--head", "negative-binomial"),
        ("column 'y'", "counts", "1.5"),
    ),
    "known covariate that ends": (
        b"time,y,k\n" + b"".join(row.encode().strip() + b",1\n" for row in ROWS),
        ("--known", "k"),
        ("'k' is lacking at 2020-01-31", "4 steps"),
    ),
}


# The others run in this process, which spares them the import.
PROCESSES = ("empty file", "text in a number column", "known covariate that ends")


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_place_and_nothing_written(
    name: str, tmp_path: Path, shell: Shell, inside: Shell, listing: Listing
) -> None:
    data, words, texts = REFUSED[name]
    (tmp_path / "d.csv").write_bytes(data)
    before = listing(tmp_path)
    call = shell if name in PROCESSES else inside
    done = call(
        "fit", "forecast", "d.csv", "--target", "y", "--horizon", "4", *words, "--out", "m", cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    said = " ".join(done.stderr.split())
    for text in texts:
        assert text in said
    assert "Traceback" not in said
    assert listing(tmp_path) == before


def test_the_error_is_a_record_with_json(tmp_path: Path, inside: Shell) -> None:
    (tmp_path / "d.csv").write_bytes(with_row(9, "2020-01-08,n/a"))
    words = ("--target", "y", "--horizon", "4", "--out", "m", "--json")
    done = inside("fit", "forecast", "d.csv", *words, cwd=tmp_path)
    assert done.returncode == 2
    found = json.loads(done.stdout)["error"]
    assert (found["type"], found["source"], found["row"], found["column"], found["exit_code"]) == (
        "DataError", "d.csv", 9, "y", 2,
    )  # fmt: skip


def test_a_file_that_is_not_there(tmp_path: Path, inside: Shell, listing: Listing) -> None:
    done = inside(
        "fit", "forecast", "gone.csv", "--target", "y", "--horizon", "4", "--out", "m", cwd=tmp_path
    )
    assert done.returncode == 2
    assert "gone.csv" in done.stderr
    assert listing(tmp_path) == {}


def test_what_is_refused_can_be_put_right_as_the_message_says(tmp_path: Path, inside: Shell) -> None:
    (tmp_path / "d.csv").write_bytes(with_row(9, "2020-01-08,n/a"))
    words = (
        "--target",
        "y",
        "--horizon",
        "4",
        "--out",
        "m",
        "--steps",
        "2",
        "--hidden",
        "4",
        "--missing",
        "n/a",
    )
    done = inside("fit", "forecast", "d.csv", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 of 30 values are missing" in done.stderr
