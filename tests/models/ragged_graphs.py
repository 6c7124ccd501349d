"""Graphs with ragged inputs: rows of any size follow each other in one flat tensor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto as Type
from onnx import helper

from model_graphs import Feeds, model, tensor

DTYPES = {"int32": np.int32, "int64": np.int64, "float32": np.float32}
ELEMENTS = {"int32": Type.INT32, "int64": Type.INT64, "float32": Type.FLOAT}


def ragged(name: str, dtype: str, index_shape: list[None]) -> Callable[[], onnx.ModelProto]:
    """OUTPUT is INPUT, and SEEN is INDEX, which a batch input makes."""

    def build() -> onnx.ModelProto:
        return model(
            [
                helper.make_node("Identity", ["INPUT"], ["OUTPUT"]),
                helper.make_node("Identity", ["INDEX"], ["SEEN"]),
            ],
            [tensor("INPUT", Type.FLOAT, [None]), tensor("INDEX", ELEMENTS[dtype], index_shape)],
            [tensor("OUTPUT", Type.FLOAT, [None]), tensor("SEEN", ELEMENTS[dtype], index_shape)],
        )

    build.__name__ = name
    return build


def ragged_feeds(dtype: str, index_rank: int) -> Callable[[int, np.random.Generator], Feeds]:
    """What a runtime makes of n requests of one row, which have 3, 4, 5, ... elements."""

    def make(n: int, rng: np.random.Generator) -> Feeds:
        counts = np.arange(3, 3 + n)
        index = np.cumsum(counts) if index_rank == 1 else counts[:, None]
        return {
            "INPUT": rng.standard_normal(int(counts.sum()), dtype=np.float32),
            "INDEX": index.astype(DTYPES[dtype]),
        }

    return make


def ragged_declared() -> onnx.ModelProto:
    """The same model, which says of itself what a runtime has to know."""
    built = ragged("ragged_declared", "float32", [None])()
    lines = [
        "# Rows of any shape follow each other in one flat tensor.",
        "input INPUT ragged=true",
        "output SEEN shared=true",
        "batch_input kind=BATCH_ACCUMULATED_ELEMENT_COUNT data_type=FP32 target_name=INDEX"
        " source_input=INPUT",
        "batch_output kind=BATCH_SCATTER_WITH_INPUT_SHAPE target_name=OUTPUT source_input=INPUT",
    ]
    entry = built.metadata_props.add()
    entry.key, entry.value = "dynbatch.declarations", "\n".join(lines)
    return built
