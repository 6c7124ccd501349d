"""What is measured: small ONNX models, and a function that does almost nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

import dynbatch
from bench.load.models import SMALL_MODELS

Array = np.ndarray[Any, Any]

ROW: Array = np.ones((1, 64), dtype=np.float32)


def native(**options: Any) -> dynbatch.Model:
    """One Gemm of 64 by 64, run by C++ threads."""
    return dynbatch.load(
        SMALL_MODELS / "one_gemm.onnx", execution="native", batching="always", **options
    )


def session() -> onnxruntime.InferenceSession:
    """The same model without dynbatch, with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        SMALL_MODELS / "one_gemm.onnx", options, providers=["CPUExecutionProvider"]
    )


def sequences(**options: Any) -> dynbatch.Model:
    """Text of any length; requests of equal lengths share batches."""
    from shape_graphs import free_sequence

    return dynbatch.load(
        free_sequence().SerializeToString(), execution="native", batching="always", **options
    )


def double(x: Array) -> Array:
    return 2 * x


def function(call: Any = double, **options: Any) -> dynbatch.Batcher:
    """A function, run by a Python thread."""
    return dynbatch.Batcher(call, example=ROW, batching="always", **options)
