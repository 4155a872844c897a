"""Public data sets by name: address, licence and SHA-256, from a local mirror, the origin, or a dependency.

A mirror is a folder that holds the files under their registered names: the one that ``LONGSPAN_DATA`` names,
else ``shared/data`` beside or above the working folder. Without one, files come from their origin into the
cache of pooch. Every file is held to its SHA-256, wherever it comes from.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from longspan.core.errors import DataError, InputError
from longspan.data.faults import nearest
from longspan.data.tables import read_table

__all__ = ["DataFile", "DataSet", "catalog", "fetch", "info", "load", "mirror", "names", "path"]


class DataFile(BaseModel):
    """One file of a set, as a mirror stores it.

    Attributes:
        file: name in a mirror. bytes, sha256: of the stored file.
        unpacked_bytes, unpacked_sha256: of its content, where the stored file was packed.
        address: where the origin has it; None when the file was made from others, and ``made`` says how.
        packed: the origin has it unpacked.
        format: what is inside.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    bytes: int
    sha256: str
    unpacked_bytes: int | None = None
    unpacked_sha256: str | None = None
    address: str | None = None
    made: str | None = None
    packed: bool = False
    format: str = ""

    @property
    def original_name(self) -> str:
        """Name as the origin has it: without ``.gz`` where the mirror has packed it."""
        return self.file.removesuffix(".gz") if self.packed else self.file

    @property
    def original_sha256(self) -> str:
        """SHA-256 of the file as the origin has it."""
        return self.unpacked_sha256 if self.packed and self.unpacked_sha256 else self.sha256


