"""Whole or not at all: at every file operation the process dies, or the disk is full."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from longspan.core.errors import LongspanError
from longspan.store import atomic
from longspan.store.folder import read_folder, write_folder
from longspan.store.manifest import DataRecord, Manifest
from longspan.store.process import Owner

MANIFEST = Manifest.new("forecast", DataRecord(sha256="a" * 64, rows={}))


def _write(path: Path, number: float, *, force: bool = False) -> None:
    write_folder(path, MANIFEST, {"w": torch.full((3,), number)}, {"extra.txt": b"x" * 10}, force=force)


def _read(path: Path) -> float:
    return read_folder(path).tensors["w"][0].item()


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_write_file_at_every_crash_leaves_old_or_new(tmp_path: Path, crashing: Any) -> None:
    path = tmp_path / "file"
    seen = set()
    with crashing(None) as machine:
        atomic.write_file(path, b"new" * 100)
    for last in range(machine.done + 1):
        path.write_bytes(b"old")
        with crashing(last):
            atomic.write_file(path, b"new" * 100)
        seen.add(path.read_bytes())
        atomic.sweep(path)
        assert _names(tmp_path) == ["file"]
    assert seen == {b"old", b"new" * 100}


def test_new_model_at_every_crash_is_there_or_not(tmp_path: Path, crashing: Any) -> None:
    with crashing(None) as machine:
        _write(tmp_path / "count", 1.0)
    assert machine.done > 12  # three files, two folders, the rename
    seen = set()
    for last in range(machine.done + 1):
        room = tmp_path / f"room{last}"
        room.mkdir()
        with crashing(last):
            _write(room / "model", 1.0)
        seen.add((room / "model").exists())
        if not (room / "model").exists():
            _write(room / "model", 1.0)
        assert _read(room / "model") == 1.0
        atomic.sweep(room / "model")
        assert _names(room) == ["model"]
    assert seen == {False, True}


@pytest.mark.parametrize("at_once", [True, False], ids=["exchange", "two renames"])
def test_replaced_model_at_every_crash_is_old_or_new(
    tmp_path: Path, crashing: Any, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    if not at_once:
        monkeypatch.setattr(atomic, "_exchange_at_once", lambda _one, _other: False)
    _write(tmp_path / "count", 1.0)
    with crashing(None) as machine:
        _write(tmp_path / "count", 2.0, force=True)
    seen, gaps = set(), 0
    for last in range(machine.done + 1):
        room = tmp_path / f"room{last}"
        room.mkdir()
        _write(room / "model", 1.0)
        with crashing(last):
            _write(room / "model", 2.0, force=True)
        gaps += not (room / "model").exists()
        atomic.sweep(room / "model")
        seen.add(_read(room / "model"))
        assert _names(room) == ["model"]
        _write(room / "model", 3.0, force=True)
        assert _read(room / "model") == 3.0
    assert seen == {1.0, 2.0}
    # Without the exchange the name is free for an instant; the next write puts the old model back.
    assert gaps == 0 if at_once else gaps >= 1


# What makes a write outlive the loss of power: the content is on the disk before the name, then the name.


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The syncs and renames below ``tmp_path`` in their order; temporary names read ``NEW`` and ``OLD``."""
    found: list[tuple[str, ...]] = []
    paths: dict[int, str] = {}
    real = {name: getattr(os, name) for name in ("open", "fsync", "rename", "replace")}

    def plain(path: Any) -> str:
        parts = Path(path).relative_to(tmp_path).parts
        kinds = {".new": "NEW", ".old": "OLD"}
        return "/".join(kinds.get(Path(each).suffix, each) for each in parts) or "PARENT"

    def opened(path: Any, *args: Any, **kwargs: Any) -> Any:
        handle = real["open"](path, *args, **kwargs)
        paths[handle] = plain(path)
        return handle

    def synced(handle: int) -> None:
        real["fsync"](handle)
        found.append(("sync", paths[handle]))

    def renamed(name: str) -> Any:
        def rename(one: Any, other: Any) -> None:
            real[name](one, other)
            found.append(("rename", plain(one), plain(other)))

        return rename

    def exchanged(one: Path, other: Path, really: Any = atomic._exchange_at_once) -> bool:
        done = really(one, other)
        if done:
            found.append(("exchange", plain(one), plain(other)))
        return bool(done)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "fsync", synced)
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, renamed(name))
    monkeypatch.setattr(atomic, "_exchange_at_once", exchanged)
    return found


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, order: list[tuple[str, ...]]) -> None:
    atomic.write_file(tmp_path / "file", b"x")
    assert order == [("sync", "NEW"), ("rename", "NEW", "file"), ("sync", "PARENT")]


