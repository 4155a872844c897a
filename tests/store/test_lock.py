"""The lock of a work folder: of one process, and of a folder that is still there."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from longspan.core.errors import ModelError
from longspan.store import lock

ENDED = "the run there has ended just now. Look at its result first"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the lock is, in a work folder."""
    (tmp_path / "m.partial").mkdir()
    return tmp_path / "m.partial" / "lock"


def test_it_is_free_when_all_who_share_it_have_let_go(place: Path) -> None:
    first = lock.take(place)
    second = lock.share(first)
    for handle in (first, second):
        with pytest.raises(ModelError, match=f"process {os.getpid()} is working there"):
            lock.take(place)
        lock.release(handle)
    lock.release(lock.take(place))


@pytest.mark.parametrize("again", [False, True], ids=["gone", "begun anew"])
def test_a_folder_that_is_removed_between_opening_and_locking_is_not_locked(
    place: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    def removed_first(handle: int, operation: int, real: Any = fcntl.flock) -> None:
        place.parent.rename(place.parent.with_name("removed"))
        if again:
            place.parent.mkdir()
            place.touch()
        real(handle, operation)

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", removed_first)
        with pytest.raises(ModelError, match=ENDED):
            lock.take(place)
    assert not (place.parent.with_name("removed") / "lock").read_bytes()
    if again:
        lock.release(lock.take(place))


def test_a_folder_that_is_gone_is_said_to_have_ended(place: Path) -> None:
    place.parent.rmdir()
    with pytest.raises(ModelError, match=ENDED):
        lock.take(place)
