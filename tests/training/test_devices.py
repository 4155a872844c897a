"""Names of devices, and what is said where there is none."""

from __future__ import annotations

import pytest
import torch

from longspan.core.errors import InputError
from longspan.training.devices import resolve


def _machine(patch: pytest.MonkeyPatch, cuda: int, mps: bool, built: str | None = "12.8") -> None:
    patch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    patch.setattr(torch.cuda, "device_count", lambda: cuda)
    patch.setattr(torch.version, "cuda", built)
    patch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "name", "device"),
    [
        (0, False, "auto", "cpu"),
        (2, False, "auto", "cuda:0"),
        (0, True, "auto", "mps"),
        (2, True, "auto", "cuda:0"),
        (2, True, "cpu", "cpu"),
        (2, False, "cuda", "cuda:0"),
        (2, False, "cuda:1", "cuda:1"),
        (0, True, "mps", "mps"),
    ],
)
def test_name_gives_the_device(
    monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, name: str, device: str
) -> None:
    _machine(monkeypatch, cuda, mps)
    assert resolve(name) == torch.device(device)


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:-1", "cpu:1", "mps:0", "CPU", "cuda:1:2", "xpu"])
def test_unknown_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    _machine(monkeypatch, 2, True)
    with pytest.raises(InputError, match="device: expected auto, cpu, cuda, cuda:N or mps, got"):
        resolve(name)


@pytest.mark.parametrize(
    ("cuda", "built", "name", "text"),
    [
        (0, None, "cuda", "got 'cuda', but this torch is built without CUDA. Use auto or cpu"),
        (0, "12.8", "cuda:1", "got 'cuda:1', but torch finds no CUDA device"),
        (2, "12.8", "cuda:2", "got 'cuda:2', but there are 2 CUDA devices: cuda:0 to cuda:1"),
        (1, "12.8", "cuda:7", "there is 1 CUDA device: cuda:0"),
        (0, None, "mps", "got 'mps', but this machine or this torch has no MPS"),
    ],
)
def test_device_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, cuda: int, built: str | None, name: str, text: str
) -> None:
    _machine(monkeypatch, cuda, False, built)
    with pytest.raises(InputError) as caught:
        resolve(name)
    assert text in str(caught.value)
