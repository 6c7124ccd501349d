"""Graphs whose rows differ in shape, or whose batch is not the first axis."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto as Type
from onnx import helper

from model_graphs import Feeds, constant, model, tensor, weights


def free_sequence() -> onnx.ModelProto:
    """Text of any length: a vector for each token, and their mean under the mask."""
    sequence = ["batch", "sequence"]
    return model(
        [
            helper.make_node("Gather", ["table", "ids"], ["looked_up"]),
            helper.make_node("MatMul", ["looked_up", "w"], ["projected"]),
            helper.make_node("Tanh", ["projected"], ["tokens"]),
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=Type.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["weight"]),
            helper.make_node("Mul", ["tokens", "weight"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "first"], ["total"], keepdims=0),
            helper.make_node("ReduceSum", ["weight", "first"], ["count"], keepdims=0),
            helper.make_node("Div", ["total", "count"], ["pooled"]),
        ],
        [tensor("ids", Type.INT64, sequence), tensor("attention_mask", Type.INT64, sequence)],
        [
            tensor("tokens", Type.FLOAT, [*sequence, 4]),
            tensor("pooled", Type.FLOAT, ["batch", 4]),
        ],
        [
            weights("table", 16, 8),
            weights("w", 8, 4, seed=1),
            constant("last", [2]),
            constant("first", [1]),
        ],
    )


def free_sequence_feeds(n: int, rng: np.random.Generator) -> Feeds:
    ids = rng.integers(0, 16, (n, 5), dtype=np.int64)
    return {"ids": ids, "attention_mask": np.ones_like(ids)}


def axis_one() -> onnx.ModelProto:
    """A state whose batch stands on axis 1, as those of recurrent layers do."""
    return model(
        [
            helper.make_node("MatMul", ["x", "w"], ["part"]),
            helper.make_node("ReduceSum", ["state", "layers"], ["flat"], keepdims=0),
            helper.make_node("Add", ["part", "flat"], ["y"]),
            helper.make_node("Unsqueeze", ["y", "layers"], ["one"]),
            helper.make_node("Add", ["state", "one"], ["next_state"]),
        ],
        [
            tensor("x", Type.FLOAT, ["batch", 3]),
            tensor("state", Type.FLOAT, [2, "batch", 4]),
        ],
        [
            tensor("y", Type.FLOAT, ["batch", 4]),
            tensor("next_state", Type.FLOAT, [2, "batch", 4]),
        ],
        [weights("w", 3, 4), constant("layers", [0])],
    )


def axis_one_feeds(n: int, rng: np.random.Generator) -> Feeds:
    return {
        "x": rng.standard_normal((n, 3), dtype=np.float32),
        "state": rng.standard_normal((2, n, 4), dtype=np.float32),
    }


def free_image() -> onnx.ModelProto:
    """An image of any size, filtered, and its mean."""
    return model(
        [
            helper.make_node("Conv", ["image", "filter"], ["filtered"], pads=[1, 1, 1, 1]),
            helper.make_node("GlobalAveragePool", ["filtered"], ["mean"]),
        ],
        [tensor("image", Type.FLOAT, ["batch", 1, "height", "width"])],
        [
            tensor("filtered", Type.FLOAT, ["batch", 2, "height", "width"]),
            tensor("mean", Type.FLOAT, ["batch", 2, 1, 1]),
        ],
        [weights("filter", 2, 1, 3, 3)],
    )


def free_image_feeds(n: int, rng: np.random.Generator) -> Feeds:
    return {"image": rng.standard_normal((n, 1, 6, 9), dtype=np.float32)}


def shrinking_width() -> onnx.ModelProto:
    """As a text recogniser: a column of the answer for each four of the image, and masked by nothing."""
    return model(
        [helper.make_node("Conv", ["image", "filter"], ["y"], strides=[4, 4])],
        [tensor("image", Type.FLOAT, ["batch", 1, 4, "width"])],
        [tensor("y", Type.FLOAT, ["batch", 2, 1, "columns"])],
        [weights("filter", 2, 1, 4, 4)],
    )


def shrinking_width_feeds(n: int, rng: np.random.Generator) -> Feeds:
    return {"image": rng.standard_normal((n, 1, 4, 16), dtype=np.float32)}


def flat_sum() -> onnx.ModelProto:
    """Ragged rows one after the other, doubled; and where each request ends, as told."""
    return model(
        [
            helper.make_node("Add", ["INPUT", "INPUT"], ["OUTPUT"]),
            helper.make_node("Identity", ["INDEX"], ["ENDS"]),
        ],
        [tensor("INPUT", Type.FLOAT, ["elements"]), tensor("INDEX", Type.FLOAT, ["requests"])],
        [tensor("OUTPUT", Type.FLOAT, ["elements"]), tensor("ENDS", Type.FLOAT, ["requests"])],
    )
