"""Model folders made to harm or mishandled on the way: each is refused, with the reason."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from longspan.core.errors import InputError, LongspanError, ModelError
from longspan.store import folder as folder_module
from longspan.store.folder import read_folder, write_folder
from longspan.store.manifest import DataRecord, Manifest

ZEROS = "0" * 64


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    tensors = {"w": torch.arange(6, dtype=torch.float32).reshape(2, 3), "b": torch.ones(3)}
    write_folder(path, _manifest(), tensors, {"report.html": b"<p>fine</p>"})
    return path


def test_the_untouched_folder_is_read(model: Path) -> None:
    assert read_folder(model).tensors["w"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


# What goes wrong on the way.


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    _refused(tmp_path / "none", "expected a model folder, found nothing there")


def test_file_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("x")
    _refused(tmp_path / "model", "expected a model folder, found a file there")


def test_folder_of_someone_else(tmp_path: Path) -> None:
    _refused(tmp_path, "model.json: missing")


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "report.html"])
def test_missing_file(model: Path, name: str) -> None:
    (model / name).unlink()
    _refused(model, f"{name}: missing")


@pytest.mark.parametrize("name", ["weights.safetensors", "report.html"])
def test_truncated_file(model: Path, name: str) -> None:
    data = (model / name).read_bytes()
    (model / name).write_bytes(data[:-1])
    _refused(model, f"{name}: expected {len(data)} bytes, got {len(data) - 1}: cut off")


@pytest.mark.parametrize("name", ["weights.safetensors", "report.html"])
def test_file_with_bytes_appended(model: Path, name: str) -> None:
    with (model / name).open("ab") as file:
        file.write(b"x")
    _refused(model, "expected at most")


@pytest.mark.parametrize("name", ["weights.safetensors", "report.html"])
def test_one_bit_flipped(model: Path, name: str) -> None:
    data = bytearray((model / name).read_bytes())
    data[-1] ^= 1
    (model / name).write_bytes(data)
    _refused(model, f"{name}: its SHA-256 is not the one in model.json: altered")


def test_truncated_manifest_at_every_length(model: Path) -> None:
    data = (model / "model.json").read_bytes()
    for length in range(len(data) - 2):  # the last two bytes are the closing brace and the line feed
        (model / "model.json").write_bytes(data[:length])
        with pytest.raises(ModelError):
            read_folder(model)
    (model / "model.json").write_bytes(data[: len(data) // 2])
    _refused(model, "cut off or altered")


def test_every_flipped_byte_of_the_manifest_is_noticed(model: Path) -> None:
    data = (model / "model.json").read_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        (model / "model.json").write_bytes(changed)
        with pytest.raises(ModelError):
            read_folder(model)


def test_manifest_edited_by_hand(model: Path) -> None:
    text = (model / "model.json").read_text().replace('"horizon": 3', '"horizon": 4')
    (model / "model.json").write_text(text)
    _refused(model, "its content does not fit its seal: altered")


def test_file_replaced_after_reading(model: Path) -> None:
    contents = read_folder(model)
    (model / "report.html").write_bytes(b"<p>evil</p>")
    with pytest.raises(ModelError, match=r"report\.html: its SHA-256"):
        contents.read("report.html")


def test_file_that_was_never_listed(model: Path) -> None:
    (model / "secret.txt").write_text("x")
    with pytest.raises(ModelError, match=r"no file 'secret\.txt' in this model, it has report\.html"):
        read_folder(model).read("secret.txt")


# Versions.


def test_newer_format_says_which_longspan_reads_it(model: Path) -> None:
    _change(model, format_version=2, longspan="3.4.0", something_new={"a": 1})
    _refused(
        model,
        "written by longspan 3.4.0 in format 2",
        "reads formats up to 1",
        "pip install 'longspan>=3.4.0'",
    )


def test_newer_format_does_not_smuggle_shell_into_the_advice(model: Path) -> None:
    _change(model, format_version=2, longspan="1'; rm -rf ~ #")
    with pytest.raises(ModelError) as caught:
        read_folder(model)
    assert "pip install 'longspan" not in str(caught.value)
    assert "install a newer longspan" in str(caught.value)


@pytest.mark.parametrize(
    "fields", [{"format_version": 2}, {"format_version": "\x1b[2J"}, {"format": "\x1b[2J"}]
)
def test_who_wrote_it_does_not_steer_the_terminal(model: Path, fields: dict[str, Any]) -> None:
    _change(model, longspan="\x1b[2J", **fields)
    with pytest.raises(ModelError, match=r"'\\x1b\[2J'") as caught:
        read_folder(model)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None, [1]])
def test_format_version_that_is_no_version(model: Path, version: Any) -> None:
    _change(model, format_version=version)
    _refused(model, "expected format_version as a number from 1")


def test_another_format(model: Path) -> None:
    _change(model, format="keras")
    _refused(model, "expected format 'longspan model', got 'keras': not a longspan model")


# Paths.


@pytest.mark.parametrize(
    "name",
    [
        "../outside", "/etc/passwd", "a/b", "..", ".", "", ".hidden", "a\\b", "C:x", "a\0b", "a\nb", "name.",
        "a..b", "x" * 200, "ä", "model.json", "MODEL.JSON", "~root", "-rf", "weights.safetensors/",
    ],
)  # fmt: skip
def test_file_name_that_escapes(model: Path, name: str) -> None:
    outside = model.parent / "outside"
    outside.write_bytes(b"x")
    entry = {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    manifest = json.loads((model / "model.json").read_text())
    manifest["files"][name] = entry
    _seal(model, manifest)
    _refused(model, "model.json")
    with pytest.raises(InputError):
        write_folder(model.parent / "second", _manifest(), {}, {name: b"x"})


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "report.html"])
def test_symbolic_link_inside(model: Path, name: str) -> None:
    (model / name).rename(model.parent / "elsewhere")
    (model / name).symlink_to(model.parent / "elsewhere")
    _refused(model, f"{name}: a symbolic link")


def test_link_to_a_device_is_not_read(model: Path) -> None:
    (model / "report.html").unlink()
    (model / "report.html").symlink_to("/dev/zero")
    _refused(model, "a symbolic link")


def test_pipe_does_not_make_us_wait(model: Path) -> None:
    (model / "report.html").unlink()
    os.mkfifo(model / "report.html")
    _refused(model, "report.html: expected a plain file")


def test_folder_in_the_place_of_a_file(model: Path) -> None:
    (model / "report.html").unlink()
    (model / "report.html").mkdir()
    _refused(model, "report.html: expected a plain file")


# JSON.


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_number_that_is_not_finite(model: Path, text: str) -> None:
    _replace(model, '"mase": 0.5', f'"mase": {text}')
    _refused(model, "model.json: ", text.replace("-1e", "1e") if "e9" in text else "expected a number")


@pytest.mark.parametrize("text", ["9" * 30, "9" * 5000, "-" + "9" * 20])
def test_number_that_is_too_large(model: Path, text: str) -> None:
    _replace(model, '"mase": 0.5', f'"mase": {text}')
    _refused(model, "is too large")


def test_key_that_stands_twice(model: Path) -> None:
    _replace(model, '"task": "forecast"', '"task": "forecast", "task": "evil"')
    _refused(model, "the key 'task' stands twice")


def test_nested_key_that_stands_twice(model: Path) -> None:
    _replace(model, '"horizon": 3', '"horizon": 3, "horizon": 4')
    _refused(model, "the key 'horizon' stands twice")


def test_nested_too_deeply(model: Path) -> None:
    _replace(model, '"horizon": 3', '"horizon": ' + "[" * 100_000 + "]" * 100_000)
    _refused(model, "nested too deeply")


def test_lone_surrogate(model: Path) -> None:
    _replace(model, '"forecast"', '"\\ud800"')
    _refused(model, "half of a surrogate pair")


def test_bytes_that_are_not_utf8(model: Path) -> None:
    (model / "model.json").write_bytes(b'{"format": "\xff"}')
    _refused(model, "expected UTF-8 text, got byte 0xff at 12")


@pytest.mark.parametrize("text", ["", "  \n", "[]", "null", '"x"', "1", "{}", '{"format"', "{} {}"])
def test_something_else_than_a_manifest(model: Path, text: str) -> None:
    (model / "model.json").write_text(text)
    _refused(model, "model.json")


def test_manifest_of_many_megabytes(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "MAX_MANIFEST", 1000)
    with (model / "model.json").open("ab") as file:
        file.write(b" " * 1000)
    _refused(model, "model.json", "expected at most 1,000: altered")


def test_sparse_manifest_of_a_terabyte_is_not_read(model: Path) -> None:
    os.truncate(model / "model.json", 2**40)
    _refused(model, "expected at most")


# Fields.


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("task", 3, "task"),
        ("task", "", "task"),
        ("created", "yesterday", "created"),
        ("command", "rm -rf", "command"),
        ("command", [1], "command.0"),
        ("data", {"sha256": "x", "rows": {}}, "data.sha256"),
        ("data", {"sha256": "a" * 64, "rows": {"train": -1}}, "data.rows.train"),
        ("data", {"sha256": "a" * 64, "rows": {"train": 1.5}}, "data.rows.train"),
        ("data", {"sha256": "a" * 64, "rows": {}, "extra": 1}, "data.extra"),
        ("config", [], "config"),
        ("metrics", None, "metrics"),
        ("versions", {"torch": 2}, "versions.torch"),
        (
            "files",
            {"weights.safetensors": {"size": "799", "sha256": "a" * 64}},
            "files.weights.safetensors.size",
        ),
        (
            "files",
            {"weights.safetensors": {"size": -1, "sha256": "a" * 64}},
            "files.weights.safetensors.size",
        ),
        (
            "files",
            {"weights.safetensors": {"size": True, "sha256": "a" * 64}},
            "files.weights.safetensors.size",
        ),
        (
            "files",
            {"weights.safetensors": {"size": 1, "sha256": "A" * 64}},
            "files.weights.safetensors.sha256",
        ),
        ("surprise", 1, "surprise"),
    ],
)
def test_field_of_the_wrong_kind(model: Path, field: str, value: Any, where: str) -> None:
    _change(model, **{field: value})
    _refused(model, f"field '{where}'")


def test_field_that_is_missing(model: Path) -> None:
    manifest = json.loads((model / "model.json").read_text())
    del manifest["data"]
    _seal(model, manifest)
    _refused(model, "field 'data': Field required")


def test_manifest_without_weights(model: Path) -> None:
    _change(model, files={})
    _refused(model, "lists no 'weights.safetensors'")


# Weights: every one with a manifest that vouches for it, as an attacker would write it.


def test_weights_shorter_than_their_length_field(model: Path) -> None:
    _weights(model, b"\0\0\0")
    _refused(model, "expected at least 8 bytes, got 3: cut off")


def test_weights_header_longer_than_the_file(model: Path) -> None:
    _weights(model, struct.pack("<Q", 1000) + b"{}")
    _refused(model, "expected a header of 1,000 bytes, got 2: cut off")


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 100 * 2**20])
def test_weights_header_of_absurd_length(model: Path, length: int) -> None:
    _weights(model, struct.pack("<Q", length) + b"{}")
    _refused(model, f"a header of {length:,} bytes")


@pytest.mark.parametrize("header", [b"[]", b"null", b"{", b"\xff\xfe", b"", b'{"a": NaN}'])
def test_weights_header_that_is_no_object(model: Path, header: bytes) -> None:
    _weights(model, struct.pack("<Q", len(header)) + header)
    _refused(
        model, "weights.safetensors (header)" if header not in (b"[]", b"null") else "expected a JSON object"
    )


def test_weights_name_that_stands_twice(model: Path) -> None:
    entry = b'"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}'
    header = b"{" + entry + b"," + entry + b"}"
    _weights(model, struct.pack("<Q", len(header)) + header + bytes(4))
    _refused(model, "the key 'w' stands twice")


@pytest.mark.parametrize("dtype", ["F8_E4M3", "C64", "PICKLE", "f32", "", 4, None, ["F32"]])
def test_weights_of_unknown_dtype(model: Path, dtype: Any) -> None:
    _header(model, {"w": {"dtype": dtype, "shape": [1], "data_offsets": [0, 4]}}, 4)
    _refused(model, "tensor 'w': unknown dtype", "expected one of F64, F32")


@pytest.mark.parametrize("shape", [[-1], [1.0], ["1"], [True], 1, None, [1] * 17, [[1]]])
def test_weights_of_impossible_shape(model: Path, shape: Any) -> None:
    _header(model, {"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}}, 4)
    _refused(model, "tensor 'w': expected a shape of whole numbers")


@pytest.mark.parametrize("shape", [[2], [0], [2**62, 4], [2**32, 2**32], []])
def test_weights_whose_shape_does_not_fit_their_bytes(model: Path, shape: list[int]) -> None:
    _header(model, {"w": {"dtype": "F64", "shape": shape, "data_offsets": [0, 4]}}, 4)
    _refused(model, "tensor 'w': expected bytes 0 to")


@pytest.mark.parametrize("offsets", [[4, 0], [0], [0, 4, 8], [-4, 0], [0.0, 4.0], None, "04", [0, True]])
def test_weights_with_bad_offsets(model: Path, offsets: Any) -> None:
    _header(model, {"w": {"dtype": "F32", "shape": [1], "data_offsets": offsets}}, 4)
    _refused(model, "tensor 'w'")


def test_weights_that_overlap(model: Path) -> None:
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    _header(model, {"a": one, "b": {**one, "data_offsets": [4, 12]}}, 12)
    _refused(model, "tensor 'b': expected bytes 8 to 16, got 4 to 12")


def test_weights_with_bytes_hidden_between(model: Path) -> None:
    one = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    _header(model, {"a": one, "b": {**one, "data_offsets": [8, 12]}}, 12)
    _refused(model, "tensor 'b': expected bytes 4 to 8, got 8 to 12")


def test_weights_with_bytes_hidden_at_the_end(model: Path) -> None:
    _header(model, {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, 400)
    _refused(model, "expected 4 bytes of numbers, got 400")


@pytest.mark.parametrize("entry", [None, 3, [], {}, {"dtype": "F32", "shape": [1]}, {"dtype": "F32", "x": 1}])
def test_weights_entry_that_is_none(model: Path, entry: Any) -> None:
    _header(model, {"w": entry}, 0)
    _refused(model, "tensor 'w': expected data_offsets, dtype, shape")


@pytest.mark.parametrize("metadata", [3, [], {"a": 1}, {"a": None}])
def test_weights_metadata_of_the_wrong_kind(model: Path, metadata: Any) -> None:
    _header(model, {"__metadata__": metadata}, 0)
    _refused(model, "expected '__metadata__' to map names to texts")


def test_pickle_is_never_opened(model: Path, tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "weights.pt")
    _weights(model, (tmp_path / "weights.pt").read_bytes())
    _refused(model, "weights.safetensors")


# Replacing.


def _everything(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_existing_model_is_kept_without_force(model: Path) -> None:
    before = _everything(model)
    with pytest.raises(InputError, match=r"already exists\. Give another path, or --force"):
        write_folder(model, _manifest(), {})
    assert _everything(model) == before


def test_force_does_not_replace_a_folder_of_someone_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.tex").write_text("years")
    with pytest.raises(
        InputError, match="not a longspan model that can be told, so --force does not replace it"
    ):
        write_folder(home, _manifest(), {}, force=True)
    assert (home / "thesis.tex").read_text() == "years"


def test_force_does_not_replace_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    with pytest.raises(InputError, match="--force does not replace it"):
        write_folder(tmp_path / "mount", _manifest(), {}, force=True)


def test_force_does_not_replace_a_folder_with_a_model_json_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "model.json").write_text('{"class_name": "Sequential"}')
    with pytest.raises(InputError, match="not a longspan model"):
        write_folder(tmp_path / "keras", _manifest(), {}, force=True)


def test_force_does_not_replace_a_model_with_notes_in_it(model: Path) -> None:
    (model / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'notes\.txt', which the model does not list\. Move it away"):
        write_folder(model, _manifest(), {}, force=True)
    assert (model / "notes.txt").read_text() == "mine"


def test_force_does_not_replace_a_file(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("x")
    with pytest.raises(InputError, match="a file, not a longspan model"):
        write_folder(tmp_path / "model", _manifest(), {}, force=True)


def test_force_follows_no_symbolic_link(model: Path) -> None:
    before = _everything(model)
    link = model.parent / "latest"
    link.symlink_to(model)
    with pytest.raises(InputError, match="a symbolic link is never replaced"):
        write_folder(link, _manifest(), {}, force=True)
    assert _everything(model) == before
    assert link.is_symlink()


def test_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="already exists"):
        write_folder(tmp_path / "model", _manifest(), {})
    assert not (tmp_path / "nowhere").exists()


def test_force_replaces_a_model_and_leaves_nothing_behind(model: Path) -> None:
    write_folder(model, _manifest(), {"v": torch.zeros(1)}, force=True)
    assert list(read_folder(model).tensors) == ["v"]
    assert sorted(entry.name for entry in model.iterdir()) == ["model.json", "weights.safetensors"]
    assert [entry.name for entry in model.parent.iterdir()] == ["model"]


# Making the attacks.


def _manifest() -> Manifest:
    data = DataRecord(sha256="a" * 64, rows={"train": 10})
    return Manifest.new("forecast", data, config={"horizon": 3}, metrics={"mase": 0.5}, command=("longspan",))


def _refused(model: Path, *parts: str) -> None:
    with pytest.raises(LongspanError) as caught:
        read_folder(model)
    assert type(caught.value) is ModelError
    for part in parts:
        assert part in str(caught.value)


def _replace(model: Path, old: str, new: str) -> None:
    """Put text into the manifest that no JSON writer would give, and seal it again."""
    text = (model / "model.json").read_text()
    assert old in text
    text = re.sub(r'"seal": "[0-9a-f]{64}"', f'"seal": "{ZEROS}"', text.replace(old, new))
    (model / "model.json").write_text(text.replace(ZEROS, hashlib.sha256(text.encode()).hexdigest()))


def _seal(model: Path, manifest: dict[str, Any]) -> None:
    manifest["seal"] = ZEROS
    text = json.dumps(manifest)
    (model / "model.json").write_text(text.replace(ZEROS, hashlib.sha256(text.encode()).hexdigest()))


def _change(model: Path, **fields: Any) -> None:
    _seal(model, {**json.loads((model / "model.json").read_text()), **fields})


def _weights(model: Path, data: bytes) -> None:
    (model / "weights.safetensors").write_bytes(data)
    manifest = json.loads((model / "model.json").read_text())
    manifest["files"]["weights.safetensors"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    _seal(model, manifest)


def _header(model: Path, header: Any, body: int) -> None:
    text = json.dumps(header).encode()
    _weights(model, struct.pack("<Q", len(text)) + text + bytes(body))
