"""Graphs that a batching runtime must not merge, has to fill, or must refuse to load."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto as Type
from onnx import helper

from model_graphs import Feeds, constant, model, pointwise, tensor, weights

# Rows mix.


def softmax_axis0() -> onnx.ModelProto:
    return model(
        [helper.make_node("Softmax", ["x"], ["y"], axis=0)],
        [tensor("x", Type.FLOAT, ["batch", 8])],
        [tensor("y", Type.FLOAT, ["batch", 8])],
    )


def mean_axis0() -> onnx.ModelProto:
    """Centres the batch: x minus its mean over axis 0."""
    return model(
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["x", "mean"], ["y"]),
        ],
        [tensor("x", Type.FLOAT, ["batch", 8])],
        [tensor("y", Type.FLOAT, ["batch", 8])],
    )


def cumsum_axis0() -> onnx.ModelProto:
    """Only earlier rows leak into later ones: the first row is always right."""
    return model(
        [helper.make_node("CumSum", ["x", "axis"], ["y"])],
        [tensor("x", Type.FLOAT, ["batch", 8])],
        [tensor("y", Type.FLOAT, ["batch", 8])],
        [constant("axis", 0)],
    )


def attention_over_rows() -> onnx.ModelProto:
    """Y = x xT x."""
    return model(
        [
            helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0]),
            helper.make_node("MatMul", ["x", "xt"], ["scores"]),
            helper.make_node("MatMul", ["scores", "x"], ["y"]),
        ],
        [tensor("x", Type.FLOAT, ["batch", 8])],
        [tensor("y", Type.FLOAT, ["batch", 8])],
    )


def dynamic_quantised() -> onnx.ModelProto:
    """A Gemm in int8 whose activation scale comes from the whole batch."""
    return model(
        [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
            helper.make_node("MatMulInteger", ["q", "w", "zero"], ["product"]),
            helper.make_node("Cast", ["product"], ["sum"], to=Type.FLOAT),
            helper.make_node("Mul", ["sum", "scale"], ["y"]),
        ],
        [tensor("x", Type.FLOAT, ["batch", 64])],
        [tensor("y", Type.FLOAT, ["batch", 16])],
        [constant("w", np.random.default_rng(1).integers(-128, 128, (64, 16)), np.int8)],
    )


def padded_to_longest() -> onnx.ModelProto:
    """y[i, j] = 1 where j < length[i], as wide as the longest row: company changes the shape."""
    return model(
        [
            helper.make_node("ReduceMax", ["length"], ["longest"], keepdims=0),
            helper.make_node("Range", ["zero", "longest", "one"], ["columns"]),
            helper.make_node("Unsqueeze", ["length", "last_axis"], ["limit"]),
            helper.make_node("Less", ["columns", "limit"], ["y"]),
        ],
        [tensor("length", Type.INT64, ["batch"])],
        [tensor("y", Type.BOOL, ["batch", None])],
        [constant("zero", 0), constant("one", 1), constant("last_axis", [1])],
    )


def length_feeds(n: int, rng: np.random.Generator) -> Feeds:
    return {"length": rng.permutation(np.arange(1, 10))[:n].astype(np.int64)}


# The batch axis is static.


def fixed_batch() -> onnx.ModelProto:
    return model(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
        [tensor("x", Type.FLOAT, [4, 16])],
        [tensor("y", Type.FLOAT, [4, 8])],
        [weights("w", 16, 8, seed=1), weights("b", 8, seed=2)],
    )


# Not loadable.


def static_leading_one() -> onnx.ModelProto:
    return pointwise(Type.FLOAT, [1, 16], [1, 16])


def string_input() -> onnx.ModelProto:
    return model(
        [
            helper.make_node(
                "LabelEncoder",
                ["word"],
                ["label"],
                domain="ai.onnx.ml",
                keys_strings=["cat", "dog"],
                values_int64s=[1, 2],
                default_int64=0,
            )
        ],
        [tensor("word", Type.STRING, ["batch"])],
        [tensor("label", Type.INT64, ["batch"])],
    )


def string_feeds(n: int, rng: np.random.Generator) -> Feeds:
    return {"word": rng.choice(np.array(["cat", "dog", "owl"], dtype=object), n)}


def sequence_output() -> onnx.ModelProto:
    sequence = helper.make_tensor_sequence_value_info("y", Type.FLOAT, None)
    return model(
        [helper.make_node("SplitToSequence", ["x"], ["y"], axis=0)],
        [tensor("x", Type.FLOAT, ["batch", 8])],
        [sequence],
    )


def no_batched_input() -> onnx.ModelProto:
    return pointwise(Type.FLOAT, [], [])


def doubled_rows() -> onnx.ModelProto:
    """The output has 2 n rows."""
    return model(
        [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)],
        [tensor("x", Type.FLOAT, ["batch", 8])],
        [tensor("y", Type.FLOAT, ["rows", 8])],
    )


def sum_of_rows() -> onnx.ModelProto:
    """The output has no batch axis at all."""
    return model(
        [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)],
        [tensor("x", Type.FLOAT, ["batch", 8])],
        [tensor("y", Type.FLOAT, [])],
    )


def nonzero_output() -> onnx.ModelProto:
    """The output is [2, k], k known only after the run: at n = 2 it looks like a batch."""
    return model(
        [helper.make_node("NonZero", ["x"], ["y"])],
        [tensor("x", Type.FLOAT, ["batch", 8])],
        [tensor("y", Type.INT64, [2, None])],
    )


def scalar_feeds(_n: int, _rng: np.random.Generator) -> Feeds:
    return {"x": np.array(1.5, dtype=np.float32)}