def _new_folder(path: Path, *, replace: bool = False) -> None:
    with atomic.new_folder(path, replace=replace) as folder:
        for name in ("a", "b"):
            atomic.write_new(folder / name, b"x")


FILLED = [("sync", "NEW/a"), ("sync", "NEW/b"), ("sync", "NEW")]


def test_a_folder_and_its_files_are_on_the_disk_before_it_has_its_name(
    tmp_path: Path, order: list[tuple[str, ...]]
) -> None:
    _new_folder(tmp_path / "model")
    assert order == [*FILLED, ("rename", "NEW", "model"), ("sync", "PARENT")]


def test_a_folder_is_on_the_disk_before_it_takes_the_place_of_another(
    tmp_path: Path, order: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _new_folder(tmp_path / "model")
    order.clear()
    _new_folder(tmp_path / "model", replace=True)
    at_once = [*FILLED, ("exchange", "NEW", "model"), ("sync", "PARENT")]
    renames = [("rename", "model", "OLD"), ("rename", "NEW", "model")]
    assert order in (at_once, [*FILLED, *renames, ("sync", "PARENT")])

    monkeypatch.setattr(atomic, "_exchange_at_once", lambda _one, _other: False)
    order.clear()
    _new_folder(tmp_path / "model", replace=True)
    assert order == [*FILLED, *renames, ("sync", "PARENT")]


def test_a_folder_has_lost_its_name_on_the_disk_before_its_files_go(
    tmp_path: Path, order: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _new_folder(tmp_path / "model")
    order.clear()
    monkeypatch.setattr(atomic, "_discard", lambda _path: order.append(("discard",)))
    atomic.remove_folder(tmp_path / "model")
    assert order == [("rename", "model", "NEW"), ("sync", "PARENT"), ("discard",)]


def test_exchange_swaps_two_folders(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    atomic._exchange(tmp_path / "one", tmp_path / "other")
    assert _names(tmp_path / "other") == ["one"]


@pytest.mark.parametrize("operation", ["write", "fsync", "open", "mkdir", "rename"])
def test_full_disk_leaves_the_old_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    _write(tmp_path / "model", 1.0)
    real, failures = getattr(os, operation), 0
    for allowed in range(20):
        with monkeypatch.context() as patch:
            left = [allowed]

            def full(*args: Any, left: list[int] = left, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return real(*args, **kwargs)

            patch.setattr(os, operation, full)
            patch.setattr(atomic, "_exchange_at_once", lambda _one, _other: False)
            try:
                _write(tmp_path / "model", 2.0, force=True)
            except LongspanError as error:
                assert "No space left on device" in str(error)
                failures += 1
            else:
                break
        with monkeypatch.context() as patch:  # what this process could not put back, the next one does
            patch.setattr(Owner, "is_dead", lambda _: True)
            atomic.sweep(tmp_path / "model")
        # The last step makes the rename durable: if that alone fails, the new one is already there, whole.
        assert _read(tmp_path / "model") in (1.0, 2.0)
        assert _names(tmp_path) == ["model"]
    assert failures >= 1
    assert _read(tmp_path / "model") == 2.0
    assert _names(tmp_path) == ["model"]


def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def full(_handle: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert _names(tmp_path) == ["file"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:3]))
    atomic.write_file(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_exception_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic.new_folder(tmp_path / "new") as temporary:
        (temporary / "file").touch()
        _ = 1 / 0
    assert _names(tmp_path) == []


def test_folder_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="appeared"), atomic.new_folder(tmp_path / "new"):
        (tmp_path / "new").mkdir()
    assert _names(tmp_path) == ["new"]


def test_sweep_takes_what_a_dead_process_left_and_nothing_else(tmp_path: Path) -> None:
    code = "from longspan.store.process import Owner; print(Owner.current())"
    dead = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    here = Owner.current()
    elsewhere = Owner("00000000" if here.host != "00000000" else "11111111", 1, 1)
    reused = Owner(here.host, here.pid, here.started + 1)
    names = {
        f".model.{dead}.0.new": True,
        f".model.{reused}.1.new": True,
        f".model.{here}.2.new": False,
        f".model.{elsewhere}.3.new": False,
        f".other.{dead}.4.new": False,
        ".model.backup": False,
        "model.new": False,
    }
    for name in names:
        (tmp_path / name).mkdir()
    atomic.sweep(tmp_path / "model")
    assert {name: not (tmp_path / name).exists() for name in names} == names


def test_owner_reads_back_what_it_writes() -> None:
    owner = Owner.current()
    assert Owner.parse(str(owner)) == owner
    assert not owner.is_dead()
    assert Owner.parse("nonsense") is None
    assert Owner(owner.host, 2**40, 5).is_dead()
