"""Models that tests compile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Dims = list[int | str]


def tensor(name: str, dims: Dims) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)


def affine(dims: Dims) -> onnx.ModelProto:
    """A model of y = 2 x, of any shape."""
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "two"], ["y"])],
        "affine",
        [tensor("x", dims)],
        [tensor("y", dims)],
        [helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"author": "somebody"})
    return model


def documented_example(path: Path) -> Path:
    shapes: dict[str, Dims] = {"data": ["batch", 3, "height", "width"], "img_info": ["batch", 4]}
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name in shapes],
        "documented",
        [tensor(name, dims) for name, dims in shapes.items()],
        [tensor(f"{name}_out", dims) for name, dims in shapes.items()],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def external_model(folder: Path) -> Path:
    weights = numpy_helper.from_array(np.arange(300, dtype=np.float32).reshape(3, 100), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "external",
        [tensor("x", ["batch", 3])],
        [tensor("y", ["batch", 100])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path
