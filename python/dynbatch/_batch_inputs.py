"""Batch inputs and outputs: what the runtime makes of ragged rows, in the words of Triton."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from dynbatch import _core
from dynbatch._errors import InvalidArgument
from dynbatch._options import listed, one_of

_KINDS = {
    "BATCH_ELEMENT_COUNT": _core.Made.element_count,
    "BATCH_ACCUMULATED_ELEMENT_COUNT": _core.Made.accumulated_element_count,
    "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO": _core.Made.accumulated_element_count_with_zero,
    "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE": _core.Made.max_element_count_as_shape,
    "BATCH_ITEM_SHAPE": _core.Made.item_shape,
    "BATCH_ITEM_SHAPE_FLATTEN": _core.Made.item_shape_flatten,
}
_TYPES = {"INT32": np.int32, "INT64": np.int64, "FP32": np.float32}
_OUTPUT_KINDS = {"BATCH_SCATTER_WITH_INPUT_SHAPE": None}


@dataclass(frozen=True, kw_only=True)
class BatchInput:
    """An input that the runtime makes for each batch, of the requests that are in it.

    Callers do not give it. An element count is that of a request: of all its rows together.

    Args:
        kind: "BATCH_ELEMENT_COUNT": the elements of each request.
            "BATCH_ACCUMULATED_ELEMENT_COUNT": those of it and of all requests before it.
            "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO": the same behind a 0.
            "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE": a tensor of as many elements as the largest request
            has, whose values mean nothing.
            "BATCH_ITEM_SHAPE": a line for each row, with its shape.
            "BATCH_ITEM_SHAPE_FLATTEN": the same in one line.
        target_name: The input that is made, or a list of such inputs.
        data_type: Their element type: "INT32", "INT64" or "FP32", also with "TYPE_" before it.
        source_input: The input whose elements are counted.
    """

    kind: str
    target_name: str | Sequence[str]
    data_type: str
    source_input: str

    def __post_init__(self) -> None:
        """Raises InvalidArgument for what is no batch input."""
        one_of("kind", self.kind, _KINDS)
        _targets(self.target_name)
        one_of("data_type", _short(self.data_type), _TYPES)
        _check_source(self.source_input)

    def _native(self) -> _core.BatchInput:
        return _core.BatchInput(
            _KINDS[self.kind],
            _targets(self.target_name),
            np.dtype(_TYPES[_short(self.data_type)]),
            self.source_input,
        )


@dataclass(frozen=True, kw_only=True)
class BatchOutput:
    """An output in one flat tensor, of which each request gets its own part.

    Args:
        kind: "BATCH_SCATTER_WITH_INPUT_SHAPE": the part has the shape of the request's input.
        target_name: The output, or a list of outputs.
        source_input: The input whose shape each part has.
    """

    kind: str
    target_name: str | Sequence[str]
    source_input: str

    def __post_init__(self) -> None:
        """Raises InvalidArgument for what is no batch output."""
        one_of("kind", self.kind, _OUTPUT_KINDS)
        _targets(self.target_name)
        _check_source(self.source_input)

    def _native(self) -> _core.BatchOutput:
        return _core.BatchOutput(_targets(self.target_name), self.source_input)


_Made = TypeVar("_Made", BatchInput, BatchOutput)


def declared_list(argument: str, declared: Any, kind: type[_Made]) -> list[_Made]:
    """Batch inputs or batch outputs; None: there are none."""
    expected = f"dynbatch.{kind.__name__}"
    items = [] if declared is None else listed(argument, declared, expected)
    for index, item in enumerate(items):
        if not isinstance(item, kind):
            raise InvalidArgument(f"{argument}[{index}]: expected {expected}, got {item!r}")
    return items


def _targets(names: Any) -> list[str]:
    targets = [names] if isinstance(names, str) else names
    if (
        not isinstance(targets, Sequence)
        or not targets
        or not all(isinstance(name, str) and name for name in targets)
    ):
        raise InvalidArgument(f"target_name: expected a name or a list of names, got {names!r}")
    return list(targets)


def _check_source(name: Any) -> None:
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f"source_input: expected the name of an input, got {name!r}")


def _short(data_type: Any) -> Any:
    return data_type.removeprefix("TYPE_") if isinstance(data_type, str) else data_type
