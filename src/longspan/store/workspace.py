"""The work folder of a training run, beside the model that it will become.

``NAME.partial/`` holds ``run.json`` (what the run was started with), ``lock``, the two newest checkpoints,
and the stages of a run that has some (`longspan.store.stage`). Every file is written whole or not at all, so
a kill at any instant leaves a run that can be resumed.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from longspan import __version__
from longspan.core.errors import InputError, ModelError
from longspan.store import atomic, lock, strict_json
from longspan.store.checkpoint import Checkpoint
from longspan.store.manifest import current_versions, first_fault
from longspan.store.stage import CheckpointFiles, Stage, checkpoint_name, reported, stage_of

__all__ = ["Run", "Workspace", "workspace_path"]

RUN = "run.json"
LOCK = "lock"
RUN_FORMAT = "longspan run"
RUN_VERSION = 1


def workspace_path(out: str | Path) -> Path:
    """``NAME.partial`` beside the model folder `out`."""
    out = Path(out)
    return out.with_name(f"{out.name}.partial")


@dataclass(frozen=True)
class Run:
    """What a run was started with. A resumed run must be given the same.

    Args:
        settings: every option that the result depends on, as JSON.
        data_sha256: hash of the data.
        seed: the one seed.
        threads: number of threads of the processor that torch uses.
        device: for instance ``"cpu"``.
        versions: of longspan, python, torch …
    """

    settings: dict[str, JsonValue]
    data_sha256: str
    seed: int
    threads: int = 0
    device: str = "cpu"
    versions: dict[str, str] = field(default_factory=lambda: {"longspan": __version__, **current_versions()})

    def differences(self, now: Run) -> list[str]:
        """In words, what makes `now` another run: settings, data, seed."""
        found = [
            f"option {key!r} was {_show(self.settings, key)}, now {_show(now.settings, key)}"
            for key in sorted(self.settings.keys() | now.settings.keys())
            if _show(self.settings, key) != _show(now.settings, key)
        ]
        if self.seed != now.seed:
            found.append(f"the seed was {self.seed}, now {now.seed}")
        if self.data_sha256 != now.data_sha256:
            found.append(
                f"the data are not the same (SHA-256 {self.data_sha256[:12]}…, now {now.data_sha256[:12]}…)"
            )
        return found

    def drift(self, now: Run) -> list[str]:
        """In words, what does not change the run but may change its last bits: versions, threads, device."""
        found = [
            f"{name} was {self.versions.get(name, 'absent')}, now {now.versions.get(name, 'absent')}"
            for name in sorted(self.versions.keys() | now.versions.keys())
            if self.versions.get(name) != now.versions.get(name)
        ]
        if self.threads != now.threads:
            found.append(f"threads were {self.threads}, now {now.threads}")
        if self.device != now.device:
            found.append(f"the device was {self.device}, now {now.device}")
        return found


class _RunFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: str
    format_version: int
    settings: dict[str, JsonValue]
    data_sha256: str
    seed: int
    threads: int
    device: str
    versions: dict[str, str]


class Workspace:
    """The work folder of one run, locked for this process until `close` (or the end of the ``with`` block).

    Made by `create`, `resume` or `share`, not directly.

    Attributes:
        path: the folder.
        run: what the run was started with.
        notes: what the user should know, in words: versions that changed, a checkpoint that was damaged.
    """

    def __init__(self, path: Path, run: Run, handle: int, *, resumed: bool) -> None:
        self.path = path
        self.run = run
        self.notes: tuple[str, ...] = ()
        self._resumed = resumed
        self._lock: int | None = handle
        self._checkpoints = CheckpointFiles(path, "", self._note, self._must_be_open)

    @classmethod
    def create(cls, path: str | Path, run: Run, *, replace: bool = False) -> Workspace:
        """Begin a run.

        Args:
            path: the work folder, see `workspace_path`; its parent must exist.
            run: what the run is started with.
            replace: throw away the checkpoints of a run that was interrupted here.

        Raises:
            InputError: an interrupted run is here (without `replace`), or files that are not ours.
            ModelError: another process works here, or the folder cannot be written.
        """
        path = Path(path)
        with reported(path):
            _check_own(path)
            atomic.sweep(path)
            path.mkdir(exist_ok=True)
        space = cls(path, run, lock.take(path / LOCK), resumed=False)
        try:
            if not replace:
                space._must_be_new()
            with reported(path):
                # Newest first: killed in between, what is left is still the old run.
                for old in [*space._leftovers(), *reversed(space._kept())]:
                    old.unlink()
                record = {"format": RUN_FORMAT, "format_version": RUN_VERSION, **asdict(run)}
                atomic.write_file(path / RUN, strict_json.dump(record))
        except BaseException:
            space.discard()
            raise
        return space

    @classmethod
    def resume(cls, path: str | Path, run: Run) -> Workspace:
        """Go on with a run; `run` is what the caller would start now, and must be what it was started with.

        Raises:
            InputError: there is nothing to resume, or settings, seed or data differ (the message lists what).
            ModelError: another process works here, or ``run.json`` is damaged.
        """
        path = Path(path)
        if not (path / RUN).is_file():
            raise InputError(f"{path}: nothing to resume there. Start without --resume")
        space = cls(path, run, lock.take(path / LOCK), resumed=True)
        try:
            begun = _read_run(path / RUN)
            _must_be_same(begun, run, path)
        except BaseException:
            space.close()
            raise
        with reported(path):
            for old in space._leftovers():
                old.unlink()
        space.run = begun
        space.notes = tuple(
            f"{text}: the run goes on, but its last bits may differ" for text in begun.drift(run)
        )
        return space

    def share(self) -> Self:
        """The same folder once more: it stays locked until both are closed, whoever closes first."""
        return type(self)(self.path, self.run, lock.share(self._held()), resumed=self._resumed)

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep `checkpoint` of the run itself, and the one before it; see `CheckpointFiles`."""
        self._checkpoints.save(checkpoint)

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint of the run itself that is whole, or None; see `CheckpointFiles`."""
        return self._checkpoints.latest()

    def checkpoints(self) -> list[Path]:
        """The checkpoint files of the run itself, oldest first."""
        return self._checkpoints.paths()

    def stage(self, name: str) -> Stage:
        """A part of the run that is kept by itself, finished or not.

        Raises:
            InputError: the name is not one of a stage.
        """
        self._must_be_open()
        return Stage(self.path, name, self._note, self._must_be_open)

    def _note(self, text: str) -> None:
        self.notes += (text,)

    def _kept(self) -> list[Path]:
        """All files that a run may go on from, oldest first; in the order of steps where times are equal."""
        stages = sorted(entry for entry in self.path.iterdir() if stage_of(entry.name) is not None)
        return sorted([*stages, *self.checkpoints()], key=lambda entry: entry.stat().st_mtime_ns)

    def remove(self) -> None:
        """Delete the work folder, then close: the run has become a model."""
        self._must_be_open()
        try:
            with reported(self.path):
                atomic.remove_folder(self.path)
        finally:
            self.close()

    def discard(self) -> None:
        """Close after a failure; the folder goes too where `create` made or took it and it keeps nothing to
        go on from.

        What cannot be removed stays: the failure that led here is what the user must hear of.
        """
        try:
            with contextlib.suppress(OSError):
                if not self._resumed and not self._kept():
                    atomic.remove_folder(self.path)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the lock. The folder stays."""
        if self._lock is not None:
            lock.release(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _must_be_new(self) -> None:
        kept = self._kept()
        if not kept:
            return
        checkpoints, stages = self.checkpoints(), {stage_of(entry.name) for entry in kept} - {None}
        where = f"after step {self._checkpoints.step_of(checkpoints[-1]):,}" if checkpoints else ""
        where = where or f"in stage {len(stages):,}"
        raise InputError(
            f"{self.path}: holds a run interrupted {where}. "
            "Go on with --resume, or throw it away with --force"
        )

    def _leftovers(self) -> list[Path]:
        """Temporary files; we hold the lock, so whoever wrote them is dead."""
        return [entry for entry in self.path.iterdir() if atomic.is_temporary(entry.name)]

    def _must_be_open(self) -> None:
        self._held()

    def _held(self) -> int:
        if self._lock is None:
            raise ModelError(f"{self.path}: this workspace is closed")
        return self._lock


def _must_be_same(begun: Run, now: Run, path: Path) -> None:
    differences = begun.differences(now)
    if differences:
        raise InputError(
            f"{path}: cannot resume, since this would be another run: {'; '.join(differences)}. "
            "Give the same options and data as before, or start anew without --resume"
        )


def _check_own(path: Path) -> None:
    if not path.parent.is_dir():
        raise InputError(
            f"{path}: the folder {path.parent} does not exist. Make it first: mkdir -p {path.parent}"
        )
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise InputError(f"{path}: expected a work folder, or nothing. Move it away")
    if not path.is_dir():
        return
    checkpoint = checkpoint_name()
    for entry in sorted(path.iterdir()):
        ours = entry.name in (RUN, LOCK) or checkpoint.fullmatch(entry.name) or stage_of(entry.name)
        if not ours and not atomic.is_temporary(entry.name):
            raise InputError(f"{path}: holds {entry.name!r}, which no run of longspan wrote. Move it away")


def _read_run(path: Path) -> Run:
    with reported(path):
        value = strict_json.parse(path.read_bytes(), str(path))
    try:
        record = _RunFile.model_validate(value).model_dump()
    except ValidationError as error:
        raise ModelError(f"{path}: {first_fault(error)}. Start anew without --resume") from None
    name, version = record.pop("format"), record.pop("format_version")
    if name != RUN_FORMAT or version != RUN_VERSION:
        raise ModelError(
            f"{path}: expected {RUN_FORMAT!r} version {RUN_VERSION}, got {name!r} version {version}. "
            "Resume with the longspan that began the run, or start anew without --resume"
        )
    return Run(**record)


def _show(settings: dict[str, JsonValue], key: str) -> str:
    return json.dumps(settings[key], sort_keys=True) if key in settings else "absent"
