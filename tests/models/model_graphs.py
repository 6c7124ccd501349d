"""Graphs whose rows are independent: any batch of them is right.

Beside them stand the few functions from which every graph of the test models is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto as Type
from onnx import helper, numpy_helper

Feeds = dict[str, np.ndarray[Any, Any]]
Dimension = int | str | None

IR_VERSION = 9
OPSETS = (helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2))


def tensor(name: str, element: int, shape: Sequence[Dimension]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


def constant(name: str, values: Any, dtype: Any = np.int64) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def weights(name: str, *shape: int, seed: int = 0) -> onnx.TensorProto:
    rng = np.random.default_rng([seed, *shape])
    return constant(name, rng.standard_normal(shape) / np.sqrt(shape[0]), np.float32)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    initializers: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "graph", inputs, outputs, initializers)
    built = helper.make_model(
        graph, ir_version=IR_VERSION, opset_imports=OPSETS, producer_name="dynbatch-tests"
    )
    onnx.checker.check_model(built)
    return built


def pointwise(
    element: int, input_shape: Sequence[Dimension], output_shape: Sequence[Dimension]
) -> onnx.ModelProto:
    """Y = x + x: the smallest model with the given shapes."""
    return model(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [tensor("x", element, input_shape)],
        [tensor("y", element, output_shape)],
    )


def normal(**shapes: tuple[int, ...]) -> Callable[[int, np.random.Generator], Feeds]:
    """Feeds of float rows from a normal distribution, one input for each argument."""

    def make(n: int, rng: np.random.Generator) -> Feeds:
        return {k: rng.standard_normal((n, *v), dtype=np.float32) for k, v in shapes.items()}

    return make


def mlp() -> onnx.ModelProto:
    """256-1024-256 with two megabytes of weights: batching pays on a CPU."""
    return model(
        [
            helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]),
            helper.make_node("Relu", ["h"], ["a"]),
            helper.make_node("Gemm", ["a", "w2", "b2"], ["y"]),
        ],
        [tensor("x", Type.FLOAT, ["batch", 256])],
        [tensor("y", Type.FLOAT, ["batch", 256])],
        [
            weights("w1", 256, 1024, seed=1),
            weights("b1", 1024, seed=2),
            weights("w2", 1024, 256, seed=3),
            weights("b2", 256, seed=4),
        ],
    )


def one_gemm() -> onnx.ModelProto:
    """One 64x64 Gemm: a run costs about as much as the call."""
    return model(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
        [tensor("x", Type.FLOAT, ["batch", 64])],
        [tensor("y", Type.FLOAT, ["batch", 64])],
        [weights("w", 64, 64, seed=1), weights("b", 64, seed=2)],
    )


def identity() -> onnx.ModelProto:
    """Sixteen numbers handed through: a run costs next to nothing."""
    return model(
        [helper.make_node("Identity", ["x"], ["y"])],
        [tensor("x", Type.FLOAT, ["batch", 16])],
        [tensor("y", Type.FLOAT, ["batch", 16])],
    )


def two_inputs() -> onnx.ModelProto:
    """Rows of two megabytes beside rows of sixteen bytes: alignment and copy size differ."""
    return model(
        [
            helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["mean"]),
            helper.make_node("Gemm", ["box", "w", "b"], ["place"]),
            helper.make_node("Add", ["mean", "place"], ["y"]),
        ],
        [
            tensor("image", Type.FLOAT, ["batch", 3, 416, 416]),
            tensor("box", Type.FLOAT, ["batch", 4]),
        ],
        [tensor("y", Type.FLOAT, ["batch", 3])],
        [weights("w", 4, 3, seed=1), weights("b", 3, seed=2)],
    )


def scalar_rows() -> onnx.ModelProto:
    """Rows without dimensions: the batch axis is the only one."""
    return pointwise(Type.FLOAT, ["batch"], ["batch"])


def many_types() -> onnx.ModelProto:
    """An input of every common element type, and outputs of three types."""
    elements = {
        "f32": Type.FLOAT,
        "f64": Type.DOUBLE,
        "f16": Type.FLOAT16,
        "i64": Type.INT64,
        "i32": Type.INT32,
        "i8": Type.INT8,
        "u8": Type.UINT8,
        "flag": Type.BOOL,
    }
    casts = [helper.make_node("Cast", [k], [f"{k}_d"], to=Type.DOUBLE) for k in elements]
    return model(
        [
            *casts,
            helper.make_node("Sum", [f"{k}_d" for k in elements], ["total"]),
            helper.make_node("Cast", ["total"], ["total_f32"], to=Type.FLOAT),
            helper.make_node("Identity", ["i64"], ["i64_same"]),
            helper.make_node("Not", ["flag"], ["flag_not"]),
        ],
        [tensor(k, element, ["batch", 3]) for k, element in elements.items()],
        [
            tensor("total_f32", Type.FLOAT, ["batch", 3]),
            tensor("i64_same", Type.INT64, ["batch", 3]),
            tensor("flag_not", Type.BOOL, ["batch", 3]),
        ],
    )


def many_types_feeds(n: int, rng: np.random.Generator) -> Feeds:
    whole = rng.integers(0, 100, (n, 3))
    dtypes = {
        "f32": np.float32,
        "f64": np.float64,
        "f16": np.float16,
        "i64": np.int64,
        "i32": np.int32,
        "i8": np.int8,
        "u8": np.uint8,
    }
    feeds: Feeds = {k: (whole + i).astype(dtype) for i, (k, dtype) in enumerate(dtypes.items())}
    return feeds | {"flag": whole % 2 == 0}


def guarded_gather() -> onnx.ModelProto:
    """Looks ids up in a table of 100: one id out of range fails the whole run."""
    return model(
        [
            helper.make_node("Gather", ["table", "ids"], ["rows"], axis=0),
            helper.make_node("ReduceMean", ["rows"], ["y"], axes=[1], keepdims=0),
        ],
        [tensor("ids", Type.INT64, ["batch", 4])],
        [tensor("y", Type.FLOAT, ["batch", 8])],
        [weights("table", 100, 8, seed=1)],
    )


def gather_feeds(n: int, rng: np.random.Generator) -> Feeds:
    return {"ids": rng.integers(0, 100, (n, 4))}


def default_input() -> onnx.ModelProto:
    """`scale` has an initialiser as its default: callers need not feed it."""
    return model(
        [helper.make_node("Mul", ["x", "scale"], ["y"])],
        [tensor("x", Type.FLOAT, ["batch", 8]), tensor("scale", Type.FLOAT, [1])],
        [tensor("y", Type.FLOAT, ["batch", 8])],
        [constant("scale", [3.0], np.float32)],
    )


def unknown_inner_output() -> onnx.ModelProto:
    """The output's second dimension is known only after the run, and is always 8."""
    return model(
        [
            helper.make_node("Shape", ["x"], ["shape"], start=1),
            helper.make_node("ConstantOfShape", ["shape"], ["ones"], value=constant("value", [1])),
            helper.make_node("NonZero", ["ones"], ["places"]),
            helper.make_node("Squeeze", ["places", "zero"], ["columns"]),
            helper.make_node("Gather", ["x", "columns"], ["y"], axis=1),
        ],
        [tensor("x", Type.FLOAT, ["batch", 8])],
        [tensor("y", Type.FLOAT, ["batch", None])],
        [constant("zero", [0])],
    )


