"""A model folder gives back what was put into it, and says what it cannot keep."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import longspan
from longspan.core.errors import InputError, ModelError
from longspan.store import folder as folder_module
from longspan.store import tensors as tensors_module
from longspan.store.flatten import same
from longspan.store.folder import check_target, read_folder, read_manifest, write_folder
from longspan.store.manifest import DataRecord, Manifest

DATA = DataRecord(sha256="0" * 64, rows={"train": 3})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text("abß\" \\$", max_size=4), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(
    config=st.dictionaries(st.text("ab", max_size=3), JSON, max_size=3),
    command=st.lists(st.text("a -\n\0ü", max_size=4)),
)
@settings(max_examples=40, deadline=None)
def test_round_trip(tmp_path_factory: Any, config: dict[str, Any], command: list[str]) -> None:
    path = tmp_path_factory.mktemp("model") / "größe 1"
    module = torch.nn.LSTM(2, 3, bidirectional=True)
    manifest = Manifest.new("forecast", DATA, config=config, metrics={"a": config}, command=command)
    written = write_folder(path, manifest, module.state_dict(), {"history.json": b"[]"})
    contents = read_folder(path)
    assert contents.manifest == written
    assert same(contents.manifest.config, config)
    assert contents.manifest.command == tuple(command)
    assert same(dict(contents.tensors), dict(module.state_dict()))
    assert contents.read("history.json") == b"[]"
    assert read_manifest(path) == written


def test_manifest_of_now() -> None:
    manifest = Manifest.new("forecast", DATA)
    assert manifest.longspan == longspan.__version__
    assert manifest.versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert sorted(manifest.versions) == ["polars", "python", "torch"]
    assert manifest.format_version == 1


def test_value_of_zeros_is_not_taken_for_the_seal(tmp_path: Path) -> None:
    manifest = Manifest.new("forecast", DATA, config={"seal": "0" * 64, "x": "0" * 200}, command=["0" * 64])
    write_folder(tmp_path / "model", manifest, {})
    assert read_manifest(tmp_path / "model").config == {"seal": "0" * 64, "x": "0" * 200}


def test_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    manifest = Manifest.new("forecast", DATA)
    for name in ("one", "two"):
        write_folder(tmp_path / name, manifest, {"b": torch.ones(2), "a": torch.zeros(3)}, {"x.txt": b"x"})
    for name in ("model.json", "weights.safetensors", "x.txt"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2**70, "\ud800"])
@pytest.mark.parametrize("where", ["config", "metrics"])
def test_value_that_json_cannot_hold_is_refused_before_anything_is_written(
    tmp_path: Path, where: str, value: Any
) -> None:
    with pytest.raises(InputError, match="manifest: "):
        write_folder(tmp_path / "model", Manifest.new("forecast", DATA, **{where: {"deep": [value]}}), {})
    assert list(tmp_path.iterdir()) == []


def test_manifest_too_large_to_be_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "MAX_MANIFEST", 2000)
    with pytest.raises(InputError, match="at most 2,000 can be read"):
        write_folder(tmp_path / "model", Manifest.new("forecast", DATA, config={"ids": ["x"] * 1000}), {})


def test_header_too_large_to_be_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors_module, "MAX_HEADER", 100)
    with pytest.raises(InputError, match="names and metadata take"):
        write_folder(tmp_path / "model", Manifest.new("forecast", DATA), {"w" * 100: torch.zeros(1)})


@pytest.mark.parametrize(
    ("one", "other"), [("a.txt", "A.txt"), ("weights.safetensors", None), ("Weights.safetensors", None)]
)
def test_files_whose_names_clash(tmp_path: Path, one: str, other: str | None) -> None:
    files = {one: b"", **({other: b""} if other else {})}
    with pytest.raises(InputError, match="is there twice"):
        write_folder(tmp_path / "model", Manifest.new("forecast", DATA), {}, files)


@pytest.mark.parametrize("name", ["", "__metadata__"])
def test_tensor_name_that_cannot_be_kept(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="tensor name: expected a text"):
        write_folder(tmp_path / "model", Manifest.new("forecast", DATA), {name: torch.zeros(1)})


def test_missing_parent_is_told_early(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the folder .*none does not exist\. Make it first: mkdir -p"):
        check_target(tmp_path / "none" / "model")


def test_free_place_passes_the_early_check(tmp_path: Path) -> None:
    check_target(tmp_path / "model")
    check_target(tmp_path / "model", force=True)


def test_model_moved_aside_is_pointed_at(tmp_path: Path) -> None:
    write_folder(tmp_path / "model", Manifest.new("forecast", DATA), {})
    aside = tmp_path / ".model.0123abcd-1-1.0.old"
    (tmp_path / "model").rename(aside)
    with pytest.raises(ModelError) as caught:
        read_folder(tmp_path / "model")
    assert str(caught.value).endswith(f"put the former back: mv {aside} {tmp_path / 'model'}")


def test_link_to_a_model_is_read(tmp_path: Path) -> None:
    write_folder(tmp_path / "model", Manifest.new("forecast", DATA), {"w": torch.ones(1)})
    (tmp_path / "latest").symlink_to(tmp_path / "model")
    assert read_folder(tmp_path / "latest").tensors["w"].item() == 1.0


def test_manifest_is_read_without_torch_and_polars(tmp_path: Path) -> None:
    code = (
        "import sys, json; from longspan.store import manifest; "
        "print(json.dumps([name in sys.modules for name in ('torch', 'polars', 'safetensors')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, False, False]
