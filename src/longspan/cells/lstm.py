"""The long short-term memory and its options, which combine freely.

One step, with ``σ`` the logistic function and ``⊙`` the product by elements::

    pre_k = W_k x + b_ih,k + U_k h + b_hh,k                  for the gates k = i f g o
    i = σ(pre_i)    f = σ(pre_f)    g = tanh(pre_g)    o = σ(pre_o)
    c' = f ⊙ c + i ⊙ g        h' = o ⊙ tanh(c')

Options:

* ``peephole``: pre_i += p_i ⊙ c, pre_f += p_f ⊙ c, pre_o += p_o ⊙ c' (Gers, Schraudolph, Schmidhuber 2002).
* ``coupled``: no weights for f; f = 1 - i (CIFG: Greff et al. 2017).
* ``forget_gate=False``: no weights for f; c' = c + i ⊙ g (the cell of Hochreiter & Schmidhuber 1997, with the
  present-day squashing functions).
* ``layer_norm``: the two products are normalised, each over all its G·H sums and with its own gain; the
  biases and the peephole terms stay outside. The cell state is normalised on its way to the output only:
  h' = o ⊙ tanh(a_c ⊙ N(c') + s_c) (Ba, Kiros, Hinton 2016).
* ``projection``: h' = W_hr (o ⊙ tanh(c')), P wide (Sak, Senior, Beaufays 2014).
* ``cell_clip``: c' is cut to [-clip, clip] before anything reads it (Sak et al. 2014); no gradient passes
  where it cuts.

Zoneout holds c and h after the step; h' is made from the c' before zoneout (Krueger et al. 2017).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from longspan.cells.base import Activations, Cell, Params, State, StepNoise, Weight, register
from longspan.core.checks import boolean, finite
from longspan.core.errors import InputError

__all__ = ["EPSILON", "lstm"]

EPSILON = 1e-5  # added to the variance in layer normalisation, as in torch.nn.LayerNorm


class _Form(NamedTuple):
    gates: tuple[str, ...]
    peeping: tuple[str, ...]  # gates that see the cell state, in the order of weight_ch
    coupled: bool
    layer_norm: bool
    projection: bool
    clip: float | None


@register("lstm")
def lstm(
    *,
    peephole: bool = False,
    coupled: bool = False,
    layer_norm: bool = False,
    forget_gate: bool = True,
    cell_clip: float | None = None,
    projection: bool = False,
    bias: bool = True,
) -> Cell:
    """The record of an LSTM with these options (see the module's text for the equations).

    Weights beyond torch's: ``weight_ch`` the peepholes, order i f o; ``gain_ih`` ``gain_hh`` ``gain_c``
    ``shift_c`` of layer normalisation.

    Raises:
        InputError: ``coupled`` without forget gate, or ``cell_clip`` not above 0.
    """
    flags = {
        "peephole": peephole, "coupled": coupled, "layer_norm": layer_norm, "forget_gate": forget_gate,
        "projection": projection, "bias": bias,
    }  # fmt: skip
    for name, value in flags.items():
        boolean(value, name, "cell 'lstm'")
    if coupled and not forget_gate:
        raise InputError("cell 'lstm': coupled=True makes the forget gate 1 - i, so forget_gate must be True")
    if cell_clip is not None and finite(cell_clip, "cell_clip", "cell 'lstm'") <= 0:
        raise InputError(f"cell 'lstm': expected cell_clip above 0, or None for no clip, got {cell_clip!r}")
    gates = ("i", "f", "g", "o") if forget_gate and not coupled else ("i", "g", "o")
    peeping = tuple(gate for gate in gates if gate != "g") if peephole else ()
    form = _Form(gates, peeping, coupled, layer_norm, projection, cell_clip)
    return Cell(
        name="lstm",
        options=(*flags.items(), ("cell_clip", cell_clip)),
        gates=gates,
        states=("h", "c"),
        weights=_weights(form, bias),
        activations=(*(("i", "f", "g", "o") if coupled else gates), *(f"pre_{gate}" for gate in gates)),
        hoist=partial(_hoist, form),
        step=partial(_step, form),
        source=_source(form, forget_gate),
        projected=projection,
    )


def _weights(form: _Form, bias: bool) -> tuple[Weight, ...]:
    G, K = len(form.gates), len(form.peeping)
    found = [Weight("weight_ih", ((G, "H"), (1, "I"))), Weight("weight_hh", ((G, "H"), (1, "P")))]
    if bias:
        found += [Weight("bias_ih", ((G, "H"),)), Weight("bias_hh", ((G, "H"),))]
    if form.projection:
        found.append(Weight("weight_hr", ((1, "P"), (1, "H"))))
    if form.peeping:
        found.append(Weight("weight_ch", ((K, "H"),)))
    if form.layer_norm:
        found += [Weight(name, ((G, "H"),), "ones") for name in ("gain_ih", "gain_hh")]
        found.append(Weight("gain_c", ((1, "H"),), "ones"))
        if bias:
            found.append(Weight("shift_c", ((1, "H"),), "zeros"))
    return tuple(found)


def _source(form: _Form, forget_gate: bool) -> str:
    parts = ["Hochreiter & Schmidhuber 1997, Long short-term memory, Neural Computation 9(8)"]
    if forget_gate:
        parts.append("Gers, Schmidhuber & Cummins 2000, Learning to forget, Neural Computation 12(10)")
    if form.peeping:
        parts.append("Gers, Schraudolph & Schmidhuber 2002, Learning precise timing with LSTM, JMLR 3")
    if form.coupled:
        parts.append("Greff et al. 2017, LSTM: a search space odyssey, IEEE TNNLS 28(10)")
    if form.layer_norm:
        parts.append("Ba, Kiros & Hinton 2016, Layer normalization, arXiv:1607.06450")
    if form.projection or form.clip is not None:
        parts.append("Sak, Senior & Beaufays 2014, LSTM based RNN architectures, arXiv:1402.1128")
    return "; ".join(parts)


def _product(form: _Form, x: Tensor, params: Params, part: str) -> Tensor:
    """W x + b, or a ⊙ N(W x) + b when normalised; ``part`` is ih or hh. (..., G·H)"""
    weight, bias = params[f"weight_{part}"], params.get(f"bias_{part}")
    if not form.layer_norm:
        return F.linear(x, weight, bias)
    return F.layer_norm(F.linear(x, weight), (weight.shape[0],), params[f"gain_{part}"], bias, EPSILON)


def _hoist(form: _Form, x: Tensor, params: Params) -> Tensor:
    return _product(form, x, params, "ih")


def _step(
    form: _Form, hoisted: Tensor, state: State, params: Params, noise: StepNoise
) -> tuple[State, Activations]:
    h, c = state
    sums = hoisted + _product(form, noise.recurrent(h), params, "hh")
    pre = dict(zip(form.gates, sums.chunk(len(form.gates), -1), strict=True))
    peep = (
        dict(zip(form.peeping, params["weight_ch"].chunk(len(form.peeping)), strict=True))
        if form.peeping
        else {}
    )
    for gate in peep:
        if gate != "o":
            pre[gate] = pre[gate] + peep[gate] * c
    acts = {"i": torch.sigmoid(pre["i"]), "g": torch.tanh(pre["g"])}
    written = acts["i"] * acts["g"]
    if form.coupled:
        acts["f"] = 1.0 - acts["i"]
    elif "f" in pre:
        acts["f"] = torch.sigmoid(pre["f"])
    new_c = acts["f"] * c + written if "f" in acts else c + written
    if form.clip is not None:
        new_c = new_c.clamp(-form.clip, form.clip)
    if "o" in peep:
        pre["o"] = pre["o"] + peep["o"] * new_c
    acts["o"] = torch.sigmoid(pre["o"])
    shown = new_c
    if form.layer_norm:
        shown = F.layer_norm(new_c, new_c.shape[-1:], params["gain_c"], params.get("shift_c"), EPSILON)
    new_h = acts["o"] * torch.tanh(shown)
    if form.projection:
        new_h = F.linear(new_h, params["weight_hr"])
    acts.update((f"pre_{gate}", value) for gate, value in pre.items())
    return (noise.keep(0, h, new_h), noise.keep(1, c, new_c)), acts
