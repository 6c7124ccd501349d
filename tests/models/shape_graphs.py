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
    """As a text recogniser: a column of the answer for each four of the image."""
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


def free_lengths() -> onnx.ModelProto:
    """Sums the first length[i] steps of row i."""
    return model(
        [
            helper.make_node("Shape", ["x"], ["count"], start=1, end=2),
            helper.make_node("Squeeze", ["count", "first"], ["end"]),
            helper.make_node("Range", ["zero", "end", "one"], ["steps"]),
            helper.make_node("Unsqueeze", ["length", "second"], ["limit"]),
            helper.make_node("Less", ["steps", "limit"], ["inside"]),
            helper.make_node("Cast", ["inside"], ["flag"], to=Type.FLOAT),
            helper.make_node("Unsqueeze", ["flag", "third"], ["weight"]),
            helper.make_node("Mul", ["x", "weight"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "second"], ["y"], keepdims=0),
        ],
        [
            tensor("x", Type.FLOAT, ["batch", "steps", 2]),
            tensor("length", Type.INT64, ["batch"]),
        ],
        [tensor("y", Type.FLOAT, ["batch", 2])],
        [
            constant("zero", 0),
            constant("one", 1),
            constant("first", [0]),
            constant("second", [1]),
            constant("third", [2]),
        ],
    )


def lengths_feeds(n: int, rng: np.random.Generator) -> Feeds:
    return {
        "x": rng.standard_normal((n, 5, 2), dtype=np.float32),
        "length": rng.integers(1, 6, n),
    }


def free_points() -> onnx.ModelProto:
    """The largest coordinates of a set of points: one point more of the same changes nothing."""
    return model(
        [helper.make_node("ReduceMax", ["points"], ["largest"], axes=[1], keepdims=0)],
        [tensor("points", Type.FLOAT, ["batch", "count", 3])],
        [tensor("largest", Type.FLOAT, ["batch", 3])],
    )


def shared_output() -> onnx.ModelProto:
    """Beside y = x + x it tells its classes, which have no batch axis."""
    return model(
        [
            helper.make_node("Add", ["x", "x"], ["y"]),
            helper.make_node("Identity", ["table"], ["classes"]),
        ],
        [tensor("x", Type.FLOAT, ["batch", 4])],
        [tensor("y", Type.FLOAT, ["batch", 4]), tensor("classes", Type.FLOAT, [3])],
        [constant("table", [1.0, 2.0, 3.0], np.float32)],
    )


def two_rows_per_row() -> onnx.ModelProto:
    """Row i of x gives rows 2 i, which is x, and 2 i + 1, which is -x, of y."""
    return model(
        [
            helper.make_node("Neg", ["x"], ["negative"]),
            helper.make_node("Concat", ["x", "negative"], ["pairs"], axis=1),
            helper.make_node("Reshape", ["pairs", "shape"], ["y"]),
        ],
        [tensor("x", Type.FLOAT, ["batch", 4])],
        [tensor("y", Type.FLOAT, ["rows", 4])],
        [constant("shape", [-1, 4])],
    )
