"""``longspan bench`` on the shell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from spoilt_kernels import spoil

from longspan.bench import run as bench_run
from longspan.bench.peak import Peak
from longspan.cli import run

ROW = "inference/2x5x3x8"
WORDS = ["bench", "--rows", ROW, "--seconds", "0.01", "--threads", "1"]


@pytest.fixture(autouse=True)
def _known_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_run, "measure", lambda _seconds: Peak(100.0, 50.0))


def test_a_table_and_then_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(WORDS) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    found = json.loads(lines[-1])
    assert found["rows"][0]["name"] == ROW
    table = "\n".join(lines[:-1])
    assert ROW in table
    assert "torch.nn.LSTM" in table
    assert "100 GFLOP/s, the fastest float32 product of 1024³" in table
    assert f"{ROW}: " in said.err


def test_json_is_that_line_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*WORDS, "--json", "--quiet", "--quick"]) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert json.loads(said.out)["machine"]["threads"] == 1
    assert said.err == ""


def test_a_wrong_kernel_gives_no_figure_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(monkeypatch, lambda y: y + 0.001)
    assert run(WORDS) == 1
    said = capsys.readouterr()
    found = json.loads(said.out.splitlines()[-1])
    assert "us" not in found["rows"][0]
    assert "no figure: longspan: y is off by" in said.out
    assert f"No figure for {ROW}: the results are not what they should be." in said.err
    assert run([*WORDS, "--json"]) == 1
    assert capsys.readouterr().out.count("\n") == 1


def test_an_error_that_is_no_number_is_null_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from longspan.bench import case

    monkeypatch.setattr(case, "relative_error", lambda *_: float("nan"))
    assert run([*WORDS, "--json"]) == 1
    row = json.loads(capsys.readouterr().out)["rows"][0]
    assert row["gate"]["sides"]["longspan"]["error"] is None


def test_compare_sets_an_earlier_result_beside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(WORDS) == 0
    earlier = tmp_path / "earlier.txt"
    earlier.write_text(capsys.readouterr().out)
    assert run([*WORDS, "--compare", str(earlier)]) == 0
    out = capsys.readouterr().out
    assert "× as fast" in out
    assert json.loads(out.splitlines()[-1])["compared"]["rows"][0]["name"] == ROW


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rows", "nothing"], "there is no row 'nothing'"),
        (["--threads", "two"], "--threads expected a whole number, got 'two'"),
        (["--threads", "0"], "--threads expected greater than or equal to 1, got 0"),
        (["--seconds", "0"], "--seconds expected greater than 0, got 0"),
        (["--backend", "magic"], "--backend expected one of native, vendor, reference, got 'magic'"),
        (["--compare", "nowhere.json"], "nowhere.json: expected a result of longspan bench"),
    ],
)
def test_wrong_words_end_with_2_before_any_work(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_run, "interleaved", lambda *_: pytest.fail("timed"))
    assert run([*WORDS, *words] if "--rows" not in words else ["bench", *words]) == 2
    assert said in capsys.readouterr().err


def test_help_loads_no_torch() -> None:
    code = (
        "import sys, longspan.cli\n"
        "code = longspan.cli.run(['bench', '--help'])\n"
        "assert not {'torch', 'polars', 'numpy', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--compare" in done.stdout
