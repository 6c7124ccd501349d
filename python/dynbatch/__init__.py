"""In-process dynamic batching for ONNX models and Python functions.

    model = dynbatch.load("model.onnx")
    model.run(None, {"x": x})               # as InferenceSession.run, from any thread
    await model.infer_async({"x": x})       # from any coroutine

Requests that arrive together run together, where that pays and changes no answer.
"""

from __future__ import annotations

from pathlib import Path

from dynbatch._batch_inputs import BatchInput, BatchOutput
from dynbatch._batcher import BatchedFunction, Batcher, batched
from dynbatch._compile import CompiledGear, CompileResult, compile
from dynbatch._core import __version__
from dynbatch._declarations import Input, Output
from dynbatch._errors import (
    Cancelled,
    Closed,
    CompileError,
    Error,
    ExecutionError,
    InvalidArgument,
    InvalidInput,
    ModelError,
    QueueFull,
    RowsMixWarning,
    Timeout,
)
from dynbatch._future import Future
from dynbatch._gear_model import GearModel
from dynbatch._model import Model, load
from dynbatch._stats import Gear, GearBytes, GearTable, MemoryPlan, Quantiles, Stats
from dynbatch._tensors import ModelMetadata, NodeArg

__all__ = [
    "BatchInput",
    "BatchOutput",
    "BatchedFunction",
    "Batcher",
    "Cancelled",
    "Closed",
    "CompileError",
    "CompileResult",
    "CompiledGear",
    "Error",
    "ExecutionError",
    "Future",
    "Gear",
    "GearBytes",
    "GearModel",
    "GearTable",
    "Input",
    "InvalidArgument",
    "InvalidInput",
    "MemoryPlan",
    "Model",
    "ModelError",
    "ModelMetadata",
    "NodeArg",
    "Output",
    "Quantiles",
    "QueueFull",
    "RowsMixWarning",
    "Stats",
    "Timeout",
    "__version__",
    "batched",
    "compile",
    "load",
    "package_folder",
]


def package_folder() -> Path:
    """Where the C++ package lies: `include`, `lib` and `lib/cmake/dynbatch` are below it."""
    from dynbatch import _core

    # Beside the extension, which an editable install keeps apart from the Python sources.
    return Path(_core.__file__).parent
