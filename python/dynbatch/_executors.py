"""Executors for ONNX models: native, or through an `onnxruntime.InferenceSession`."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dynbatch import _core, _onnxruntime
from dynbatch._batch_inputs import BatchInput, BatchOutput, declared_list
from dynbatch._cpus import available_cpus
from dynbatch._declarations import Input, Output, input_declarations, output_declarations
from dynbatch._errors import InvalidArgument, ModelError, ModelNotFound
from dynbatch._options import listed, mapped, one_of, positive
from dynbatch._tensors import ONNX_TYPES, Dimensions, ModelMetadata, NodeArg, split_dimensions

if TYPE_CHECKING:
    import onnxruntime

#: What a model is loaded from.
Source: TypeAlias = "str | os.PathLike[str] | bytes | onnxruntime.InferenceSession"
#: As InferenceSession takes them: names, or pairs of a name and its options.
Providers: TypeAlias = "Sequence[str | tuple[str, dict[str, Any]]]"

CPU_PROVIDER = "CPUExecutionProvider"
# Larger models get no second session for lone runs, which would hold the weights twice.
LARGEST_MODEL_WITH_LONE_RUNS_BYTES = 256 << 20


@dataclass(frozen=True)
class OnnxOptions:
    """The options of an ONNX model apart from batching; named as in `dynbatch.load`."""

    dimensions: Dimensions | None
    inputs: Mapping[str, Input] | None
    outputs: Sequence[str] | Mapping[str, Output] | None
    intra_op_threads: int | None
    execution: str | None
    providers: Providers | None
    session_config: Mapping[str, str] | None
    lone_threads: int = 0  # as in C++: 0 for none; only native execution has such runs
    ragged: Sequence[str] | None = None
    batch_inputs: Sequence[BatchInput] | None = None
    batch_outputs: Sequence[BatchOutput] | None = None

    def native(self) -> _core.OnnxRuntimeOptions:
        """What both executions give to the core."""
        options = _core.OnnxRuntimeOptions()
        options.dimensions, options.input_dimensions = split_dimensions(self.dimensions)
        options.inputs = input_declarations(self.inputs, self.ragged)
        options.output_declarations = output_declarations(self.outputs)
        options.outputs = wanted_outputs(self)
        inputs = declared_list("batch_inputs", self.batch_inputs, BatchInput)
        options.batch_inputs = [declared._native() for declared in inputs]
        outputs = declared_list("batch_outputs", self.batch_outputs, BatchOutput)
        options.batch_outputs = [declared._native() for declared in outputs]
        return options


@dataclass(frozen=True)
class Threads:
    """Who runs batches, and with how many threads each."""

    workers: int
    intra_op: int
    lone: int = 0


@dataclass(frozen=True)
class OnnxExecutor:
    """An executor, with what the model declares."""

    executor: _core.Executor
    execution: str
    inputs: list[Any]
    outputs: list[Any]
    metadata: Any
    providers: list[str]
    is_live_session: bool = False


def make_executor(source: Source, options: OnnxOptions) -> OnnxExecutor:
    """Loads a model for the execution that was asked for, or that fits the source."""
    if is_session(source):
        return _from_session(source, options)
    model = checked_source(source)
    execution = execution_of(options)
    if execution == "python":
        from dynbatch._session import open_session

        return open_session(model, options)
    return _native(model, options)


def is_session(source: object) -> bool:
    """Whether it is a live InferenceSession; does not import onnxruntime to find out."""
    onnxruntime = sys.modules.get("onnxruntime")
    return onnxruntime is not None and isinstance(source, onnxruntime.InferenceSession)


def session_entries(options: OnnxOptions) -> list[tuple[str, str]]:
    """The caller's session configuration entries."""
    entries = {}
    for key, value in mapped("session_config", options.session_config, "strings").items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise InvalidArgument(
                f"session_config: expected strings, got {key!r}: {value!r}, as ONNX Runtime's "
                "add_session_config_entry takes them"
            )
        entries[key] = value
    return list(entries.items())


def threads_for_hint(
    hint: str | None, workers: int | None, intra_op_threads: int | None
) -> Threads:
    """Workers, and ONNX Runtime's own threads for each of them.

    "latency": one worker with all CPUs; "throughput": a worker for each CPU. None is the latter,
    with all CPUs for a run that is alone, unless numbers say what is wanted.
    """
    cpus = available_cpus()
    defaults = one_of(
        "hint",
        hint,
        {
            None: Threads(cpus, 1, cpus if cpus > 1 else 0),
            "latency": Threads(1, cpus),
            "throughput": Threads(cpus, 1),
        },
    )
    return Threads(
        positive("workers", workers) or defaults.workers,
        positive("intra_op_threads", intra_op_threads) or defaults.intra_op,
        defaults.lone if workers is None and intra_op_threads is None else 0,
    )


def wanted_outputs(options: OnnxOptions) -> list[str]:
    """The outputs that are asked for by name; none: all, as where they are declared."""
    if options.outputs is None or isinstance(options.outputs, Mapping):
        return []
    names = listed("outputs", options.outputs, "output names")
    if not all(isinstance(name, str) for name in names):
        raise InvalidArgument(f"outputs: expected a list of output names, got {names!r}")
    if not names:
        raise InvalidArgument("outputs: expected at least one output name, or None for all")
    return names


