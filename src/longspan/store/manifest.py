"""``model.json``: what a model folder says about itself. Light: neither torch nor polars is loaded.

FORMAT.md at the root of the repository describes every field and what is promised about it.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from longspan import __version__
from longspan.core.errors import InputError, ModelError
from longspan.store import strict_json
from longspan.store.strict_json import brief

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "DataRecord",
    "FileRecord",
    "Manifest",
    "dump_manifest",
    "first_fault",
    "parse_manifest",
]

FORMAT = "longspan model"
FORMAT_VERSION = 1

#: A flat folder of plain names: no separators, nothing hidden, nothing that climbs out.
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
MAX_FILE_NAME = 128

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_NO_SEAL = "0" * 64
_NOW = "Restore it from a copy or make it again."


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FileRecord(_Record):
    """Size in bytes and SHA-256 of one file of the folder."""

    size: int = Field(ge=0)
    sha256: Sha256


class DataRecord(_Record):
    """The data that the model was fitted on.

    Args:
        sha256: hash of the data, as the task computes it.
        rows: counts by name, for instance ``{"read": 1000, "train": 800, "validation": 200}``.
        source: file name as the user gave it, or None for a frame in memory.
    """

    sha256: Sha256
    rows: dict[str, Annotated[int, Field(ge=0)]]
    source: str | None = None


class Manifest(_Record):
    """The content of ``model.json``.

    Args:
        format: always ``"longspan model"``.
        format_version: raised when a reader of the version before would go wrong.
        longspan: version of longspan that wrote the folder.
        task: name of the task, for instance ``"forecast"``.
        created: UTC, ISO 8601, to the second, ending in ``Z``.
        command: the command line, argument by argument, or empty from Python.
        data: what the model was fitted on.
        config: the task's own configuration; its keys belong to the task.
        metrics: the task's own results.
        versions: of python, torch, polars …
        files: every other file of the folder.
        seal: SHA-256 of ``model.json`` with these 64 digits written as zeros.
    """

    format: Literal["longspan model"] = "longspan model"
    format_version: int = Field(default=FORMAT_VERSION, ge=1)
    longspan: str = __version__
    task: str = Field(min_length=1)
    created: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    command: tuple[str, ...] = Field(default=(), strict=False)
    data: DataRecord
    config: dict[str, JsonValue] = {}
    metrics: dict[str, JsonValue] = {}
    versions: dict[str, str] = {}
    files: dict[str, FileRecord] = {}
    seal: Sha256 = _NO_SEAL

    @classmethod
    def new(
        cls,
        task: str,
        data: DataRecord,
        *,
        config: dict[str, Any] | None = None,
        metrics: dict[str, Any] | None = None,
        command: Sequence[str] = (),
    ) -> Manifest:
        """A manifest of now, by this longspan; `files` and `seal` are filled in by `write_folder`."""
        return cls(
            task=task,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            command=tuple(command),
            data=data,
            config=config or {},
            metrics=metrics or {},
            versions=current_versions(),
        )


def current_versions() -> dict[str, str]:
    """Versions of python, torch and polars, read without importing them."""
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("torch", "polars")},
    }


def dump_manifest(manifest: Manifest) -> bytes:
    """The bytes of ``model.json``, sealed.

    Raises:
        InputError: a value that JSON cannot hold, such as NaN (use None).
    """
    blank = manifest.model_copy(update={"seal": _NO_SEAL})
    try:
        data = strict_json.dump(blank.model_dump(mode="json"))
    except ValueError as error:
        raise InputError(f"manifest: {error}. Give None where a number is not finite") from error
    # `seal` is the last field, so the last run of zeros is its own.
    head, _, tail = data.rpartition(_NO_SEAL.encode())
    return head + hashlib.sha256(data).hexdigest().encode() + tail


def parse_manifest(data: bytes, source: str) -> Manifest:
    """The manifest in the bytes of a ``model.json``; `source` is named in the errors.

    Raises:
        ModelError: not JSON, not a longspan model, a newer format, altered, or a field that is wrong.
    """
    value = strict_json.parse(data, source)
    _check_version(value, source)
    try:
        manifest = Manifest.model_validate(value)
    except ValidationError as error:
        raise ModelError(f"{source}: {first_fault(error)}. {_NOW}") from None
    for name in manifest.files:
        check_file_name(name, source)
    head, _, tail = data.rpartition(manifest.seal.encode())
    if hashlib.sha256(head + _NO_SEAL.encode() + tail).hexdigest() != manifest.seal:
        raise ModelError(f"{source}: its content does not fit its seal: altered. {_NOW}")
    return manifest


def check_file_name(name: str, source: str) -> None:
    """Refuse what is not a plain name within the folder.

    Raises:
        ModelError: a path, a hidden name, ``model.json`` itself, or a name that is too long.
    """
    if not FILE_NAME.fullmatch(name) or len(name) > MAX_FILE_NAME:
        raise ModelError(f"{source}: expected the plain name of a file in the folder, got {name!r}")
    if name.lower() == "model.json":
        raise ModelError(f"{source}: 'model.json' cannot list itself, got {name!r}")


def _check_version(value: Any, source: str) -> None:
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        got = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise ModelError(f"{source}: expected format {FORMAT!r}, got {brief(got)}: not a longspan model")
    version, writer = value.get("format_version"), value.get("longspan")
    if type(version) is not int or version < 1:
        raise ModelError(
            f"{source}: expected format_version as a number from 1, got {brief(version)}. {_NOW}"
        )
    if version > FORMAT_VERSION:
        known = _is_release(writer)
        need = f"pip install 'longspan>={writer}'" if known else "install a newer longspan"
        by = writer if known else brief(writer)
        raise ModelError(
            f"{source}: written by longspan {by} in format {version}; this is longspan {__version__}, "
            f"which reads formats up to {FORMAT_VERSION}. To read it: {need}"
        )


def _is_release(text: Any) -> bool:
    # The text goes to the terminal, and into a command line that the user may paste into a shell.
    return isinstance(text, str) and re.fullmatch(r"\d[0-9A-Za-z.+]{0,40}", text) is not None


def first_fault(error: ValidationError) -> str:
    """The first of pydantic's problems: which field, what was expected, what was got."""
    fault = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"field {where!r}: {fault['msg']}, got {brief(fault['input'])}"
