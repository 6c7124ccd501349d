"""Gears that a caller tells a `GearModel`, and the shapes of inputs that they fill."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dynbatch import _core
from dynbatch._errors import InvalidArgument
from dynbatch._executors import (
    OnnxOptions,
    Source,
    checked_source,
    execution_of,
    is_session,
    native_options,
)
from dynbatch._options import gears_of, listed, mapped
from dynbatch._shapes import image_sizes_of

#: The whole shape of each input by name, -1 where the gear says the size.
InputShape: TypeAlias = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class ToldGears:
    """Gears of one kind; none: those that the model brings."""

    kind: _core.GearKind
    gears: list[list[int]]
    input_shape: list[tuple[str, list[int]]]


def told_gears(
    gears: Sequence[int] | None,
    image_sizes: Sequence[tuple[int, int]] | None,
    dims: Sequence[Sequence[int]] | None,
    input_shape: InputShape | None,
) -> ToldGears:
    """What is told, checked as far as it can be without the model."""
    told = {"gears": gears, "image_sizes": image_sizes, "dims": dims}
    given = [name for name, value in told.items() if value is not None]
    if len(given) > 1:
        raise InvalidArgument(
            f"{', '.join(given)}: expected one of gears, image_sizes and dims at most"
        )
    shapes = [
        (str(name), integers(f"input_shape[{name!r}]", shape, least=-1))
        for name, shape in mapped("input_shape", input_shape, "shapes").items()
    ]
    if gears is not None:
        return ToldGears(_core.GearKind.batch, [[size] for size in gears_of(gears)], shapes)
    if image_sizes is not None:
        sizes = [[height, width] for height, width in image_sizes_of(image_sizes)]
        return ToldGears(_core.GearKind.image_size, sizes, shapes)
    if dims is not None:
        return ToldGears(_core.GearKind.dims, _dims(dims), shapes)
    if any(size < 0 for _, shape in shapes for size in shape):
        raise InvalidArgument(
            "input_shape: -1 stands where gears differ, and none were given: expected gears, "
            f"image_sizes or dims beside it, got {dict(shapes)!r}"
        )
    return ToldGears(_core.GearKind.batch, [[]] if shapes else [], shapes)


def load_whole(source: Source, options: OnnxOptions, told: ToldGears) -> _core.GearModel:
    """A model whose inputs and outputs are whole tensors; it runs natively alone."""
    refused = {"inputs": options.inputs is not None}
    refused["outputs, as declarations"] = isinstance(options.outputs, Mapping)
    declared = [name for name, is_given in refused.items() if is_given]
    if declared:
        raise InvalidArgument(
            f"{', '.join(declared)}: they declare batches, and here inputs and outputs are whole "
            "tensors: expected none, or gears alone (batch sizes, without input_shape)"
        )
    if is_session(source) or execution_of(options) == "python":
        raise InvalidArgument(
            'execution: Python (a live InferenceSession, execution="python", other providers) runs '
            "batch sizes alone: expected gears without input_shape, or native execution"
        )
    return _core.GearModel.load(
        checked_source(source), native_options(options), told.kind, told.gears, told.input_shape
    )


def integers(name: str, value: Any, *, least: int) -> list[int]:
    """A list of ints that are not below `least`, and that the core can hold."""
    sizes = listed(name, value, "ints")
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, numbers.Integral):
            raise InvalidArgument(f"{name}: expected ints, got {size!r}")
        if not least <= int(size) < 1 << 63:
            raise InvalidArgument(f"{name}: expected ints of at least {least}, got {size!r}")
    return [int(size) for size in sizes]


def _dims(value: Any) -> list[list[int]]:
    gears = [
        integers(f"dims[{index}]", gear, least=1)
        for index, gear in enumerate(listed("dims", value, "gears, each a size for every -1"))
    ]
    if not gears:
        raise InvalidArgument("dims: expected at least one gear, got none")
    return gears
