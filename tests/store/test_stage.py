"""Stages: finished once, read back to the last bit, done again only where they are not whole."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from longspan.core.errors import InputError, ModelError
from longspan.store.checkpoint import Checkpoint
from longspan.store.flatten import same
from longspan.store.stage import Stage, do_stage, stage_of
from longspan.store.workspace import Run, Workspace

RUN = Run({"hidden": 64}, "a" * 64, 7, threads=2)


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(step, {"w": torch.full((4,), float(step))}, {}, progress={"step": step})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "model.partial"


def fine() -> None:
    """The work folder is ours."""


def names(place: Path) -> list[str]:
    return sorted(each.name for each in place.iterdir() if each.name.startswith("stage"))


RECORDS = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=5),
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats()
    | st.lists(st.floats(), max_size=3),
    max_size=4,
)  # fmt: skip
ARRAYS = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=5),
    hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.bool_]),
        hnp.array_shapes(min_side=0, max_dims=3),
    ),
    max_size=3,
)  # fmt: skip


@given(RECORDS, ARRAYS)
@settings(max_examples=30, deadline=None)
def test_a_result_comes_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, record: dict[str, Any], arrays: dict[str, Any]
) -> None:
    stage = Stage(tmp_path_factory.mktemp("stage"), "seed-1", pytest.fail, fine)
    assert stage.result() is None
    stage.finish(record, arrays)
    found, back = stage.result()
    assert same(found, record)
    assert back.keys() == arrays.keys()
    for name, each in arrays.items():
        assert back[name].dtype == each.dtype
        assert back[name].shape == each.shape
        assert back[name].tobytes() == np.ascontiguousarray(each).tobytes()


def test_checkpoints_of_stages_do_not_see_each_other(place: Path) -> None:
    with Workspace.create(place, RUN) as space:
        one, two = space.stage("seed-1"), space.stage("seed-10")
        for step in (1, 2, 3):
            one.save(checkpoint(step))
        two.save(checkpoint(9))
        space.save(checkpoint(5))
        assert (one.latest().step, two.latest().step, space.latest().step) == (3, 9, 5)
        assert names(place) == [
            "stage.seed-1.checkpoint-000000000002.safetensors",
            "stage.seed-1.checkpoint-000000000003.safetensors",
            "stage.seed-10.checkpoint-000000000009.safetensors",
        ]
        one.finish({"loss": 1.5})
        assert names(place) == [
            "stage.seed-1.safetensors",
            "stage.seed-10.checkpoint-000000000009.safetensors",
        ]
        assert [each.name for each in space.checkpoints()] == ["checkpoint-000000000005.safetensors"]


def test_a_finished_stage_is_not_done_again(place: Path) -> None:
    done: list[str] = []

    def work(name: str) -> Any:
        return lambda _: (done.append(name), ({"name": name}, {"x": np.arange(3.0)}))[1]

    with Workspace.create(place, RUN) as space:
        first = do_stage(space.stage("one"), work("one"))
    with Workspace.resume(place, RUN) as space:
        again = do_stage(space.stage("one"), work("one"))
        do_stage(space.stage("two"), work("two"))
    assert do_stage(None, work("three"))[0] == {"name": "three"}
    assert done == ["one", "two", "three"]
    assert again[0] == first[0]
    assert np.array_equal(again[1]["x"], first[1]["x"])


@pytest.mark.parametrize("damage", ["cut off", "flipped", "empty", "of another version"])
def test_a_damaged_result_is_noted_and_done_again(
    place: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Workspace.create(place, RUN) as space:
        with monkeypatch.context() as patch:
            if damage == "of another version":
                patch.setattr("longspan.store.stage.STAGE_VERSION", 2)
            space.stage("one").finish({"a": 1}, {"x": np.zeros(8)})
        data = bytearray(space.stage("one").file.read_bytes())
        if damage == "flipped":
            data[-1] ^= 1
        kept = {"cut off": data[:-3], "empty": b""}.get(damage, bytes(data))
        space.stage("one").file.write_bytes(kept)
        assert space.stage("one").result() is None
        assert len(space.notes) == 1
        assert "stage.one.safetensors" in space.notes[0]
        assert "The stage is done again" in space.notes[0] or damage in ("cut off", "empty")
        found = do_stage(space.stage("one"), lambda _: ({"a": 2}, {}))
        assert found == ({"a": 2}, {})
        assert space.stage("one").result() == ({"a": 2}, {})


@pytest.mark.parametrize("name", ["", "Seed", "a.b", "a--b", "../a", "a/b", "-a", "a b"])
def test_a_name_that_is_no_file_name_is_refused(place: Path, name: str) -> None:
    with (
        Workspace.create(place, RUN) as space,
        pytest.raises(InputError, match="expected a name such as 'seed-1'"),
    ):
        space.stage(name)


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("stage.seed-1.safetensors", "seed-1"),
        ("stage.baseline-last_value.safetensors", "baseline-last_value"),
        ("stage.seed-1.checkpoint-000000000012.safetensors", "seed-1"),
        ("stage.seed-1.checkpoint-12.safetensors", None),
        ("stage..safetensors", None),
        ("checkpoint-000000000012.safetensors", None),
    ],
)
def test_files_say_which_stage_they_are_of(name: str, stage: str | None) -> None:
    assert stage_of(name) == stage


def test_a_run_with_stages_is_an_interrupted_run(place: Path) -> None:
    with Workspace.create(place, RUN) as space:
        space.stage("audit").finish({})
        space.stage("seed-1").save(checkpoint(3))
    with pytest.raises(InputError, match=r"holds a run interrupted in stage 2\. Go on with --resume"):
        Workspace.create(place, RUN)
    with Workspace.create(place, RUN, replace=True) as space:
        assert names(place) == []
        assert space.stage("audit").result() is None


def test_a_closed_workspace_keeps_nothing_more(place: Path) -> None:
    with Workspace.create(place, RUN) as space:
        stage = space.stage("one")
    for attempt in (lambda: stage.finish({}), stage.result, stage.latest, lambda: stage.save(checkpoint(1))):
        with pytest.raises(ModelError, match="this workspace is closed"):
            attempt()


def test_what_cannot_be_kept_is_refused_with_its_place(place: Path) -> None:
    with (
        Workspace.create(place, RUN) as space,
        pytest.raises(InputError, match="record/a: expected plain values"),
    ):
        space.stage("one").finish({"a": {1, 2}})


def stages_done(place: Path, done: list[str]) -> dict[str, float]:
    """A run of three stages, each of which trains for three steps; what is done is noted."""
    found = {}
    begin = Workspace.resume if (place / "run.json").is_file() else Workspace.create
    with begin(place, RUN) as space:
        total = 0.0
        for name in ("one", "two", "three"):

            def work(stage: Stage | None, name: str = name, before: float = total) -> Any:
                last = stage.latest()
                for step in range(1 if last is None else last.step + 1, 4):
                    stage.save(checkpoint(step))
                done.append(name)
                return {"total": before + math.sqrt(2)}, {"x": np.full(3, before)}

            record, arrays = do_stage(space.stage(name), work)
            assert (arrays["x"] == total).all()
            total = record["total"]
            found[name] = total
        assert space.notes == ()
    return found


def test_died_at_any_file_operation_it_goes_on_to_the_same_end(tmp_path: Path, crashing: Any) -> None:
    with crashing(None) as machine:
        whole = stages_done(tmp_path / "whole.partial", [])
    for last in range(machine.done + 1):
        place, before, after = tmp_path / f"{last}.partial", [], []
        with crashing(last):
            stages_done(place, before)
        kept = {name for name in whole if (place / f"stage.{name}.safetensors").exists()}
        assert stages_done(place, after) == whole
        assert not kept & set(after), "a finished stage was done again"
        assert set(before) | set(after) == set(whole)
        assert names(place) == [f"stage.{name}.safetensors" for name in sorted(whole)]
