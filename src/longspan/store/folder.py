"""The model folder: ``model.json``, ``weights.safetensors`` and what else the task adds. No pickle, no code.

Written whole or not at all; read only when every listed file is there, of its size and with its hash.
FORMAT.md at the root of the repository describes every byte.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from torch import Tensor

from longspan.core.errors import InputError, ModelError
from longspan.store import atomic, tensors
from longspan.store.manifest import FileRecord, Manifest, check_file_name, dump_manifest, parse_manifest

__all__ = ["MANIFEST", "WEIGHTS", "Contents", "read_folder", "read_manifest", "write_folder"]

MANIFEST = "model.json"
WEIGHTS = "weights.safetensors"
MAX_MANIFEST = 64 * 2**20  # bytes; a configuration with a million series names stays below

_NOW = "Restore it from a copy or make it again."


@dataclass(frozen=True)
class Contents:
    """A model folder that was read and found whole.

    Args:
        path: the folder.
        manifest: what ``model.json`` says.
        tensors: name → tensor on the CPU, from ``weights.safetensors``.
    """

    path: Path
    manifest: Manifest
    tensors: Mapping[str, Tensor]

    def read(self, name: str) -> bytes:
        """The bytes of a further file, checked again as they are read.

        Raises:
            ModelError: the folder has no such file, or it was altered since.
        """
        record = self.manifest.files.get(name)
        if record is None:
            known = ", ".join(sorted(self.manifest.files))
            raise ModelError(f"{self.path}: no file {name!r} in this model, it has {known}")
        return _read_listed(self.path / name, record)


def write_folder(
    path: str | Path,
    manifest: Manifest,
    tensors: Mapping[str, Tensor],
    files: Mapping[str, bytes] | None = None,
    *,
    force: bool = False,
) -> Manifest:
    """Write a model folder at `path`, whole or not at all.

    Args:
        path: the folder to make; its parent must exist.
        manifest: from `Manifest.new`; `files` and `seal` are filled in here.
        tensors: the weights by name.
        files: further files by plain name, such as ``report.html``.
        force: replace a longspan model folder that is there; anything else is never replaced.

    Returns:
        The manifest as it was written.

    Raises:
        InputError: `path` exists, or a name or value that cannot be kept.
        ModelError: the disk is full or not writable; what was at `path` is as it was.
    """
    path = Path(path)
    contents = _file_contents(tensors, files or {})
    records = {
        name: FileRecord(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in sorted(contents.items())
    }
    manifest = manifest.model_copy(update={"files": records})
    head = dump_manifest(manifest)
    manifest = _readable(head, path)
    check_target(path, force=force)
    try:
        with atomic.new_folder(path, replace=force) as temporary:
            for name, data in contents.items():
                atomic.write_new(temporary / name, data)
            atomic.write_new(temporary / MANIFEST, head)
    except FileExistsError as error:
        raise InputError(_taken(path)) from error
    except OSError as error:
        raise ModelError(
            f"{path}: not written ({error.strerror or error}). What is there is whole, as before. "
            "Make room or give a place that can be written"
        ) from error
    return manifest


def read_folder(path: str | Path) -> Contents:
    """Read a model folder, refusing one that is not exactly as it was written.

    Raises:
        ModelError: missing, cut off, altered, from a newer longspan, or made to harm; the message says which.
    """
    path = Path(path)
    manifest = read_manifest(path)
    weights: dict[str, Tensor] = {}
    for name, record in manifest.files.items():
        data = _read_listed(path / name, record)
        if name == WEIGHTS:
            weights, _ = tensors.decode(data, str(path / name))
    if WEIGHTS not in manifest.files:
        raise ModelError(f"{path / MANIFEST}: lists no {WEIGHTS!r}. {_NOW}")
    return Contents(path, manifest, MappingProxyType(weights))


def read_manifest(path: str | Path) -> Manifest:
    """Only ``model.json`` of the folder at `path`; the other files are not looked at.

    Raises:
        ModelError: as `read_folder`.
    """
    path = Path(path)
    if not path.is_dir():
        what = "a file" if path.exists() else "nothing"
        aside = atomic.moved_aside(path)
        cure = (
            "" if aside is None else f". A replacement was cut short; put the former back: mv {aside} {path}"
        )
        raise ModelError(f"{path}: expected a model folder, found {what} there{cure}")
    return parse_manifest(_read_regular(path / MANIFEST, MAX_MANIFEST), str(path / MANIFEST))


def check_target(path: str | Path, *, force: bool = False) -> None:
    """Refuse early, before hours of work, a place where `write_folder` would refuse.

    Raises:
        InputError: `path` is taken, is no longspan model, holds files of someone else, or has no parent.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(
            f"{path}: the folder {path.parent} does not exist. Make it first: mkdir -p {path.parent}"
        )
    atomic.sweep(path)
    if not os.path.lexists(path):
        return
    if not force:
        raise InputError(_taken(path))
    if path.is_symlink():
        raise InputError(
            f"{path}: a symbolic link is never replaced. Remove it, or give the folder that it points to"
        )
    if not path.is_dir():
        raise InputError(
            f"{path}: a file, not a longspan model, so --force does not replace it. Give another path"
        )
    try:
        manifest = read_manifest(path)
    except ModelError as error:
        raise InputError(
            f"{path}: not a longspan model that can be told, so --force does not replace it ({error}). "
            "Give another path, or remove it yourself"
        ) from error
    foreign = sorted(entry.name for entry in path.iterdir() if entry.name not in {MANIFEST, *manifest.files})
    if foreign:
        raise InputError(
            f"{path}: holds {foreign[0]!r}, which the model does not list. Move it away, then --force again"
        )


