"""onnxruntime's side of ``engine.py``: one LSTM node built by hand, with IO binding or through ``run``."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from engine_side import Absent, Array, Problem, Ready, fastest, keep_to_cores, serve, threads
from onnx import TensorProto, helper, numpy_helper

_OPSET, _IR = 21, 10
_STEP = ("Y_h", "Y_c")


def make(problem: Problem) -> Ready:
    """The problem on a session; what is small may be faster on one thread, so both are tried."""
    if problem.kind == "training":
        raise Absent("onnxruntime has no gradients")
    way = {"bound": _bound, "checked": _run, "inference": _sequence}[problem.kind]
    return fastest([way(problem, _session(problem, count)) for count in sorted({1, threads()})])


def _gates(part: Array) -> Array:
    """Blocks of rows i f g o to ONNX's i o f c."""
    i, f, g, o = np.split(part, 4)
    return np.concatenate([i, o, f, g])


def _session(problem: Problem, count: int) -> Any:
    """One LSTM node; with a state as input where it steps."""
    weights, H = problem.weights, problem.hidden
    T, B, I = (1, 1, problem.x.shape[2]) if problem.streams else problem.x.shape  # noqa: E741
    bias = np.concatenate([_gates(weights["bias_ih"]), _gates(weights["bias_hh"])])
    held = {"W": _gates(weights["weight_ih"]), "R": _gates(weights["weight_hh"]), "B": bias}
    inputs = {"X": (T, B, I)} | ({"h": (1, B, H), "c": (1, B, H)} if problem.streams else {})
    outputs = {"Y": (T, 1, B, H), "Y_h": (1, B, H), "Y_c": (1, B, H)}
    names = ["X", "W", "R", "B", *(("", "h", "c") if problem.streams else ())]
    made = ["" if problem.streams and name == "Y" else name for name in outputs]
    node = helper.make_node("LSTM", names, made, hidden_size=H)
    graph = helper.make_graph(
        [node],
        "lstm",
        [_value(name, shape) for name, shape in inputs.items()],
        [_value(name, outputs[name]) for name in made if name],
        [numpy_helper.from_array(part[None], name) for name, part in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    onnx.checker.check_model(model)
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = count, 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _value(name: str, shape: tuple[int, ...]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _binding(session: Any, inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    made = session.io_binding()
    for name, value in inputs.items():
        made.bind_ortvalue_input(name, value)
    for name, value in outputs.items():
        made.bind_ortvalue_output(name, value)
    return made


def _ort(array: Array) -> Any:
    return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))


def _sequence(problem: Problem, session: Any) -> Ready:
    T, B, _ = problem.x.shape
    shapes = {"Y": (T, 1, B, problem.hidden), "Y_h": (1, B, problem.hidden), "Y_c": (1, B, problem.hidden)}
    made = {name: _ort(np.zeros(shape, np.float32)) for name, shape in shapes.items()}
    bound = _binding(session, {"X": _ort(problem.x)}, made)

    def found() -> dict[str, Array]:
        session.run_with_iobinding(bound)
        return {"y": made["Y"].numpy()[:, 0], "h": made["Y_h"].numpy(), "c": made["Y_c"].numpy()}

    return Ready(lambda: session.run_with_iobinding(bound), found)


def _zeros(problem: Problem) -> Array:
    return np.zeros((1, 1, problem.hidden), np.float32)


def _bound(problem: Problem, session: Any) -> Ready:
    """Two bindings in turns: each reads the state that the other wrote, and nothing is copied."""
    x = _ort(problem.x[:1])
    states = [{name: _ort(_zeros(problem)) for name in "hc"} for _ in range(2)]
    turns = [
        _binding(session, {"X": x, **old}, {f"Y_{name}": new[name] for name in "hc"})
        for old, new in (states, states[::-1])
    ]
    turn = [0]

    def run() -> None:
        session.run_with_iobinding(turns[turn[0]])
        turn[0] ^= 1

    def found() -> dict[str, Array]:
        turn[0] = 0
        for part in states[0].values():
            part.update_inplace(_zeros(problem))
        ys = []
        for now in problem.x:
            x.update_inplace(now[None])
            run()
            ys.append(states[turn[0]]["h"].numpy()[0].copy())
        return {"y": np.stack(ys), **{name: states[turn[0]][name].numpy()[0] for name in "hc"}}

    return Ready(run, found)


def _run(problem: Problem, session: Any) -> Ready:
    """``InferenceSession.run`` on numpy arrays, the state handed back in."""
    held = [_zeros(problem), _zeros(problem)]
    x = problem.x[:1]

    def step(now: Array, state: list[Array]) -> list[Array]:
        return list(session.run(_STEP, {"X": now, "h": state[0], "c": state[1]}))

    def run() -> None:
        held[:] = step(x, held)

    def found() -> dict[str, Array]:
        state, ys = [_zeros(problem), _zeros(problem)], []
        for now in problem.x:
            state = step(now[None], state)
            ys.append(state[0][0])
        return {"y": np.stack(ys), "h": state[0][0], "c": state[1][0]}

    return Ready(run, found)


if __name__ == "__main__":
    keep_to_cores()
    serve(
        make, {"side": "onnxruntime", "versions": {"onnxruntime": ort.__version__, "onnx": onnx.__version__}}
    )
