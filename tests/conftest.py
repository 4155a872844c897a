"""Fixtures that every test may use."""

from __future__ import annotations

import os
import sys
import zlib
from pathlib import Path

import pytest
import torch
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent
SUPPORT = REPOSITORY / "tests" / "support"

if str(SUPPORT) not in sys.path:
    sys.path.append(str(SUPPORT))  # modules that tests share, such as a task of their own

# A failing example is printed so that it can be run again; there is no deadline on a shared machine.
settings.register_profile("house", deadline=None, max_examples=30, print_blob=True)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _same_numbers(request: pytest.FixtureRequest) -> None:
    """What a test draws from torch's generator depends on the test alone, not on those that ran before it."""
    torch.manual_seed(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets; the test is skipped, with the reason, where there is none."""
    folder = Path(os.environ.get("LONGSPAN_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no public data sets at {folder}: set LONGSPAN_DATA to a folder that holds them")
    return folder


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture
def level_task(monkeypatch: pytest.MonkeyPatch) -> object:
    """A small real task in the task table for one test; see tests/support."""
    import level_options as module

    from longspan.tasks.base import TASKS

    monkeypatch.setitem(TASKS, module.LEVEL.name, module.LEVEL)
    return module.LEVEL
