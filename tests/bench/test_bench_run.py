"""The record of a bench: its structure, what is refused and what is skipped, and two of them compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from spoilt_kernels import spoil

from longspan.bench import run, streaming
from longspan.bench.case import UnavailableError
from longspan.bench.compare import compare, read
from longspan.bench.peak import Peak, machine, measure
from longspan.bench.run import bench
from longspan.bench.settings import BenchSettings
from longspan.bench.table import compared, table, then_and_now, unfit
from longspan.core.errors import DataError, InputError
from longspan.kernels import dispatch

PLAIN, TRAINED, RAGGED = "inference/2x5x3x8", "training/2x5x3x8", "ragged/inference/2x5x3x8"


def settings(*rows: str, **more: Any) -> BenchSettings:
    return BenchSettings.read({"rows": rows, "seconds": 0.01, **more}, verb="bench")


@pytest.fixture
def known_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 100 GFLOP/s that is faster afterwards."""
    peaks = iter([Peak(100.0, 60.0), Peak(125.0, 70.0)])
    monkeypatch.setattr(run, "measure", lambda _seconds: next(peaks))


def quiet(_line: str) -> None:
    """Nobody watches."""


def test_a_row_holds_its_figures(known_peak: None) -> None:
    said: list[str] = []
    found = bench(settings(PLAIN, TRAINED, threads=1), said.append)
    assert found["machine"]["threads"] == 1
    assert found["peak"] == {"gflops": 125.0, "product": [60.0, 70.0]}
    assert [row["name"] for row in found["rows"]] == [PLAIN, TRAINED]
    for row, times in zip(found["rows"], (1, 3), strict=True):
        assert row["gate"]["green"]
        assert set(row["gate"]["sides"]) == {"longspan", "torch.nn.LSTM"}
        assert row["backend"] in {backend.name for backend in dispatch.BACKENDS}
        assert row["gflops"] == pytest.approx(times * 8 * 2 * 5 * 8 * (3 + 8) / row["us"] / 1e3)
        assert row["of_peak"] == pytest.approx(row["gflops"] / 125.0)
        (peer,) = row["peers"]
        median, low, high = peer["ratio"]
        assert low <= median <= high
        assert row["pairs"] >= 9
    assert any(line.startswith(f"{PLAIN}: ") and " µs; torch.nn.LSTM " in line for line in said)
    json.dumps(found, allow_nan=False)


