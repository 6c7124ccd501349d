"""Triton model configurations (config.pbtxt), as far as they say how requests are batched.

What would change answers, errors or their order is refused where it cannot be kept; what names,
serves or tunes is ignored.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from dynbatch._batch_inputs import BatchInput, BatchOutput
from dynbatch._errors import InvalidArgument
from dynbatch._executors import OnnxOptions
from dynbatch._options import DEFAULT_MAX_BATCH_SIZE, Batching
from dynbatch._tensors import ONNX_TYPES

_TYPES = {
    "TYPE_BOOL": "bool",
    "TYPE_UINT8": "uint8",
    "TYPE_UINT16": "uint16",
    "TYPE_UINT32": "uint32",
    "TYPE_UINT64": "uint64",
    "TYPE_INT8": "int8",
    "TYPE_INT16": "int16",
    "TYPE_INT32": "int32",
    "TYPE_INT64": "int64",
    "TYPE_FP16": "float16",
    "TYPE_FP32": "float32",
    "TYPE_FP64": "float64",
    "TYPE_BF16": "bfloat16",
}

# Fields that are refused if they are set, with the way out.
_REFUSED = {
    "sequence_batching": "sequences of requests are not kept together",
    "ensemble_scheduling": "an ensemble is several models: load each",
    "model_transaction_policy.decoupled": "each request has one answer",
    "dynamic_batching.preserve_ordering": "answers come as they are ready",
    "dynamic_batching.priority_levels": "requests have no priorities",
    "dynamic_batching.default_priority_level": "requests have no priorities",
    "dynamic_batching.priority_queue_policy": "requests have no priorities",
    "dynamic_batching.default_queue_policy": "set queue_capacity and on_full of load, and the "
    "timeout of each request",
}
_REFUSED_OF_TENSORS = {
    "reshape": "give arrays in the model's own shape",
    "format": "give arrays in the model's own order of axes",
    "is_shape_tensor": "only models of ONNX are run",
    "is_non_linear_format_io": "only models of ONNX are run",
    "optional": "every input is given",
}

# Name, type (as Triton writes it; "TYPE_INVALID": not said) and dims, without the batch.
_Tensor: TypeAlias = "tuple[str, str, tuple[int, ...]]"


@dataclass(frozen=True)
class TritonConfig:
    """What is taken from a configuration."""

    path: str
    max_batch_size: int
    max_queue_delay: float
    inputs: tuple[_Tensor, ...]
    outputs: tuple[_Tensor, ...]
    ragged: tuple[str, ...]
    batch_inputs: tuple[BatchInput, ...]
    batch_outputs: tuple[BatchOutput, ...]

    def fill_batching(self, options: Batching) -> Batching:
        """The options, with what they leave at its default."""
        size, delay = options.max_batch_size, options.max_queue_delay
        if size == DEFAULT_MAX_BATCH_SIZE and options.gears is None:
            size = self.max_batch_size
        return replace(
            options, max_batch_size=size, max_queue_delay=delay if delay else self.max_queue_delay
        )

    def fill_onnx(self, options: OnnxOptions) -> OnnxOptions:
        """The same. Dimensions that the configuration fixes are bound to their values."""
        dimensions = options.dimensions
        if dimensions is None:
            dimensions = {
                (name, axis): size
                for name, _, dims in self.inputs
                for axis, size in enumerate(dims, start=1)  # the batch comes first
                if size >= 0 and name not in self.ragged
            }
        return replace(
            options,
            dimensions=dimensions,
            ragged=self.ragged if options.ragged is None else options.ragged,
            batch_inputs=(
                self.batch_inputs if options.batch_inputs is None else options.batch_inputs
            ),
            batch_outputs=(
                self.batch_outputs if options.batch_outputs is None else options.batch_outputs
            ),
        )

    def check(self, inputs: Sequence[Any], outputs: Sequence[Any] | None) -> None:
        """Raises InvalidArgument where the model's declarations say something else. No outputs:
        they are not all known.
        """
        self._check("input", self.inputs, inputs)
        if outputs is not None:
            self._check("output", self.outputs, outputs)

    def _check(self, role: str, mine: Sequence[_Tensor], nodes: Sequence[Any]) -> None:
        types = {node.name: node.type for node in nodes}
        for name, data_type, _ in mine:
            if name not in types:
                known = ", ".join(map(repr, types))
                _refuse(self.path, f"there is no {role} {name!r}: expected {known}")
            expected = ONNX_TYPES.get(_TYPES.get(data_type, ""), data_type)
            if data_type != "TYPE_INVALID" and types[name] != expected:
                _refuse(
                    self.path,
                    f"{role} {name!r}: expected {types[name]}, as in the model, got {data_type}",
                )


def read_config(config: Any) -> TritonConfig:
    """Reads a file.

    Raises:
        InvalidArgument: It is no configuration, or one that cannot be kept.
        ModelError: The extra `triton` is not installed.
    """
    from dynbatch import _triton_schema

    try:
        path = os.fsdecode(config)
    except TypeError:
        raise InvalidArgument(
            f"config: expected the path of a Triton model configuration, got {config!r}"
        ) from None
    try:
        message = _triton_schema.parse(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        _refuse(path, f"it cannot be read: {error.strerror}", error)
    except ValueError as error:
        _refuse(path, str(error), error)
    return _config_of(path, message)


def _config_of(path: str, message: Any) -> TritonConfig:
    for field, way_out in _REFUSED.items():
        _refuse_field(path, message, field, way_out)
    for role in ("input", "output"):
        for tensor in getattr(message, role):
            for field, way_out in _REFUSED_OF_TENSORS.items():
                _refuse_field(path, tensor, field, way_out, f"{role} {tensor.name!r}: ")
    if message.max_batch_size < 1:
        _refuse(
            path,
            "max_batch_size: expected at least 1, which tells Triton that the model has a batch "
            f"axis, got {message.max_batch_size}",
        )
    batching = message.dynamic_batching
    try:
        return TritonConfig(
            path=path,
            max_batch_size=message.max_batch_size,
            max_queue_delay=batching.max_queue_delay_microseconds / 1e6,
            inputs=_tensors(message.input),
            outputs=_tensors(message.output),
            ragged=tuple(tensor.name for tensor in message.input if tensor.allow_ragged_batch),
            batch_inputs=tuple(_batch_input(each) for each in message.batch_input),
            batch_outputs=tuple(_batch_output(each, message) for each in message.batch_output),
        )
    except InvalidArgument as error:
        _refuse(path, str(error), error)


def _batch_input(declared: Any) -> BatchInput:
    return BatchInput(
        kind=_enumerator(declared, "kind"),
        target_name=list(declared.target_name),
        data_type=_enumerator(declared, "data_type"),
        source_input=_only("batch_input", declared.source_input),
    )


def _batch_output(declared: Any, message: Any) -> BatchOutput:
    source = _only("batch_output", declared.source_input)
    dims = {tensor.name: list(tensor.dims) for tensor in message.input}.get(source, [])
    for output in message.output:
        same = all(size in (-1, *dims[i : i + 1]) for i, size in enumerate(output.dims))
        if output.name in declared.target_name and not same:
            raise InvalidArgument(
                f"output {output.name!r}: expected the dims of its source_input {source!r}, "
                f"{dims}, got {list(output.dims)}"
            )
    return BatchOutput(
        kind=_enumerator(declared, "kind"),
        target_name=list(declared.target_name),
        source_input=source,
    )


def _only(role: str, names: Sequence[str]) -> str:
    if len(names) != 1:
        raise InvalidArgument(f"{role}: expected one source_input, got {list(names)}")
    return names[0]


def _tensors(declared: Any) -> tuple[_Tensor, ...]:
    return tuple(
        (tensor.name, _enumerator(tensor, "data_type"), tuple(tensor.dims)) for tensor in declared
    )


def _enumerator(message: Any, field: str) -> str:
    enum = message.DESCRIPTOR.fields_by_name[field].enum_type
    return str(enum.values_by_number[getattr(message, field)].name)


def _refuse_field(path: str, message: Any, field: str, way_out: str, where: str = "") -> None:
    for name in field.split("."):
        set_fields = {descriptor.name for descriptor, _ in message.ListFields()}
        if name not in set_fields:
            return
        message = getattr(message, name)
    if field == "dynamic_batching.default_queue_policy" and not message.ListFields():
        return  # {} is what there is without it
    _refuse(path, f"{where}{field} cannot be kept: {way_out}")


def _refuse(path: str, message: str, cause: Exception | None = None) -> NoReturn:
    raise InvalidArgument(f"config {path!r}: {message}") from cause
