"""Damaged files are read or refused: nothing but our own errors leaves the reader."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from longspan.core.errors import LongspanError
from longspan.data.inference import Roles, read_panel

CASES = 150  # of each seed; all of them take about ten seconds
ROLES = Roles(target="y", series=("s",), time="time")
# How each seed writes a time.
STAMPS = {
    "dates": [f"2020-01-{day:02d}" for day in range(20, 32)],
    "clock": [f"31.12.2019 {hour:02d}:00" for hour in range(12, 24)],
    "offsets": [f"2020-01-{day:02d}T00:00:00+01:00" for day in range(1, 13)],
    "quarters": [f"{year}Q{number}" for year in (2019, 2020, 2021) for number in (1, 2, 3, 4)],
    "weeks": [f"2020-W{week:02d}" for week in range(1, 13)],
    "names": [f"{month} 2020" for month in ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug")],
    "seconds": [str(1_600_000_000 + 60 * minute) for minute in range(12)],
    "months": [f"{year}{month:02d}" for year in (2020, 2021) for month in range(7, 13)],
    "steps": [str(step) for step in range(95, 107)],
}
VALUES = ("1", "-2.5", "0", "3e2", "", "17", "4.25", "nan", "8", "1000", "0.001", "6")
MARKS = b',"\r\n;\t'
OTHERS = b"0123456789 -:.+eEnaNifTZQW|{}[]\\\x00\xff\xc3"
PIECES = ('""', "\r\n", "\n\n", "\ufeff", "1e400", "-0", "9" * 25, "99999999", "null", "é", "²", "٣")


def csv(stamps: list[str], columns: tuple[str, ...] = ("s", "time", "y")) -> bytes:
    rows = [columns, *(("A" if row % 3 else "B", stamp, VALUES[row]) for row, stamp in enumerate(stamps))]
    return "".join(",".join(row) + "\n" for row in rows).encode()


def json_lines(stamps: list[str]) -> bytes:
    values = [value if value not in ("", "nan") else "null" for value in VALUES]
    rows = (f'{{"s":"A","time":"{stamp}","y":{values[row]}}}\n' for row, stamp in enumerate(stamps))
    return "".join(rows).encode()


def damaged(content: bytes, draw: random.Random) -> bytes:
    """A few bytes changed, put in, taken out, moved or cut off."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(data) + 1)
        other = draw.randrange(len(data) + 1)
        match draw.choice(("change", "insert", "delete", "repeat", "cut")):
            case "change":
                data[place : place + 1] = bytes([draw.choice(draw.choice((MARKS, OTHERS)))])
            case "insert":
                data[place:place] = draw.choice(PIECES).encode()
            case "delete":
                del data[place : place + draw.randint(1, 20)]
            case "repeat":
                data[place:place] = data[other : other + 15]
            case "cut":
                del data[place:]
    return bytes(data)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("name", STAMPS)
def test_a_damaged_file_is_read_or_refused(name: str, kind: str, tmp_path: Path) -> None:
    content = csv(STAMPS[name]) if kind == "csv" else json_lines(STAMPS[name])
    path = tmp_path / f"a.{kind}"
    path.write_bytes(content)
    assert read_panel(path, ROLES).observed.max() > 1
    draw = random.Random(f"{name} {kind}")
    refused = 0
    for _ in range(CASES):
        written = damaged(content, draw)
        path.write_bytes(written)
        try:
            read_panel(path, ROLES if draw.random() < 0.6 else None)
        except LongspanError:
            refused += 1
        except BaseException as fault:
            pytest.fail(f"{type(fault).__name__}: {fault}\nleft the reader for {written!r}")
    assert refused
