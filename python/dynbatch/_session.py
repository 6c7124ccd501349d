"""Python execution: batches run by an `onnxruntime.InferenceSession` over gear memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from dynbatch import _core
from dynbatch._errors import InvalidArgument, ModelError
from dynbatch._executors import (
    CPU_PROVIDER,
    OnnxExecutor,
    OnnxOptions,
    given_by_callers,
    provider_names,
    selected,
    session_entries,
    wanted_outputs,
)
from dynbatch._onnxruntime import warn_about_two_builds
from dynbatch._tensors import ONNX_TYPES, Array

_DTYPES = {onnx_type: dtype for dtype, onnx_type in ONNX_TYPES.items()}

# Bindings that are kept, at about 3 KB each. One is needed for each pair of blocks and batch size
# that come together.
_MOST_BINDINGS = 1024

# As in native execution: ONNX Runtime itself would run out of memory.
_MOST_THREADS = 4096


# The key of what was compiled into a model, which may bind dimensions.
_COMPILED = "dynbatch.gears"


class SessionRun:
    """Runs one batch in a session: called by the core with arrays over the memory of a batch."""

    def __init__(self, session: Any, spec: _core.ModelSpec) -> None:
        import onnxruntime

        self._session = session
        self._inputs = [(tensor.name, _element_type(tensor)) for tensor in spec.inputs]
        self._outputs = [(tensor.name, _element_type(tensor)) for tensor in spec.outputs]
        self._run_options = onnxruntime.RunOptions()
        # A binding to another device holds a copy of its inputs, so that it serves one run only.
        self._keeps_bindings = session.get_providers() == [CPU_PROVIDER]
        self._bindings: dict[tuple[int, ...], Any] = {}

    def __call__(
        self, inputs: Sequence[Array], outputs: Sequence[Array | None]
    ) -> list[Array | None]:
        """Writes into `outputs`; returns those arrays that had no place there."""
        binding = self._binding(inputs, outputs)
        self._session.run_with_iobinding(binding, self._run_options)
        if all(output is not None for output in outputs):
            return [None] * len(outputs)
        values = binding.get_outputs()
        return [
            value.numpy() if output is None else None
            for value, output in zip(values, outputs, strict=True)
        ]

    def terminate(self) -> None:
        """Ends the runs that are under way, and later ones, early."""
        self._run_options.terminate = True

    def _binding(self, inputs: Sequence[Array], outputs: Sequence[Array | None]) -> Any:
        known = [output for output in outputs if output is not None]
        if not self._keeps_bindings or len(known) < len(outputs):
            return self._bind(inputs, outputs)
        key = (*map(_address, inputs), *map(_address, known), len(known[0]))
        binding = self._bindings.get(key)
        if binding is None:
            if len(self._bindings) >= _MOST_BINDINGS:
                self._bindings.clear()
            binding = self._bindings[key] = self._bind(inputs, outputs)
        return binding

    def _bind(self, inputs: Sequence[Array], outputs: Sequence[Array | None]) -> Any:
        binding = self._session.io_binding()
        for (name, dtype), array in zip(self._inputs, inputs, strict=True):
            binding.bind_input(name, "cpu", 0, dtype, array.shape, _address(array))
        for (name, dtype), output in zip(self._outputs, outputs, strict=True):
            if output is None:
                binding.bind_output(name, "cpu")
            else:
                binding.bind_output(name, "cpu", 0, dtype, output.shape, _address(output))
        return binding


def open_session(model: str | bytes, options: OnnxOptions) -> OnnxExecutor:
    """Makes a session for a model."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(f"onnxruntime cannot be imported: {error}") from error
    threads = options.intra_op_threads or 1
    if threads > _MOST_THREADS:
        raise InvalidArgument(f"intra_op_threads: expected 1 to {_MOST_THREADS}, got {threads}")
    warn_about_two_builds()
    providers = list(options.providers or [CPU_PROVIDER])
    asked = provider_names(providers)
    missing = [name for name in asked if name not in onnxruntime.get_available_providers()]
    if missing:
        raise ModelError(
            f"providers: {', '.join(missing)} not in this build of ONNX Runtime, which has "
            f"{', '.join(onnxruntime.get_available_providers())}"
        )

    def make(overrides: list[tuple[str, int]]) -> Any:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        if threads > 1:
            # Threads that spin for work keep a whole CPU busy between batches.
            settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        for key, entry in session_entries(options):
            settings.add_session_config_entry(key, entry)
        for name, value in overrides:
            settings.add_free_dimension_override_by_name(name, value)
        try:
            return onnxruntime.InferenceSession(model, settings, providers=providers)
        except Exception as error:
            raise ModelError(f"ONNX Runtime cannot load the model: {error}") from error

    session = make([])
    declared = session
    if options.dimensions or _COMPILED in session.get_modelmeta().custom_metadata_map:
        _, overrides = _batching(session, session, options)
        session = make(overrides)
    in_use = session.get_providers()
    unused = [name for name in asked if name not in in_use]
    if unused:
        raise ModelError(
            f"providers: asked for {', '.join(asked)}, but the session uses {', '.join(in_use)}: "
            f"ONNX Runtime could not set up {', '.join(unused)}"
        )
    return _executor(session, declared, options, is_live=False)


