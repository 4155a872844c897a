"""A whole inspection: every encoder, the record, JSON, files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from longspan.core.errors import InputError
from longspan.inspect.inspection import Inspection, inspect_subject
from longspan.inspect.settings import InspectSettings
from longspan.nn.encoders import encoder_names
from longspan.store.tensors import decode


@pytest.fixture(scope="module")
def found(subject_of) -> Inspection:
    return inspect_subject(subject_of("lstm", num_layers=2), InspectSettings(layers=(1, 2), untrained=True))


@pytest.mark.parametrize("encoder", encoder_names())
def test_every_encoder_can_be_looked_into(encoder: str, subject_of) -> None:
    found = inspect_subject(subject_of(encoder))
    record = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert record["sentence"] == found.sentence
    recurrent = bool(found.gates)
    assert recurrent == (encoder in ("rnn", "gru", "lstm"))
    assert bool(found.memory) == (encoder in ("gru", "lstm"))
    assert (found.attention is not None) == (encoder == "transformer")


def test_a_two_sided_encoder_is_drawn_in_both_directions(subject_of) -> None:
    found = inspect_subject(subject_of("lstm", bidirectional=True))
    assert [trace.title for trace in found.gates] == ["layer 1", "layer 1, backward"]
    assert found.gradients[0].states == ()
    assert "in both directions" in found.notes[0]


def test_the_record_holds_what_was_asked_for(found: Inspection) -> None:
    record = found.to_json()
    assert [each["layer"] for each in record["gates"]] == [1, 2]
    assert [each["model"] for each in record["gradients"]] == ["the model", "untrained"]
    assert len(record["depth"]) == 2
    steps = len(record["shown"]["tokens"])
    assert np.shape(record["gates"][0]["values"]["f"]) == (steps, 6)
    assert set(record["gates"][0]["values"]) == {"i", "f", "g", "o", "c", "h"}
    assert len(record["memory"][0]["half_life"]) == 6
    removal = record["horizon"]["ablations"][0]["removals"][0]
    assert set(removal) == {"lag", "rise", "low", "high", "p", "costs"}


def test_units_and_window_are_cut_to_what_was_asked_for(subject_of) -> None:
    found = inspect_subject(subject_of(), InspectSettings(units=(3, 1), window=4))
    values = found.to_json()["gates"][0]["values"]["f"]
    np.testing.assert_allclose(values, found.gates[0].values["f"][-4:, [2, 0]], rtol=1e-4)


def test_the_same_seed_finds_the_same(subject_of, found: Inspection) -> None:
    again = inspect_subject(subject_of("lstm", num_layers=2), InspectSettings(layers=(1, 2), untrained=True))
    assert again.to_json() == found.to_json()


def test_files_are_written_in_three_forms_and_never_over_another(found: Inspection, tmp_path: Path) -> None:
    page = found.write(tmp_path / "page.html")
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert json.loads(found.write(tmp_path / "r.json").read_bytes())["model"] == "the model"
    tensors, _ = decode(found.write(tmp_path / "a.safetensors").read_bytes(), "a.safetensors")
    assert tensors["gates.layer2.c"].shape == found.gates[1].values["c"].shape
    np.testing.assert_array_equal(tensors["memory.layer1.log_held"].numpy(), found.memory[0].log_held)
    with pytest.raises(InputError, match=r"page\.html' exists\. Pass force=True to replace it"):
        found.write(page)
    record = (tmp_path / "r.json").stat().st_ino
    found.write(tmp_path / "r.json", force=True)
    assert (tmp_path / "r.json").stat().st_ino != record, "it was written over and not replaced"
    with pytest.raises(InputError, match=r"ending in \.html, \.json, \.safetensors, got '.*page\.pdf'"):
        found.write(tmp_path / "page.pdf")


def test_an_encoder_that_there_is_not_is_refused_before_any_work(subject_of) -> None:
    said: list[str] = []
    with pytest.raises(InputError, match=r"^against= expected one of rnn, gru, lstm, .*, got 'foo'"):
        inspect_subject(subject_of(), InspectSettings(against=("rnn", "foo")), say=said.append)
    assert said == []
    assert "rules of gates and gradients" in str(InspectSettings.model_fields["threshold"].description)


def test_what_cannot_be_looked_into_is_said(subject_of) -> None:
    with pytest.raises(InputError, match=r"at least 2 examples to compare, got 1"):
        inspect_subject(subject_of(count=1))
    with pytest.raises(InputError, match=r"layers: expected numbers from 1 to 1, got 2"):
        inspect_subject(subject_of(), InspectSettings(layers=(2,)))
    with pytest.raises(InputError, match=r"units: expected numbers from 1 to 6, got 7"):
        inspect_subject(subject_of(), InspectSettings(units=(7,)))
    with pytest.raises(InputError, match=r"units: expected none, since the encoder is not recurrent"):
        inspect_subject(subject_of("cnn"), InspectSettings(units=(1,)))
    with pytest.raises(InputError, match=r"against='rnn': nobody said how the reader is trained"):
        inspect_subject(subject_of(), InspectSettings(against=("rnn",)))


def test_another_encoder_is_put_beside_it(subject_of) -> None:
    subject = subject_of()
    beside = replace(subject, train=lambda name, _: subject_of(name).reader)
    found = inspect_subject(beside, InspectSettings(against=("rnn",)))
    assert [each.title for each in found.gradients] == ["the model", "rnn, trained the same way"]
    assert [curve.name for curve in found.gradients[1].states] == ["loss by h"]


def test_two_examples_are_enough_to_look(subject_of) -> None:
    found = inspect_subject(subject_of(count=2))
    assert found.to_json()["horizon"]["ablations"][0]["removals"][0]["p"] is None
    assert found.sentence.startswith("There are too few independent examples")
    assert found.horizon.words == (
        "No removal could be tested: fewer than four of the examples are independent.",
    )


def test_a_sequence_of_one_step_has_no_past(subject_of) -> None:
    subject = subject_of(count=8)
    examples = replace(subject.examples, x=subject.examples.x[:, :1], lengths=None)
    found = inspect_subject(replace(subject, examples=examples))
    assert found.horizon.used == 0
    json.dumps(found.to_json(), allow_nan=False)
    assert found.page()
