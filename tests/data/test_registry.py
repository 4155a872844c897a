"""The registry names its files, holds them to their hashes, and says where they come from."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import polars as pl
import pytest

from longspan.core.errors import DataError, InputError
from longspan.data import registry
from longspan.data.registry import DataFile, DataSet


def test_every_entry_is_whole() -> None:
    entries = registry.catalog()
    assert len({entry.name for entry in entries}) == len(entries) >= 26
    files = [file for entry in entries for file in entry.files]
    assert len({file.file for file in files}) == len(files) >= 54
    for entry in entries:
        assert entry.description
        assert entry.licence
        assert entry.files or entry.origin == "statsmodels"
    for file in files:
        assert len(file.sha256) == 64
        assert (file.address is None) == (file.made is not None), file.file
        assert file.address is None or file.address.startswith("https://raw.githubusercontent.com/")
        assert not file.packed or file.unpacked_sha256 is not None


def test_an_unknown_name_lists_the_names_and_the_nearest() -> None:
    message = r"data set: expected one of sine, .*got 'sinus'. Did you mean 'sine'\?"
    with pytest.raises(InputError, match=message):
        registry.info("sinus")


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("sunspots", 309, ["time", "sunspots"]),
        ("co2", 2284, ["time", "co2"]),
        ("elnino", 732, ["time", "temperature"]),
    ],
)
def test_the_sets_of_statsmodels(name: str, rows: int, columns: list[str]) -> None:
    frame = registry.load(name)
    assert frame.columns == columns
    assert frame.height == rows
    assert frame["time"].dtype == pl.Date
    assert frame["time"].is_sorted()


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A registry of three small files and an empty mirror."""
    content = b"a,b\n1,2\n"
    packed = gzip.compress(content, mtime=0)
    plain, whole = hashlib.sha256(content).hexdigest(), hashlib.sha256(packed).hexdigest()
    files = (
        DataFile(file="x/a.csv", bytes=8, sha256=plain, address="https://nowhere.invalid/a.csv"),
        DataFile(
            file="x/b.csv.gz",
            bytes=len(packed),
            sha256=whole,
            unpacked_sha256=plain,
            packed=True,
            address="https://nowhere.invalid/b.csv",
        ),
        DataFile(file="x/c.csv", bytes=8, sha256=plain, made="derived: every second row"),
    )
    entry = DataSet(
        name="little", task="forecast", description="d", licence="l", origin="o", tabular=True, files=files
    )
    monkeypatch.setattr(registry, "catalog", lambda: (entry,))
    monkeypatch.setenv("LONGSPAN_DATA", str(tmp_path))
    (tmp_path / "x").mkdir()
    return tmp_path / "x"


def test_a_mirror_may_hold_a_file_packed_or_not(little: Path) -> None:
    (little / "a.csv").write_bytes(b"a,b\n1,2\n")
    (little / "b.csv").write_bytes(b"a,b\n1,2\n")
    assert registry.path("little", "a.csv") == little / "a.csv"
    assert registry.path("little", "b.csv.gz") == little / "b.csv"
    assert registry.load("little", "a.csv").rows() == [(1, 2)]


def test_an_altered_file_is_refused(little: Path) -> None:
    (little / "a.csv").write_bytes(b"a,b\n1,3\n")
    with pytest.raises(DataError, match=r"a.csv: expected the registered file \(SHA-256 .*got another"):
        registry.path("little", "a.csv")


def test_a_derived_file_says_that_it_has_no_address(little: Path) -> None:
    message = "it was made from the origin .derived: every second row.*LONGSPAN_DATA"
    with pytest.raises(DataError, match=message):
        registry.path("little", "c.csv")


def test_a_set_of_several_files_asks_which(little: Path) -> None:
    message = "file of 'little': expected one of x/a.csv, x/b.csv.gz, x/c.csv, got None"
    with pytest.raises(InputError, match=message):
        registry.path("little")


def test_a_download_is_held_to_its_hash_and_kept(
    little: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import pooch

    cache = tmp_path / "cache"
    origin = tmp_path / "origin.csv"
    monkeypatch.setattr(pooch, "os_cache", lambda _name: cache)
    fetch = pooch.retrieve

    def retrieve(url: str, **options: object) -> str:
        assert url == "https://nowhere.invalid/b.csv"

        def copy(_url: str, target: str, _pooch: object) -> None:
            Path(target).write_bytes(origin.read_bytes())

        return str(fetch(url, downloader=copy, **options))

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    origin.write_bytes(b"something else")
    with pytest.raises(DataError, match=r"got another from https://nowhere\.invalid/b\.csv"):
        registry.path("little", "b.csv.gz")
    origin.write_bytes(b"a,b\n1,2\n")
    kept = registry.path("little", "b.csv.gz")
    assert kept == cache / "x" / "b.csv"
    monkeypatch.setattr(pooch, "retrieve", None)
    assert registry.path("little", "b.csv.gz") == kept
    kept.write_bytes(b"altered")
    with pytest.raises(DataError, match="got another"):
        registry.path("little", "b.csv.gz")


def test_no_network_is_said_in_words(little: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import pooch

    def offline(*_arguments: object, **_options: object) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "os_cache", lambda _name: tmp_path / "cache")
    monkeypatch.setattr(pooch, "retrieve", offline)
    message = "expected to fetch https://nowhere.invalid/a.csv, got no route to host"
    with pytest.raises(DataError, match=message):
        registry.path("little", "a.csv")


def test_a_mirror_that_is_no_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSPAN_DATA", "/no/such/folder")
    message = "LONGSPAN_DATA: expected a folder of data sets, got '/no/such/folder'"
    with pytest.raises(InputError, match=message):
        registry.mirror()


def test_load_refuses_what_is_no_table() -> None:
    with pytest.raises(InputError, match=r"data set: expected a table .*got 'fsdd'. Use path"):
        registry.load("fsdd")
