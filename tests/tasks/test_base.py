"""The record of a task and its options."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, Literal, Self

import numpy as np
import polars as pl
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.tasks.base import TASKS, Options, Run, Task, find_task, option, register, spell


class Sample(Options):
    target: str = option(..., "column to forecast", min_length=1)
    horizon: int = option(24, "steps", ge=1)
    known: tuple[str, ...] = option((), "columns known ahead")
    levels: tuple[float, ...] | None = option(None, "quantiles", min_length=1)
    head: Literal["quantile", "student"] = option("quantile", "what is forecast")
    rate: float | None = option(None, "learning rate", gt=0)
    fast: bool = option(True, "hurry")


def read(**values: Any) -> Sample:
    return Sample.read({"target": "y"} | values, verb="fit sample")


def task(**changes: Any) -> Task:
    fields = {"name": "sample", "summary": "s", "data_help": "d", "work": "a.b:C", "fit_options": Sample}
    return Task(**(fields | changes))


def test_defaults_stand_where_nothing_is_given() -> None:
    found = read()
    assert (found.horizon, found.known, found.levels, found.head, found.rate, found.fast) == (
        24,
        (),
        None,
        "quantile",
        None,
        True,
    )


@pytest.mark.parametrize("value", [["a", "b"], ("a", "b"), np.array(["a", "b"]), iter("ab")])
def test_lists_and_tuples_are_the_same(value: Any) -> None:
    assert read(known=value).known == ("a", "b")


def test_a_single_value_stands_for_a_tuple_of_one() -> None:
    assert read(known="units sold").known == ("units sold",)
    assert read(levels=0.5).levels == (0.5,)


def test_none_is_not_wrapped_into_a_tuple() -> None:
    assert read(levels=None).levels is None


@pytest.mark.parametrize("value", [np.int64(3), np.int32(3), np.uint8(3), np.array(3)])
def test_numpy_integers_are_integers(value: Any) -> None:
    horizon = read(horizon=value).horizon
    assert horizon == 3
    assert type(horizon) is int


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_numpy_numbers_are_numbers(kind: Any) -> None:
    found = read(rate=kind(0.5), levels=np.array([0.25, 0.5], dtype=kind))
    assert (found.rate, found.levels) == (0.5, (0.25, 0.5))
    assert {type(each) for each in (found.rate, *(found.levels or ()))} == {float}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (pl.DataFrame({"y": range(500)}), "DataFrame of shape (500, 1)"),
        (np.zeros((3, 2)), "ndarray of shape (3, 2)"),
        ("y" * 500, f"'{'y' * 37}...{'y' * 38}'"),
        (list(range(10_000)), "[0, 1, 2, 3, 4, 5, ...]"),
        (type("Tall", (), {"__repr__": lambda _: "a\nb"})(), "Tall"),
    ],
    ids=["frame", "array", "text", "list", "lines"],
)
def test_what_was_got_is_said_in_one_short_line(value: Any, shown: str) -> None:
    with pytest.raises(InputError) as caught:
        read(head=value)
    assert str(caught.value) == f"head= expected 'quantile' or 'student', got {shown}"


def test_a_check_across_options_spells_them_as_the_door_does() -> None:
    class Pair(Options):
        one: int | None = option(None, "one")
        the_other: int | None = option(None, "the other")

        @pydantic.model_validator(mode="after")
        def _not_both(self) -> Self:
            if self.one is not None and self.the_other is not None:
                raise ValueError(f"{spell('one')} does not go with {spell('the_other')}")
            return self

    both = {"one": 1, "the_other": 2}
    with pytest.raises(InputError, match=r"^one= does not go with the_other=$"):
        Pair.read(both, verb="v")
    with pytest.raises(InputError, match=r"^--one does not go with --the-other$"):
        Pair.read(both, verb="v", door="shell")


def test_whole_numbers_are_numbers() -> None:
    assert read(rate=1, levels=[1, np.int64(2)]).levels == (1.0, 2.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("horizon", "24"),
        ("horizon", 2.0),
        ("horizon", True),
        ("horizon", None),
        ("horizon", 0),
        ("horizon", np.array([3])),
        ("rate", "0.1"),
        ("rate", 0.0),
        ("rate", math.nan),
        ("rate", math.inf),
        ("fast", 1),
        ("fast", "yes"),
        ("head", "Quantile"),
        ("known", [1]),
        ("known", [["a"]]),
        ("known", {"a", "b"}),
        ("known", {"a": 1}),
        ("known", b"a"),
        ("levels", np.zeros((2, 2))),
        ("levels", []),
        ("levels", [0.1, math.nan]),
        ("target", ""),
        ("target", b"y"),
    ],
)
def test_nothing_else_is_converted(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"^{name}= expected .+, got "):
        read(**{name: value})


def test_options_cannot_be_changed() -> None:
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        read().horizon = 3  # type: ignore[misc]


@given(
    horizon=st.integers(1, 10**9),
    known=st.lists(st.text(min_size=1, max_size=5), max_size=4),
    levels=st.none() | st.lists(st.floats(0, 1), min_size=1, max_size=4),
    rate=st.none() | st.floats(1e-12, 1e6),
    fast=st.booleans(),
)
def test_options_survive_json(
    horizon: int, known: list[str], levels: list[float] | None, rate: float | None, fast: bool
) -> None:
    before = read(horizon=horizon, known=known, levels=levels, rate=rate, fast=fast)
    assert Sample.model_validate(json.loads(json.dumps(before.given()))) == before


@given(st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12))
def test_every_unknown_name_is_refused(name: str) -> None:
    if name in Sample.model_fields:
        return
    with pytest.raises(InputError, match="has no option"):
        read(**{name: 1})


def test_a_name_is_spelt_as_its_door_spells_it() -> None:
    assert spell("min_delta", "shell") == "--min-delta"
    assert spell("min_delta", "python") == "min_delta="


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "two words"}, "one word"),
        ({"work": "a.b.C"}, "'package.module:Class'"),
    ],
)
def test_a_wrong_declaration_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        task(**changes)


def test_an_option_without_help_is_refused() -> None:
    class Bare(Options):
        size: int = 3

    with pytest.raises(InputError, match=r"Bare\.size has no help text"):
        task(predict_options=Bare)


def test_two_tasks_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longspan.tasks.base.TASKS", {})
    register(task())
    register(task())  # the same again is no other
    with pytest.raises(InputError, match="two tasks are named 'sample'"):
        register(task(work="x.y:Z"))


def test_work_is_imported_when_asked_for(level_task: Task) -> None:
    assert level_task.load_work().__name__ == "Level"


def test_find_task_names_the_nearest(level_task: Task) -> None:
    assert find_task("level") is level_task
    with pytest.raises(InputError, match=r"there is no task 'lvel'\. Did you mean 'level'\? Tasks: .*level"):
        find_task("lvel")


def test_every_declared_task_has_its_work() -> None:
    import longspan.tasks  # noqa: F401 - fills the table

    for declared in TASKS.values():
        work = declared.load_work()
        for name in ("fit", "restore", "contents", "predict", "evaluate", "describe"):
            assert callable(getattr(work, name)), f"{declared.name}: {declared.work} lacks {name}()"


def test_a_run_is_quiet_and_keeps_nothing_unless_told() -> None:
    run = Run()
    run.say("heard by nobody")
    assert run.open_workspace(read(), "0" * 64, "cpu") is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.seed = 3  # type: ignore[misc]
