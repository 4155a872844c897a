"""The parameters of a module laid end to end while it trains.

A small network has a dozen parameters of a few thousand numbers each: the norm of the gradient, clipping, the
optimiser and the running average would call a kernel for each of them, which takes longer than the
arithmetic. Laid end to end, each is one call for all.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["Flat"]

_ALIGNED = 16  # numbers: every parameter begins on a boundary of so many


class Flat:
    """What is to be trained, as few tensors as can be. Undo it with `restore` when training is over.

    On the CPU the parameters of one type become views of one tensor, and their gradients views of its
    gradient, into which autograd adds; elsewhere they are left as they are. Nobody may take the gradients
    away meanwhile.

    Args:
        module: whose parameters.

    Attributes:
        parameters: what an optimiser is given.
        decayed: those of two dimensions and more, for which weight decay is; of those laid end to end they
            are the first part.
    """

    def __init__(self, module: nn.Module) -> None:
        trained = [p for p in module.parameters() if p.requires_grad]
        self.laid = all(_can_be_laid(p) for p in trained)
        self._members = _by_kind(trained) if self.laid else [[p] for p in trained]
        self.parameters = [_lay(members) if self.laid else members[0] for members in self._members]
        self.decayed = self._first_parts() if self.laid else [p for p in trained if p.ndim >= 2]

    def _first_parts(self) -> list[nn.Parameter]:
        """Of what is laid end to end those parts that hold the matrices."""
        sizes = [sum(_room(p) for p in members if p.ndim >= 2) for members in self._members]
        return [_first(whole, size) for whole, size in zip(self.parameters, sizes, strict=True) if size]

    def gradient_norm(self) -> Tensor:
        """Of all gradients together."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if len(gradients) == 1:
            norm: Tensor = torch.linalg.vector_norm(gradients[0])
            return norm
        return torch.nn.utils.get_total_norm(gradients)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p in self.parameters:
            if not self.laid:
                p.grad = None
            elif p.grad is not None:
                p.grad.zero_()

    def copies(self) -> tuple[list[Tensor], dict[int, Tensor]]:
        """Copies of ``parameters``, and by the id of each trained parameter its view of them."""
        whole = [p.detach().clone() for p in self.parameters]
        if not self.laid:
            return whole, {id(members[0]): each for members, each in zip(self._members, whole, strict=True)}
        views: dict[int, Tensor] = {}
        for members, each in zip(self._members, whole, strict=True):
            views |= {id(p): view for p, view in zip(members, _views(each, members), strict=True)}
        return whole, views

    def restore(self) -> None:
        """Give every parameter memory of its own again, and no gradient."""
        for members in self._members:
            for p in members:
                p.grad = None
                if self.laid:
                    p.data = p.data.clone()


def _by_kind(trained: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Those of each type, matrices first."""
    kinds: dict[torch.dtype, list[nn.Parameter]] = {}
    for p in sorted(trained, key=lambda p: p.ndim < 2):
        kinds.setdefault(p.dtype, []).append(p)
    return list(kinds.values())


def _first(whole: nn.Parameter, size: int) -> nn.Parameter:
    """The first numbers of a tensor and of its gradient, in the same memory."""
    part = nn.Parameter(whole.detach()[:size])
    part.grad = None if whole.grad is None else whole.grad[:size]
    return part


def _can_be_laid(p: nn.Parameter) -> bool:
    return p.is_cpu and p.layout is torch.strided and p.is_contiguous() and p.is_floating_point()


def _lay(members: list[nn.Parameter]) -> nn.Parameter:
    sizes = [_room(p) for p in members]
    flat = nn.Parameter(torch.zeros(sum(sizes), dtype=members[0].dtype))
    flat.grad = torch.zeros_like(flat)
    values, gradients = _views(flat.detach(), members), _views(flat.grad, members)
    for p, value, gradient in zip(members, values, gradients, strict=True):
        value.copy_(p.detach())
        p.data, p.grad = value, gradient
    return flat


def _views(flat: Tensor, members: Iterable[nn.Parameter]) -> list[Tensor]:
    """The part of each parameter, in its shape."""
    found, start = [], 0
    for p in members:
        found.append(flat[start : start + p.numel()].view(p.shape))
        start += _room(p)
    return found


def _room(p: nn.Parameter) -> int:
    return -(-p.numel() // _ALIGNED) * _ALIGNED