def test_costs_are_our_time_over_the_peers(known_peak: None, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [[4.0] * 11, [6.0] * 11, [8.0] * 11]
    monkeypatch.setattr(run, "interleaved", lambda _runs, _pairs, _seconds: times)
    (row,) = bench(settings(RAGGED), quiet)["rows"]
    packed, full = row["peers"]
    assert (packed["meaning"], packed["ratio"]) == ("speed", [1.5, 1.5, 1.5])
    assert (full["meaning"], full["ratio"]) == ("cost", [0.5, 0.5, 0.5])
    assert 0 < row["share"] < 1
    lines = table({"rows": [row]})
    assert [line["beside"].split(" [")[0] for line in lines] == ["pack_padded_sequence", "full batch"]
    assert lines[1]["result"].startswith("0.50 × its time (0.50 to 0.50), ")


@pytest.mark.parametrize("change", [lambda y: 1.001 * y, lambda y: y * torch.nan])
def test_a_row_whose_gate_is_red_gives_no_figure(
    known_peak: None, monkeypatch: pytest.MonkeyPatch, change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    spoil(monkeypatch, change)
    monkeypatch.setattr(run, "interleaved", lambda *_: pytest.fail("timed although it is wrong"))
    found = bench(settings(PLAIN), quiet)
    (row,) = found["rows"]
    assert "longspan: y is off by" in row["refused"]
    assert not row["gate"]["green"]
    assert {"us", "gflops", "peers", "of_peak"}.isdisjoint(row)
    assert unfit(found) == [PLAIN]
    (line,) = table(found)
    assert line["result"].startswith("no figure: longspan: y is off by")
    assert line["µs"] == ""


def test_what_there_is_not_is_skipped_with_its_reason(
    known_peak: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object) -> None:
        raise UnavailableError("there is no engine")

    monkeypatch.setattr(streaming, "_stepper", absent)
    found = bench(settings("streaming/bound/1x1x3x8", PLAIN), quiet)
    assert found["rows"][0]["skipped"] == "there is no engine"
    assert "us" in found["rows"][1]
    assert unfit(found) == []
    assert table(found)[0]["result"] == "skipped: there is no engine"


def test_a_kernel_that_cannot_run_a_row_skips_it(known_peak: None) -> None:
    found = bench(settings("record/2x5x3x8", PLAIN, backend="vendor"), quiet)
    assert "torch's fused stack returns no gates" in found["rows"][0]["skipped"]
    assert found["rows"][1]["backend"] == "vendor"
    assert found["backend"] == "vendor"


def test_a_kernel_that_fails_is_refused_and_not_skipped(
    known_peak: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_y: torch.Tensor) -> torch.Tensor:
        raise InputError("a shape that it should take")

    spoil(monkeypatch, fails)
    found = bench(settings(PLAIN), quiet)
    assert found["rows"][0]["refused"] == "a shape that it should take"
    assert unfit(found) == [PLAIN]


def test_an_unknown_kernel_is_refused_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "measure", lambda *_: pytest.fail("measured"))
    with pytest.raises(InputError, match=r"^backend= expected one of native, .*got 'cudnn'\."):
        bench(settings(PLAIN, backend="cudnn"), quiet)


@pytest.mark.parametrize("fails", [False, True])
def test_threads_and_kernel_are_put_back(
    fails: bool, known_peak: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(_case: object) -> None:
        assert torch.get_num_threads() == before + 1
        raise KeyboardInterrupt

    before = torch.get_num_threads()
    if fails:
        monkeypatch.setattr(run, "check", check)
        with pytest.raises(KeyboardInterrupt):
            bench(settings(PLAIN, threads=before + 1, backend="reference"), quiet)
    else:
        bench(settings(PLAIN, threads=before + 1, backend="reference"), quiet)
    assert torch.get_num_threads() == before
    assert dispatch._forced.get() is None


def test_the_peak_is_no_slower_than_the_median() -> None:
    found = measure(0.0, size=64)
    assert found.best >= found.product > 0


def test_the_machine_is_named() -> None:
    found = machine(3)
    assert found["threads"] == 3
    assert found["processor"]
    assert found["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"seconds": 0}, "seconds= expected greater than 0, got 0"),
        ({"threads": 0}, "threads= expected greater than or equal to 1, got 0"),
        ({"row": ("a",)}, "bench has no option row=. Did you mean rows=?"),
    ],
)
def test_wrong_settings(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        BenchSettings.read(given, verb="bench")
    assert str(caught.value) == said


def record(us: float, ratio: float, *, threads: int = 2, peak: float = 100.0) -> dict[str, Any]:
    peers = [{"name": "torch.nn.LSTM", "ratio": [ratio, ratio, ratio]}]
    return {
        "bench": "longspan",
        "format": 1,
        "date": "2026-01-01",
        "machine": {"processor": "P", "threads": threads},
        "peak": {"gflops": peak},
        "rows": [{"name": "a", "us": us, "peers": peers}, {"name": "b", "us": 1.0, "peers": []}],
    }


def test_two_results_compared() -> None:
    then, now = record(30.0, 1.5), record(20.0, 2.0)
    now["rows"][1] = {"name": "b", "refused": "wrong"}
    found = compare(then, now)
    assert found["rows"] == [
        {
            "name": "a",
            "us_then": 30.0,
            "us_now": 20.0,
            "faster": 1.5,
            "ratios": {"torch.nn.LSTM": {"then": 1.5, "now": 2.0}},
        }
    ]
    assert found["missing"] == ["b"]
    assert found["notes"] == []
    assert then_and_now(found)[0]["now"] == "1.50 × as fast"
    assert compared(found) == {"earlier result": "2026-01-01", "no longer measured": "b"}


def test_a_row_that_was_not_asked_for_is_not_missing() -> None:
    now = record(1.0, 1.0)
    del now["rows"][1]
    assert compare(record(1.0, 1.0), now)["missing"] == []


def test_other_threads_and_another_speed_are_noted() -> None:
    notes = compare(record(1.0, 1.0), record(1.0, 1.0, threads=1, peak=50.0))["notes"]
    assert notes == [
        "threads: 2 then, 1 now; compare the ratios and not the times",
        "the machine's own product runs at 0.50 times its earlier speed",
    ]


def test_an_earlier_result_is_read_from_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "earlier.txt"
    path.write_text(f"a table\n{json.dumps(record(1.0, 2.0))}\n")
    assert read(path) == record(1.0, 2.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("", "expected its last line to be the JSON that longspan bench ends with"),
        ("{}", "longspan bench --json > FILE"),
        ('{"bench": "longspan"', "got something else"),
        ("[1]", "got something else"),
        ('{"bench": "longspan", "format": 9}', "expected format 1 of the result, got 9"),
    ],
)
def test_what_is_no_earlier_result(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "earlier.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError) as caught:
        read(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))