class DataSet(BaseModel):
    """One public data set: what it is for, whose it is, and its files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    task: str
    description: str
    licence: str
    origin: str
    tabular: bool
    files: tuple[DataFile, ...]

    @property
    def bytes(self) -> int:
        """Size of all files as stored."""
        return sum(file.bytes for file in self.files)


@cache
def catalog() -> tuple[DataSet, ...]:
    """Every registered set, in the order of tasks."""
    text = package_files("longspan.data").joinpath("registry.json").read_text(encoding="utf-8")
    return tuple(DataSet.model_validate(entry) for entry in json.loads(text)["sets"])


def names(task: str | None = None) -> tuple[str, ...]:
    """Names of the registered sets, or of those for one task."""
    return tuple(entry.name for entry in catalog() if task is None or entry.task == task)


def info(name: str) -> DataSet:
    """What is registered under a name.

    Raises:
        InputError: no such name.
    """
    for entry in catalog():
        if entry.name == name:
            return entry
    raise InputError(
        f"data set: expected one of {', '.join(names())}, got {name!r}.{nearest(name, list(names()))}"
    )


def mirror() -> Path | None:
    """The local mirror, if there is one.

    Raises:
        InputError: ``LONGSPAN_DATA`` names no folder.
    """
    stated = os.environ.get("LONGSPAN_DATA")
    if stated:
        if not Path(stated).is_dir():
            raise InputError(
                f"LONGSPAN_DATA: expected a folder of data sets, got {stated!r}. Correct or unset it."
            )
        return Path(stated)
    here = Path.cwd()
    return next(
        (found for found in (here / "shared" / "data", here.parent / "shared" / "data") if found.is_dir()),
        None,
    )


def path(name: str, file: str | None = None) -> Path:
    """Where one file of a set lies, fetched if it must be.

    Args:
        name: the set. file: the file, or the end of its name, where the set has several.

    Raises:
        InputError: no such set or file, or the set has several files and none was named.
        DataError: the file cannot be had, or is not the registered one.
    """
    entry = info(name)
    chosen = [one for one in entry.files if file is None or one.file == file or one.file.endswith(f"/{file}")]
    if len(chosen) != 1:
        listed = (
            ", ".join(one.file for one in entry.files) or f"none (it comes with {entry.origin}: use load)"
        )
        raise InputError(f"file of {name!r}: expected one of {listed}, got {file!r}")
    return _find(entry, chosen[0])


def fetch(name: str) -> tuple[Path, ...]:
    """All files of a set, fetched if they must be."""
    entry = info(name)
    return tuple(_find(entry, file) for file in entry.files)


def _find(entry: DataSet, file: DataFile) -> Path:
    folder = mirror()
    if folder is not None:
        for candidate, expected in (
            (folder / file.file, file.sha256),
            (folder / file.original_name, file.original_sha256),
        ):
            if candidate.is_file():
                _check(candidate, expected)
                return candidate
    if file.address is None:
        raise DataError(
            f"expected a local mirror for this file, got none: it was made from the origin ({file.made}; "
            f"{entry.origin}) and has no address of its own. Set LONGSPAN_DATA to a folder that holds it.",
            source=file.file,
        )
    return _download(file, file.address)


def _check(found: Path, expected: str) -> None:
    digest = hashlib.sha256()
    with found.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != expected:
        raise DataError(
            f"expected the registered file (SHA-256 {expected[:16]}…), got another (SHA-256 "
            f"{digest.hexdigest()[:16]}…) at {found}. Fetch it again from its origin.",
            source=found.name,
        )


def _download(file: DataFile, address: str) -> Path:
    import pooch

    cache_folder = Path(pooch.os_cache("longspan"))
    kept = cache_folder / file.original_name
    if kept.is_file():
        _check(kept, file.original_sha256)
        return kept
    try:
        return Path(
            pooch.retrieve(
                address,
                known_hash=f"sha256:{file.original_sha256}",
                fname=kept.name,
                path=kept.parent,
                progressbar=False,
            )
        )
    except ValueError as fault:
        raise DataError(
            f"expected the registered file (SHA-256 {file.original_sha256[:16]}…), got another from "
            f"{address}. The origin has changed, or something on the way has altered it.",
            source=file.file,
        ) from fault
    except OSError as fault:
        raise DataError(
            f"expected to fetch {address}, got {fault}. Check the network, or set LONGSPAN_DATA to a local "
            "mirror.",
            source=file.file,
        ) from fault


def load(name: str, file: str | None = None) -> pl.DataFrame:
    """A tabular set as a polars frame; those of statsmodels have the columns ``time`` and a value.

    Args:
        name: the set. file: which of its files, where it has several (``Hourly-train.csv.gz``).

    Raises:
        InputError: no such set, one that is no table, or several files and none was named.
    """
    entry = info(name)
    if not entry.tabular:
        tabular = ", ".join(one.name for one in catalog() if one.tabular)
        raise InputError(
            f"data set: expected a table ({tabular}), got {name!r}. Use path({name!r}) for its files."
        )
    if entry.origin == "statsmodels":
        return _from_statsmodels(name)
    found = path(name, file)
    frame = read_table(found, header=name != "exchange-rate").frame
    return frame.with_columns(_typed(column) for column in frame)


def _typed(column: pl.Series) -> pl.Series:
    """Numbers where every text is one."""
    number = column.cast(pl.Float64, strict=False)
    if number.null_count() != column.null_count():
        return column
    whole = column.cast(pl.Int64, strict=False)
    return whole if whole.null_count() == column.null_count() else number


def _from_statsmodels(name: str) -> pl.DataFrame:
    from statsmodels import datasets

    frame: Any = getattr(datasets, name).load_pandas().data
    if name == "sunspots":
        years = (
            (frame["YEAR"].to_numpy().astype(np.int64) - 1970).astype("datetime64[Y]").astype("datetime64[D]")
        )
        return pl.DataFrame({"time": years, "sunspots": frame["SUNACTIVITY"].to_numpy()})
    if name == "co2":
        return pl.DataFrame(
            {"time": frame.index.to_numpy().astype("datetime64[us]"), "co2": frame["co2"].to_numpy()}
        ).with_columns(pl.col("time").cast(pl.Date), pl.col("co2").fill_nan(None))
    months = frame.to_numpy()[:, 1:]
    first = np.datetime64(int(frame.iloc[0, 0]) - 1970, "Y").astype("datetime64[M]")
    stamps = (first + np.arange(months.size)).astype("datetime64[D]")
    return pl.DataFrame({"time": stamps, "temperature": months.ravel().astype(np.float64)})
