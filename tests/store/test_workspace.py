"""The work folder: one process, two checkpoints, and only the same run goes on."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from longspan.core.errors import InputError, ModelError
from longspan.store import atomic
from longspan.store.checkpoint import Checkpoint
from longspan.store.workspace import Run, Workspace, workspace_path

RUN = Run({"hidden": 64, "target": "units"}, "a" * 64, 7, threads=2)


def _checkpoint(step: int) -> Checkpoint:
    return Checkpoint(step, {"w": torch.full((4,), float(step))}, {}, progress={"step": step})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "model.partial"


def test_it_lies_beside_the_model(tmp_path: Path) -> None:
    assert workspace_path(tmp_path / "model") == tmp_path / "model.partial"


def test_two_newest_checkpoints_are_kept(place: Path) -> None:
    with Workspace.create(place, RUN) as space:
        assert space.latest() is None
        for step in (5, 10, 999, 1000, 123456):
            space.save(_checkpoint(step))
        assert [p.name for p in space.checkpoints()] == [
            "checkpoint-000000001000.safetensors", "checkpoint-000000123456.safetensors",
        ]  # fmt: skip
        assert sorted(p.name for p in place.iterdir())[2:] == ["lock", "run.json"]
    with Workspace.resume(place, RUN) as space:
        assert space.latest().step == 123456
        assert space.run == RUN
        assert space.notes == ()


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (replace(RUN, settings={"hidden": 128, "target": "units"}), "option 'hidden' was 64, now 128."),
        (replace(RUN, settings={"hidden": 64}), "option 'target' was \"units\", now absent."),
        (replace(RUN, settings={**RUN.settings, "x": None}), "option 'x' was absent, now null."),
        (replace(RUN, settings={**RUN.settings, "hidden": "64"}), "option 'hidden' was 64, now \"64\"."),
        (replace(RUN, seed=8), "the seed was 7, now 8."),
        (
            replace(RUN, data_sha256="b" * 64),
            "the data are not the same (SHA-256 aaaaaaaaaaaa…, now bbbbbbbbbbbb…).",
        ),
        (
            replace(RUN, seed=8, settings={"hidden": 1, "target": "units"}),
            "option 'hidden' was 64, now 1; the seed was 7, now 8.",
        ),
    ],
)
def test_another_run_is_not_resumed(place: Path, now: Run, text: str) -> None:
    Workspace.create(place, RUN).close()
    with pytest.raises(InputError) as caught:
        Workspace.resume(place, now)
    assert "cannot resume, since this would be another run: " + text in str(caught.value)
    Workspace.resume(place, RUN).close()


def test_other_versions_and_threads_are_noted(place: Path) -> None:
    Workspace.create(place, RUN).close()
    now = replace(RUN, threads=8, device="cuda", versions={**RUN.versions, "torch": "9.9"})
    with Workspace.resume(place, now) as space:
        assert len(space.notes) == 3
        assert (
            space.notes[0]
            == f"torch was {RUN.versions['torch']}, now 9.9: the run goes on, but its last bits may differ"
        )
        assert space.notes[1].startswith("threads were 2, now 8")
        assert space.notes[2].startswith("the device was cpu, now cuda")


def test_nothing_to_resume(place: Path) -> None:
    with pytest.raises(InputError, match=r"nothing to resume there\. Start without --resume"):
        Workspace.resume(place, RUN)


def test_interrupted_run_is_not_overwritten_unless_told(place: Path) -> None:
    with Workspace.create(place, RUN) as space:
        space.save(_checkpoint(1500))
    with pytest.raises(InputError, match=r"holds a run interrupted after step 1,500\. Go on with"):
        Workspace.create(place, RUN)
    with Workspace.resume(place, RUN) as space:
        assert space.latest().step == 1500
    with Workspace.create(place, replace(RUN, seed=8), replace=True) as space:
        assert space.latest() is None
    Workspace.resume(place, replace(RUN, seed=8)).close()


def test_run_without_checkpoint_is_begun_anew(place: Path) -> None:
    Workspace.create(place, RUN).close()
    with Workspace.create(place, replace(RUN, seed=8)) as space:
        assert space.run.seed == 8


def test_folder_of_someone_else_is_not_used(place: Path) -> None:
    place.mkdir()
    (place / "thesis.tex").write_text("years")
    for replacing in (False, True):
        with pytest.raises(InputError, match=r"holds 'thesis\.tex', which no run of longspan wrote"):
            Workspace.create(place, RUN, replace=replacing)
    assert [p.name for p in place.iterdir()] == ["thesis.tex"]


def test_link_is_not_followed(tmp_path: Path, place: Path) -> None:
    (tmp_path / "else").mkdir()
    place.symlink_to(tmp_path / "else")
    with pytest.raises(InputError, match="expected a work folder, or nothing"):
        Workspace.create(place, RUN)


def test_missing_parent(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mkdir -p"):
        Workspace.create(tmp_path / "no" / "model.partial", RUN)


def test_who_shares_it_keeps_it_locked(place: Path) -> None:
    space = Workspace.create(place, RUN)
    other = space.share()
    space.save(_checkpoint(1))
    space.close()
    with pytest.raises(ModelError, match=f"process {os.getpid()} is working there"):
        Workspace.resume(place, RUN)
    assert other.latest().step == 1
    other.remove()
    assert not place.exists()
    with pytest.raises(ModelError, match="closed"):
        space.share()


@pytest.mark.parametrize("kept", [False, True])
def test_what_is_discarded_stays_where_there_is_something_to_go_on_from(place: Path, kept: bool) -> None:
    space = Workspace.create(place, RUN)
    if kept:
        space.stage("seed-1").finish({"seconds": 1.0})
    space.discard()
    assert place.exists() == kept
    Workspace.create(place, RUN, replace=True).close()  # the lock is free


def test_a_resumed_run_that_is_discarded_stays(place: Path) -> None:
    Workspace.create(place, RUN).close()
    Workspace.resume(place, RUN).share().discard()
    assert (place / "run.json").is_file()


def test_what_cannot_be_discarded_says_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = Workspace.create(place, RUN)

    def refuse(_path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(atomic, "remove_folder", refuse)
    space.discard()
    Workspace.resume(place, RUN).close()


def test_a_run_that_cannot_be_begun_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "write_file", full)
        with pytest.raises(ModelError, match="No space left on device"):
            Workspace.create(place, RUN)
    assert list(place.parent.iterdir()) == []


def test_a_folder_that_goes_while_it_is_looked_at_is_no_raw_error(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Workspace.create(place, RUN).close()
    real = Path.iterdir

    def gone(path: Path) -> Any:
        if path == place:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return real(path)

    monkeypatch.setattr(Path, "iterdir", gone)
    with pytest.raises(ModelError, match="No such file or directory"):
        Workspace.create(place, RUN)


def test_remove_leaves_nothing(tmp_path: Path, place: Path) -> None:
    space = Workspace.create(place, RUN)
    space.save(_checkpoint(1))
    space.remove()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ModelError, match="closed"):
        space.save(_checkpoint(2))


# Damage.


def test_damaged_checkpoint_gives_way_to_the_one_before(place: Path) -> None:
    with Workspace.create(place, RUN) as space:
        space.save(_checkpoint(5))
        space.save(_checkpoint(10))
        newest = space.checkpoints()[-1]
        newest.write_bytes(newest.read_bytes()[:-1])
    with Workspace.resume(place, RUN) as space:
        checkpoint = space.latest()
        assert checkpoint.step == 5
        assert "checkpoint-000000000010.safetensors" in space.notes[0]
        assert space.notes[0].endswith("Going on from step 5")


def test_all_checkpoints_damaged(place: Path) -> None:
    with Workspace.create(place, RUN) as space:
        for step in (5, 10):
            space.save(_checkpoint(step))
        for path in space.checkpoints():
            path.write_bytes(b"")
        with pytest.raises(ModelError, match="no checkpoint is whole"):
            space.latest()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": "other"}, "expected 'longspan run' version 1, got 'other' version 1"),
        ({"format_version": 2}, "version 2"),
        ({"seed": "7"}, "field 'seed'"),
        ({"surprise": 1}, "field 'surprise'"),
    ],
)
def test_run_file_of_another_kind(place: Path, change: dict[str, Any], text: str) -> None:
    Workspace.create(place, RUN).close()
    value = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps({**value, **change}))
    with pytest.raises(ModelError) as caught:
        Workspace.resume(place, RUN)
    assert text in str(caught.value)


def test_full_disk_keeps_the_checkpoints(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Workspace.create(place, RUN) as space:
        space.save(_checkpoint(5))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(ModelError, match=r"No space left on device.*then --resume"):
                space.save(_checkpoint(10))
        assert sorted(p.name for p in place.iterdir()) == [
            "checkpoint-000000000005.safetensors",
            "lock",
            "run.json",
        ]
        assert space.latest().step == 5


# Locks.

HOLD = """
import sys, time
from longspan.store.workspace import Run, Workspace
space = Workspace.resume(sys.argv[1], Run({"hidden": 64, "target": "units"}, "a" * 64, 7, threads=2))
print("locked", flush=True)
time.sleep(60)
"""


def test_second_process_is_refused_until_the_first_is_killed(place: Path) -> None:
    Workspace.create(place, RUN).close()
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(place)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        for begin in (Workspace.create, Workspace.resume):
            with pytest.raises(
                ModelError, match=f"process {process.pid} is working there. Wait for it, or stop it"
            ):
                begin(place, RUN)
    finally:
        process.kill()
        process.communicate()
    Workspace.resume(place, RUN).close()


def test_second_workspace_of_one_process_is_refused(place: Path) -> None:
    with (
        Workspace.create(place, RUN),
        pytest.raises(ModelError, match=f"process {os.getpid()} is working there"),
    ):
        Workspace.resume(place, RUN)
    Workspace.resume(place, RUN).close()


def test_lock_with_the_number_of_a_dead_process_is_taken_over(place: Path) -> None:
    Workspace.create(place, RUN).close()
    (place / "lock").write_text("999999999\n")
    with Workspace.resume(place, RUN):
        assert (place / "lock").read_text() == f"{os.getpid()}\n"


# Death at every file operation.


def _work(place: Path, done: list[int], last: int) -> None:
    with Workspace.create(place, RUN) as space:
        for step in range(1, last + 1):
            space.save(_checkpoint(step))
            done.append(step)


def test_at_every_crash_a_valid_checkpoint_is_left(tmp_path: Path, crashing: Any) -> None:
    with crashing(None) as machine:
        _work(tmp_path / "count.partial", [], 4)
    for last in range(machine.done + 1):
        place, done = tmp_path / f"{last}.partial", []
        with crashing(last):
            _work(place, done, 4)
        if not (place / "run.json").exists():
            Workspace.create(place, RUN).close()
        with Workspace.resume(place, RUN) as space:
            checkpoint = space.latest()
            assert space.notes == ()
            step = 0 if checkpoint is None else checkpoint.step
            assert step >= (done[-1] if done else 0)
            if checkpoint is not None:
                assert checkpoint.weights["w"].tolist() == [float(step)] * 4
            assert not [p for p in place.iterdir() if p.name.startswith(".")]


def test_at_every_crash_of_a_new_beginning_the_oldest_of_the_old_run_are_left(
    tmp_path: Path, crashing: Any
) -> None:
    """What came later rests on what came before it, so the newest must go first."""

    def old_run(place: Path) -> list[str]:
        with Workspace.create(place, RUN) as space:
            space.stage("tune").finish({"seconds": 1.0})
            space.stage("seed-1").save(_checkpoint(3))
            space.stage("audit").finish({"seconds": 1.0})
            space.save(_checkpoint(20))
            space.save(_checkpoint(100))
            names = [
                "stage.tune.safetensors",
                "stage.seed-1.checkpoint-000000000003.safetensors",
                "stage.audit.safetensors",
                *(each.name for each in space.checkpoints()),
            ]
        for second, name in enumerate(names):  # of one time are only the last two
            os.utime(place / name, (1000 + min(second, 3),) * 2)
        return names

    left = set()
    for last in range(12):
        place = tmp_path / f"{last}.partial"
        names = old_run(place)
        with crashing(last):
            Workspace.create(place, replace(RUN, seed=8), replace=True)
        found = {each.name for each in place.glob("*.safetensors")}
        assert found == set(names[: len(found)])
        left.add(len(found))
        if found:
            Workspace.resume(place, RUN).close()
    assert left == {0, 1, 2, 3, 4, 5}


def test_at_every_crash_of_remove_the_run_is_whole_or_gone(tmp_path: Path, crashing: Any) -> None:
    ends = set()
    for last in range(12):
        place = tmp_path / f"{last}.partial"
        space = Workspace.create(place, RUN)
        space.save(_checkpoint(1))
        space.save(_checkpoint(2))
        with crashing(last):
            space.remove()
        space.close()
        ends.add(place.exists())
        if place.exists():
            with Workspace.resume(place, RUN) as again:
                assert again.latest().step == 2
        else:
            Workspace.create(place, RUN).remove()
        assert [p.name for p in tmp_path.iterdir() if p.name.startswith(f".{last}.partial")] == []
    assert ends == {True, False}
