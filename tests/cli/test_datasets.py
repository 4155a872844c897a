"""``longspan datasets``: list, info, fetch and path."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from longspan.cli import run


def test_the_list_is_what_the_registry_has(capsys: pytest.CaptureFixture[str]) -> None:
    from longspan.data import registry

    assert run(["datasets", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["datasets"]
    assert [each["name"] for each in found] == list(registry.names())
    assert run(["datasets"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in registry.names())


def test_info_tells_licence_and_origin(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["datasets", "info", "sine", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["licence"]
    assert found["files"][0]["sha256"]
    assert run(["datasets", "info", "sine"]) == 0
    assert found["origin"] in capsys.readouterr().out


def test_a_set_of_a_dependency_is_written_as_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sunspots.csv"
    assert run(["datasets", "fetch", "sunspots", "--out", str(out)]) == 0
    assert pl.read_csv(out).columns == ["time", "sunspots"]
    assert capsys.readouterr().out == f"{out}\n"
    assert run(["datasets", "fetch", "sunspots", "--out", str(out)]) == 2
    assert "exists. Pass --force" in capsys.readouterr().err
    assert run(["datasets", "fetch", "sunspots"]) == 0
    assert "Pass --out FILE.csv" in capsys.readouterr().err


def test_an_unknown_set_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["datasets", "path", "sunspot", "--json"]) == 2
    assert "sunspots" in json.loads(capsys.readouterr().out)["error"]["message"]


@pytest.mark.data
def test_path_and_fetch_find_the_mirror(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LONGSPAN_DATA", str(shared_data))
    assert run(["datasets", "path", "sine"]) == 0
    assert capsys.readouterr().out == f"{shared_data / 'timeseries' / 'sinewave.csv'}\n"
    assert run(["datasets", "fetch", "sine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["paths"] == [str(shared_data / "timeseries" / "sinewave.csv")]
