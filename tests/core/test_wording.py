"""Options are spelt as the user's door spells them, however deep the message is made."""

from __future__ import annotations

import pytest

from longspan.core.checks import known_name
from longspan.core.errors import InputError
from longspan.core.wording import counted, entered_by, nearest, passing, spell


def test_python_is_the_door_where_nobody_said_another() -> None:
    assert (spell("min_delta"), spell("min_delta", "shell")) == ("min_delta=", "--min-delta")
    assert passing("missing", "n/a") == "missing='n/a'"
    assert (passing("force"), passing("header", False)) == ("force=True", "header=False")


def test_the_shell_spells_its_own_within_its_block_alone() -> None:
    with entered_by("shell"):
        assert (spell("min_delta"), spell("min_delta", "python")) == ("--min-delta", "min_delta=")
        assert passing("missing", "n/a") == "--missing 'n/a'"
        assert (passing("force"), passing("header", False)) == ("--force", "--no-header")
        with entered_by("python"):
            assert spell("a") == "a="
        with pytest.raises(
            InputError, match=r"^--encoder expected one of lstm, gru, got 'lstmm'\. Did you mean"
        ):
            known_name("lstmm", "encoder", ("lstm", "gru"))
    assert spell("a") == "a="
    with pytest.raises(InputError, match=r"^encoder= expected one of lstm, gru, got 'xyz'\.$"):
        known_name("xyz", "encoder", ("lstm", "gru"))
    assert known_name("gru", "encoder", ("lstm", "gru")) == "gru"


def test_the_door_is_as_before_after_an_error() -> None:
    with pytest.raises(RuntimeError, match="boom"), entered_by("shell"):
        raise RuntimeError("boom")
    assert spell("a") == "a="


def test_a_name_far_from_all_others_has_no_nearest() -> None:
    assert nearest("horizn", ("horizon", "series")) == " Did you mean 'horizon'?"
    assert nearest("zzz", ("horizon", "series")) == ""


def test_one_is_no_plural() -> None:
    assert [counted(count, "row") for count in (0, 1, 2, 2000)] == ["0 rows", "1 row", "2 rows", "2,000 rows"]