def _taken(path: Path) -> str:
    return f"{path}: already exists. Give another path, or --force to replace a longspan model that is there"


def _readable(head: bytes, path: Path) -> Manifest:
    """What `read_manifest` will make of these bytes; better refused now than when the model is needed."""
    if len(head) > MAX_MANIFEST:
        raise InputError(
            f"manifest: {len(head):,} bytes, at most {MAX_MANIFEST:,} can be read. Keep less in config"
        )
    try:
        return parse_manifest(head, str(path / MANIFEST))
    except ModelError as error:
        raise InputError(f"manifest: would not be readable: {error}") from error


def _file_contents(weights: Mapping[str, Tensor], files: Mapping[str, bytes]) -> dict[str, bytes]:
    folded = {WEIGHTS}
    for name in files:
        try:
            check_file_name(name, "files")
        except ModelError as error:
            raise InputError(str(error)) from None
        if name.lower() in folded:
            raise InputError(
                f"files: {name!r} is there twice (names differ in more than case, {WEIGHTS!r} is taken)"
            )
        folded.add(name.lower())
    return {WEIGHTS: tensors.encode(weights), **files}


def _read_listed(path: Path, record: FileRecord) -> bytes:
    data = _read_regular(path, record.size)
    if len(data) != record.size:
        raise ModelError(f"{path}: expected {record.size:,} bytes, got {len(data):,}: cut off. {_NOW}")
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise ModelError(f"{path}: its SHA-256 is not the one in {MANIFEST}: altered. {_NOW}")
    return data


def _read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a plain file of at most `limit` bytes; links are not followed, pipes not waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ModelError(f"{path}: missing, so the model is not whole. {_NOW}") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ModelError(
                f"{path}: a symbolic link; a model folder holds plain files only. {_NOW}"
            ) from None
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path}: expected a plain file. {_NOW}")
        if status.st_size > limit:
            raise ModelError(f"{path}: {status.st_size:,} bytes, expected at most {limit:,}: altered. {_NOW}")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(limit + 1)
    finally:
        os.close(handle)
