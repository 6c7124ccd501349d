"""A graph with a state that its callers carry from call to call."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto as Type
from onnx import helper

from model_graphs import constant, model, tensor

SAMPLES = 576
FRAME, HOP = 256, 128  # samples
FEATURES = 128
STATE = 128


def filters(name: str, *shape: int, fan_in: int, seed: int) -> onnx.TensorProto:
    """Weights that leave the scale of what they are applied to."""
    rng = np.random.default_rng([seed, *shape])
    return constant(name, rng.standard_normal(shape) / np.sqrt(fan_in), np.float32)


def voice_activity() -> onnx.ModelProto:
    """Speech or not, one window of sound a row: a spectrum, convolutions, one step of an LSTM.

    Made after voice activity detectors in common use, with the batch axis of the state in front.
    """
    nodes = [
        helper.make_node("Unsqueeze", ["sound", "axis_1"], ["signal"]),
        helper.make_node("Conv", ["signal", "basis"], ["spectrum"], strides=[HOP]),
        helper.make_node("Abs", ["spectrum"], ["magnitude"]),
        helper.make_node("Conv", ["magnitude", "w1", "b1"], ["c1"], pads=[1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], pads=[1, 1], strides=[2]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("ReduceMean", ["r2"], ["features"], axes=[2], keepdims=0),
        # An LSTM wants its time axis first, before the rows.
        helper.make_node("Unsqueeze", ["features", "axis_0"], ["step"]),
        helper.make_node("Unsqueeze", ["h", "axis_0"], ["h_before"]),
        helper.make_node("Unsqueeze", ["c", "axis_0"], ["c_before"]),
        helper.make_node(
            "LSTM",
            ["step", "w_lstm", "r_lstm", "", "", "h_before", "c_before"],
            ["", "h_after", "c_after"],
            hidden_size=STATE,
        ),
        helper.make_node("Squeeze", ["c_after", "axis_0"], ["c_next"]),
        helper.make_node("Squeeze", ["h_after", "axis_0"], ["h_next"]),
        helper.make_node("Gemm", ["h_next", "w_out", "b_out"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["speech"]),
    ]
    state = [tensor(name, Type.FLOAT, ["batch", STATE]) for name in ("h", "c")]
    state_after = [tensor(name, Type.FLOAT, ["batch", STATE]) for name in ("c_next", "h_next")]
    return model(
        nodes,
        [tensor("sound", Type.FLOAT, ["batch", SAMPLES]), *state],
        [*state_after, tensor("speech", Type.FLOAT, ["batch", 1])],
        [
            constant("axis_0", [0]),
            constant("axis_1", [1]),
            filters("basis", FEATURES, 1, FRAME, fan_in=FRAME, seed=1),
            filters("w1", 64, FEATURES, 3, fan_in=3 * FEATURES, seed=2),
            constant("b1", np.zeros(64), np.float32),
            filters("w2", FEATURES, 64, 3, fan_in=3 * 64, seed=3),
            constant("b2", np.zeros(FEATURES), np.float32),
            filters("w_lstm", 1, 4 * STATE, FEATURES, fan_in=FEATURES, seed=4),
            filters("r_lstm", 1, 4 * STATE, STATE, fan_in=STATE, seed=5),
            filters("w_out", STATE, 1, fan_in=STATE, seed=6),
            constant("b_out", [0.0], np.float32),
        ],
    )
