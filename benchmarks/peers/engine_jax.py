"""JAX's side of ``engine.py``: the input's product for all steps at once, then ``lax.scan``, compiled."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from engine_side import Array, Problem, Ready, fastest, keep_to_cores, serve, threads

keep_to_cores()
if threads() == 1:
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax  # noqa: E402 - it counts cores and reads its flags when it is imported
import jax.numpy as jnp  # noqa: E402

_UNROLLED = (1, 8)  # steps of the scan in one iteration; the faster one is measured


def cell(params: dict[str, Any], projected: Any, state: Any) -> Any:
    """One step from the projected input: the new (h, c)."""
    h, c = state
    i, f, g, o = jnp.split(projected + h @ params["U"], 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def sequence(unroll: int, params: dict[str, Any], x: Any) -> Any:
    """(T, B, I) to (T, B, H) and the last state."""
    zeros = jnp.zeros((x.shape[1], params["U"].shape[0]), x.dtype)

    def step(state: Any, now: Any) -> Any:
        state = cell(params, now, state)
        return state, state[0]

    state, y = jax.lax.scan(step, (zeros, zeros), x @ params["W"] + params["b"], unroll=unroll)
    return y, state


def make(problem: Problem) -> Ready:
    """The problem, compiled; of a sequence the faster of two unrollings."""
    weights = problem.weights
    params = {
        "W": jnp.asarray(weights["weight_ih"].T),
        "U": jnp.asarray(weights["weight_hh"].T),
        "b": jnp.asarray(weights["bias_ih"] + weights["bias_hh"]),
    }
    if problem.streams:
        return _step(problem, params)
    one = _inference if problem.dy is None else _training
    return fastest([one(problem, params, unroll) for unroll in _UNROLLED])


def _step(problem: Problem, params: dict[str, Any]) -> Ready:
    step: Callable[..., Any] = jax.jit(lambda p, x, state: cell(p, x @ p["W"] + p["b"], state))
    zeros = jnp.zeros((1, problem.hidden), jnp.float32)
    x, held = jnp.asarray(problem.x[0]), [(zeros, zeros)]

    def run() -> None:
        held[0] = jax.block_until_ready(step(params, x, held[0]))

    def found() -> dict[str, Array]:
        state, ys = (zeros, zeros), []
        for now in problem.x:
            state = step(params, jnp.asarray(now), state)
            ys.append(np.asarray(state[0]))
        return {"y": np.stack(ys), "h": np.asarray(state[0]), "c": np.asarray(state[1])}

    return Ready(run, found)


def _named(y: Any, state: Any) -> dict[str, Array]:
    h, c = state
    return {"y": np.asarray(y), "h": np.asarray(h)[None], "c": np.asarray(c)[None]}


def _inference(problem: Problem, params: dict[str, Any], unroll: int) -> Ready:
    forward, x = jax.jit(partial(sequence, unroll)), jnp.asarray(problem.x)
    return Ready(
        lambda: jax.block_until_ready(forward(params, x)),
        lambda: _named(*forward(params, x)),
    )


def _training(problem: Problem, params: dict[str, Any], unroll: int) -> Ready:
    x, dy = jnp.asarray(problem.x), jnp.asarray(problem.dy)

    @jax.jit
    def both(params: Any, x: Any, dy: Any) -> Any:
        y, pull, state = jax.vjp(partial(sequence, unroll), params, x, has_aux=True)
        return y, state, pull(dy)

    def found() -> dict[str, Array]:
        y, state, (slopes, of_x) = both(params, x, dy)
        of_bias = np.asarray(slopes["b"])
        return _named(y, state) | {
            "gradient of x": np.asarray(of_x),
            "gradient of weight_ih_l0": np.asarray(slopes["W"]).T,
            "gradient of weight_hh_l0": np.asarray(slopes["U"]).T,
            "gradient of bias_ih_l0": of_bias,
            "gradient of bias_hh_l0": of_bias,
        }

    return Ready(lambda: jax.block_until_ready(both(params, x, dy)), found)


if __name__ == "__main__":
    serve(make, {"side": "jax", "versions": {"jax": jax.__version__}})
