"""Parts of a run that are kept one by one: a finished stage is read back when the run is resumed, not done
again.

A stage NAME has two kinds of files in the work folder: ``stage.NAME.checkpoint-SSSSSSSSSSSS.safetensors``
while a network is trained in it, and ``stage.NAME.safetensors`` once it is finished.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longspan.core.errors import InputError, ModelError
from longspan.store import atomic
from longspan.store.checkpoint import Checkpoint, decode_checkpoint, encode_checkpoint
from longspan.store.flatten import flatten, unflatten
from longspan.store.sealed import decode_sealed, encode_sealed

__all__ = [
    "CheckpointFiles",
    "Keeper",
    "Result",
    "Stage",
    "checkpoint_name",
    "do_stage",
    "reported",
    "stage_of",
]

STAGE_VERSION = 1
Arrays = dict[str, NDArray[Any]]
Result = tuple[dict[str, Any], Arrays]
"""A record of plain values, and arrays by name."""

_NAME = "[a-z0-9]+(?:[_-][a-z0-9]+)*"
_FILE = re.compile(rf"stage\.(?P<name>{_NAME})(?:\.checkpoint-\d{{12}})?\.safetensors")
_KEEP = 2
_NOW = "The stage is done again."


class Keeper(Protocol):
    """Where training keeps its checkpoints: a whole work folder, or one stage of a run."""

    @property
    def path(self) -> Path:
        """The work folder, for messages."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep `checkpoint`, and the one before it."""

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole, or None where there is none yet."""


def checkpoint_name(prefix: str = "") -> re.Pattern[str]:
    """What the names of checkpoints match that begin with a prefix; group 1 is the step."""
    return re.compile(rf"{re.escape(prefix)}checkpoint-(\d{{12}})\.safetensors")


class CheckpointFiles:
    """The checkpoints in a folder whose names begin with a prefix; the two newest are kept.

    Args:
        folder: the work folder.
        prefix: before ``checkpoint-SSSSSSSSSSSS.safetensors``.
        note: is told in words of checkpoints that are damaged.
        must_be_open: raises where the work folder is no longer ours.
    """

    def __init__(
        self, folder: Path, prefix: str, note: Callable[[str], None], must_be_open: Callable[[], None]
    ) -> None:
        self.folder, self.prefix, self._note, self._must_be_open = folder, prefix, note, must_be_open
        self._name = checkpoint_name(prefix)

    def paths(self) -> list[Path]:
        """The files, oldest first."""
        found = [entry for entry in self.folder.iterdir() if self._name.fullmatch(entry.name)]
        return sorted(found, key=self.step_of)

    def step_of(self, path: Path) -> int:
        """The step in the name of a checkpoint.

        Raises:
            InputError: the name is of something else.
        """
        match = self._name.fullmatch(path.name)
        if match is None:
            raise InputError(f"{path}: not the name of a checkpoint")
        return int(match[1])

    def save(self, checkpoint: Checkpoint) -> None:
        """Write `checkpoint`, and remove all but the two newest.

        Raises:
            ModelError: the disk is full or not writable; the checkpoints that were there are as they were.
        """
        self._must_be_open()
        name = f"{self.prefix}checkpoint-{checkpoint.step:012d}.safetensors"
        with reported(self.folder):
            atomic.write_file(self.folder / name, encode_checkpoint(checkpoint))
            for old in self.paths()[:-_KEEP]:
                old.unlink()

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole, or None where there is none; newer ones that are not are
        noted.

        Raises:
            ModelError: there are checkpoints, but none is whole.
        """
        self._must_be_open()
        faults: list[str] = []
        for path in reversed(self.paths()):
            try:
                checkpoint = decode_checkpoint(path.read_bytes(), str(path))
            except ModelError as error:
                faults.append(str(error))
                continue
            for text in faults:
                self._note(f"{text} Going on from step {checkpoint.step:,}")
            return checkpoint
        if faults:
            raise ModelError(
                f"{self.folder}: no checkpoint is whole. {' '.join(faults)} Start anew without --resume"
            )
        return None

    def remove(self) -> None:
        """Delete all of them."""
        for path in self.paths():
            path.unlink()