def wrap_session(session: Any, options: OnnxOptions) -> OnnxExecutor:
    """Runs batches in a session that somebody else has made."""
    return _executor(session, session, options, is_live=True)


def _executor(session: Any, declared: Any, options: OnnxOptions, *, is_live: bool) -> OnnxExecutor:
    spec, _ = _batching(declared, session, options)
    run = SessionRun(session, spec)
    return OnnxExecutor(
        executor=_core.make_python_executor(spec, run, run.terminate, True, False),
        execution="python",
        inputs=given_by_callers(declared.get_inputs(), spec),
        outputs=selected(declared.get_outputs(), wanted_outputs(options)),
        metadata=declared.get_modelmeta(),
        providers=list(session.get_providers()),
        is_live_session=is_live,
    )


def _batching(
    declared: Any, session: Any, options: OnnxOptions
) -> tuple[_core.ModelSpec, list[tuple[str, int]]]:
    wanted = wanted_outputs(options)
    outputs = [
        node
        for node in session.get_outputs()
        if not wanted or node.name in wanted or node.type in _DTYPES
    ]
    return _core.onnx_batching(
        [
            _declaration("input", node, "re-export the model without that part, and run it before")
            for node in declared.get_inputs()
        ],
        [
            _declaration("output", node, "name the outputs that you want, without it")
            for node in outputs
        ],
        options.native(),
        dict(declared.get_modelmeta().custom_metadata_map),
    )


def _declaration(role: str, node: Any, way_out: str) -> _core.OnnxTensorDeclaration:
    name = _DTYPES.get(node.type)
    if name is None:
        raise ModelError(
            f"{role} {node.name!r} is a {node.type}, and only tensors of numbers and booleans can "
            f"be batched: {way_out}"
        )
    dtype: Any = name
    if name == "bfloat16":
        try:
            from ml_dtypes import bfloat16 as dtype
        except ImportError:
            raise ModelError(
                f"{role} {node.name!r} has the type bfloat16, which NumPy lacks: pip install "
                "ml_dtypes"
            ) from None
    dims = [size if isinstance(size, int) else -1 for size in node.shape]
    names = [size if isinstance(size, str) else "" for size in node.shape]
    return _core.OnnxTensorDeclaration(node.name, np.dtype(dtype), dims, names)


def _element_type(tensor: _core.TensorSpec) -> Any:
    """As bindings take it: NumPy's dtype, or ONNX's number where NumPy has none."""
    return 16 if tensor.dtype.name == "bfloat16" else tensor.dtype


def _address(array: Array) -> int:
    return cast(int, array.__array_interface__["data"][0])