def selected(nodes: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """The declarations with these names, in their order; no names: all."""
    by_name = {node.name: node for node in nodes}
    return [by_name[name] for name in names or by_name]


def given_by_callers(nodes: Sequence[Any], spec: _core.ModelSpec) -> list[Any]:
    """The declarations of inputs without those that are made of each batch."""
    by_request = (_core.Made.no, _core.Made.mask, _core.Made.length)
    of_batch = {tensor.name for tensor in spec.inputs if tensor.made not in by_request}
    return [node for node in nodes if node.name not in of_batch]


def provider_names(providers: Providers | None) -> list[str]:
    """The names alone."""
    if providers is None:
        return []
    return [_provider_name(entry) for entry in listed("providers", providers, "names")]


def _provider_name(entry: Any) -> str:
    name = entry[0] if isinstance(entry, (tuple, list)) and entry else entry
    if not isinstance(name, str):
        raise InvalidArgument(
            f"providers: expected names, or pairs of a name and its options, got {entry!r}"
        )
    return name


def execution_of(options: OnnxOptions) -> str:
    """The execution that was asked for, or that the providers need."""
    execution = one_of(
        "execution",
        options.execution,
        {None: None, "native": "native", "python": "python"},
    )
    others = [name for name in provider_names(options.providers) if name != CPU_PROVIDER]
    for entry in options.providers or ():
        if not isinstance(entry, str) and entry[0] == CPU_PROVIDER and any(entry[1:]):
            others.append(f"options for {CPU_PROVIDER}")
    if others and execution == "native":
        raise InvalidArgument(
            f'execution="native" runs on {CPU_PROVIDER} alone, without options, got providers with '
            f"{', '.join(others)}: leave execution out, and Python runs the session"
        )
    return execution or ("python" if others else "native")


def checked_source(source: object) -> str | bytes:
    """The path of a file that is there, or bytes."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    try:
        path = os.fspath(source)  # type: ignore[call-overload]
    except TypeError:
        raise InvalidArgument(
            "model: expected a path, bytes or an onnxruntime.InferenceSession, got "
            f"{type(source).__name__}"
        ) from None
    path = os.fsdecode(path)
    if not Path(path).exists():
        raise ModelNotFound(errno.ENOENT, "there is no such model file", path)
    if not Path(path).is_file():
        raise ModelError(f"the model {path!r} is not a file")
    return path


def _from_session(session: Any, options: OnnxOptions) -> OnnxExecutor:
    refused = {
        "providers": options.providers,
        "session_config": options.session_config,
        "intra_op_threads": options.intra_op_threads,
    }
    given = [name for name, value in refused.items() if value is not None]
    if given:
        raise InvalidArgument(
            f"{', '.join(given)}: a live InferenceSession has its own; set it when the session is "
            "made"
        )
    if options.execution == "native":
        raise InvalidArgument(
            'execution="native" cannot run a live InferenceSession: give the path or the bytes of '
            "its model instead"
        )
    from dynbatch._session import wrap_session

    return wrap_session(session, options)


def native_options(options: OnnxOptions) -> _core.OnnxRuntimeOptions:
    """What native execution gives to the core, apart from lone runs."""
    native = options.native()
    native.library_path = _onnxruntime.library_path()
    native.intra_op_threads = options.intra_op_threads or 1
    native.session_config = session_entries(options)
    return native


def _native(model: str | bytes, options: OnnxOptions) -> OnnxExecutor:
    native = native_options(options)
    native.lone_threads = options.lone_threads if _may_be_held_twice(model) else 0
    executor = _core.make_onnxruntime_executor(model, native)
    description = _core.onnx_description(executor)
    if description is None:
        raise ModelError("the native executor does not describe its model")
    metadata = description.metadata
    return OnnxExecutor(
        executor=executor,
        execution="native",
        inputs=given_by_callers(
            [node_arg(declaration) for declaration in description.inputs], executor.spec
        ),
        outputs=selected(
            [node_arg(declaration) for declaration in description.outputs],
            wanted_outputs(options),
        ),
        metadata=ModelMetadata(
            producer_name=metadata.producer_name,
            graph_name=metadata.graph_name,
            domain=metadata.domain,
            description=metadata.description,
            graph_description=metadata.graph_description,
            version=metadata.version,
            custom_metadata_map=dict(metadata.custom),
        ),
        providers=[CPU_PROVIDER],
    )


def _may_be_held_twice(model: str | bytes) -> bool:
    if isinstance(model, bytes):
        return _is_small(model)
    if Path(model).stat().st_size > LARGEST_MODEL_WITH_LONE_RUNS_BYTES:
        return False
    return _is_small(Path(model).read_bytes())


def _is_small(model: bytes) -> bool:
    """Whether it is small with its weights, which may lie in files that it refers to."""
    external = b"\x0a\x08location\x12"  # the key of such a reference, as the format writes it
    return len(model) <= LARGEST_MODEL_WITH_LONE_RUNS_BYTES and external not in model


def node_arg(declaration: _core.OnnxTensorDeclaration) -> NodeArg:
    """What the core tells of an input or output."""
    dims: list[int | str | None] = [
        size if size >= 0 else name or None
        for size, name in zip(declaration.shape, declaration.dimension_names, strict=True)
    ]
    return NodeArg(declaration.name, ONNX_TYPES[declaration.dtype], dims)