class Stage:
    """One part of a run, by name; made by `Workspace.stage`.

    Args:
        folder: the work folder.
        name: small letters and digits, with single ``-`` or ``_`` between.
        note: is told in words of files that are damaged.
        must_be_open: raises where the work folder is no longer ours.

    Raises:
        InputError: the name is not such.
    """

    def __init__(
        self, folder: Path, name: str, note: Callable[[str], None], must_be_open: Callable[[], None]
    ) -> None:
        if not re.fullmatch(_NAME, name):
            raise InputError(f"stage: expected a name such as 'seed-1', got {name!r}")
        self.name, self._folder, self._note, self._must_be_open = name, folder, note, must_be_open
        self._checkpoints = CheckpointFiles(folder, f"stage.{name}.", note, must_be_open)

    @property
    def path(self) -> Path:
        """The work folder."""
        return self._folder

    @property
    def file(self) -> Path:
        """What a finished stage is kept in."""
        return self._folder / f"stage.{self.name}.safetensors"

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep `checkpoint` of the training in this stage, and the one before it; see `CheckpointFiles`."""
        self._checkpoints.save(checkpoint)

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint of this stage that is whole, or None; see `CheckpointFiles`."""
        return self._checkpoints.latest()

    def result(self) -> Result | None:
        """Record and arrays of the finished stage, to the last bit; None where it is not finished.

        A file that is damaged is noted and counts as not there: the stage is done again.
        """
        self._must_be_open()
        try:
            data = self.file.read_bytes()
        except FileNotFoundError:
            return None
        try:
            found = _decode(data, str(self.file))
        except ModelError as error:
            self._note(str(error))
            return None
        self._checkpoints.remove()  # killed between the result and their removal
        return found

    def finish(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Keep what the stage came to; its checkpoints are removed.

        Args:
            record: plain values. arrays: by name, of the types that `store.tensors` can keep.

        Raises:
            ModelError: the disk is full or not writable.
        """
        self._must_be_open()
        named: dict[str, Tensor] = {}
        plain = flatten(dict(record), named, "record")
        held = {name: torch.tensor(np.asarray(each)) for name, each in (arrays or {}).items()}
        value = {"version": STAGE_VERSION, "stage": self.name, "record": plain, "arrays": sorted(held)}
        data = encode_sealed(value, named | {f"arrays/{name}": each for name, each in held.items()})
        with reported(self._folder):
            atomic.write_file(self.file, data)
            self._checkpoints.remove()


def _decode(data: bytes, source: str) -> Result:
    value, named = decode_sealed(data, source, kind="stage", now=_NOW)
    if value["version"] != STAGE_VERSION:
        raise ModelError(
            f"{source}: stage version {value['version']}, this longspan reads {STAGE_VERSION}. {_NOW}"
        )
    arrays = {name: named[f"arrays/{name}"].numpy() for name in value["arrays"]}
    return unflatten(value["record"], named, source), arrays


def do_stage(stage: Stage | None, work: Callable[[Stage | None], Result]) -> Result:
    """What a finished stage came to, or else what `work` comes to, kept.

    Args:
        stage: None where nothing is kept on disk.
        work: given the stage, where training in it may keep checkpoints.
    """
    found = None if stage is None else stage.result()
    if found is None:
        found = work(stage)
        if stage is not None:
            stage.finish(*found)
    return found


def stage_of(name: str) -> str | None:
    """The stage that a file of this name belongs to, or None where it belongs to none."""
    match = _FILE.fullmatch(name)
    return None if match is None else match["name"]


@contextlib.contextmanager
def reported(path: Path) -> Iterator[None]:
    """Give an error of the operating system the folder it is about, and say what became of the run."""
    try:
        yield
    except (InputError, ModelError):
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(
            f"{path}: not written ({reason}); checkpoints that were there are as they were. "
            "Make room or give a place that can be written, then --resume"
        ) from error