# Shared inputs: no batch axis, the same for all rows of a run.


def shared_scalar() -> onnx.ModelProto:
    return model(
        [helper.make_node("Mul", ["x", "scale"], ["y"])],
        [tensor("x", Type.FLOAT, ["batch", 16]), tensor("scale", Type.FLOAT, [])],
        [tensor("y", Type.FLOAT, ["batch", 16])],
    )


def shared_scalar_feeds(n: int, rng: np.random.Generator) -> Feeds:
    return {
        "x": rng.standard_normal((n, 16), dtype=np.float32),
        "scale": np.array(2.5, dtype=np.float32),
    }


def shared_matrix() -> onnx.ModelProto:
    """The leading dimension of `matrix` is static, so that it is no batch axis."""
    return model(
        [helper.make_node("MatMul", ["x", "matrix"], ["y"])],
        [tensor("x", Type.FLOAT, ["batch", 16]), tensor("matrix", Type.FLOAT, [16, 4])],
        [tensor("y", Type.FLOAT, ["batch", 4])],
    )


def shared_matrix_feeds(n: int, rng: np.random.Generator) -> Feeds:
    matrix = np.random.default_rng(7).standard_normal((16, 4), dtype=np.float32)
    return {"x": rng.standard_normal((n, 16), dtype=np.float32), "matrix": matrix}


def shared_mask() -> onnx.ModelProto:
    """Keeps the columns that `keep` marks: an output dimension depends on a shared input's data."""
    return model(
        [helper.make_node("Compress", ["x", "keep"], ["y"], axis=1)],
        [tensor("x", Type.FLOAT, ["batch", 8]), tensor("keep", Type.BOOL, [8])],
        [tensor("y", Type.FLOAT, ["batch", None])],
    )


def shared_mask_feeds(n: int, rng: np.random.Generator) -> Feeds:
    return {"x": rng.standard_normal((n, 8), dtype=np.float32), "keep": np.arange(8) % 3 > 0}


# Free dimensions that a caller binds with `dimensions=`.


def free_named() -> onnx.ModelProto:
    return pointwise(Type.FLOAT, ["batch", "height", "width"], ["batch", "height", "width"])


def free_named_alike() -> onnx.ModelProto:
    """Height and width are both named "?", and the batch axis has no name."""
    return model(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["y"]),
        ],
        [tensor("x", Type.FLOAT, [None, 3, "?", "?"])],
        [tensor("y", Type.FLOAT, [None, 3])],
    )


def free_unnamed() -> onnx.ModelProto:
    return pointwise(Type.FLOAT, [None, None, None], [None, None, None])
