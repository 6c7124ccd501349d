"""`compile`: gears that are settled once, and written into the model's own file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from dynbatch import _core, _onnxruntime
from dynbatch._errors import InvalidArgument
from dynbatch._executors import OnnxOptions, checked_source, session_entries
from dynbatch._gears import integers
from dynbatch._options import listed, mapped, positive
from dynbatch._stats import KINDS
from dynbatch._warn import warn

#: ATC's own text, or a mapping from input to whole shape, with -1 where gears differ.
ShapeOption: TypeAlias = "str | Mapping[str, Sequence[int]]"
#: ATC's own text, or gears that have a size each, or several.
SizesOption: TypeAlias = "str | Sequence[int]"
GearsOption: TypeAlias = "str | Sequence[Sequence[int]]"


@dataclass(frozen=True)
class CompiledGear:
    """A gear as it was compiled.

    `sizes` has a batch size, or height and width, or a size for each -1; none for the only gear of
    a model whose shapes are fixed. Shapes are whole, by name. `seconds` is the median of three runs
    or more; 0: not measured, since the model refuses made-up inputs.
    """

    sizes: tuple[int, ...]
    input_shapes: Mapping[str, tuple[int, ...]]
    output_shapes: Mapping[str, tuple[int, ...]]
    input_bytes: int
    output_bytes: int
    seconds: float

    @property
    def name(self) -> str:
        """The sizes as ATC's options write them."""
        return ",".join(map(str, self.sizes))


@dataclass(frozen=True)
class CompileResult:
    """What `compile` wrote.

    `kind` is "batch size", "image size" or "dims"; `gears` are in the order given. `inputs` are
    whole shapes with -1 where gears differ. `rows_independent` tells whether a row's answer is the
    same in company and alone; None: not checked, as of gears that are not batch sizes.
    """

    output: Path
    kind: str
    inputs: Mapping[str, tuple[int, ...]]
    gears: tuple[CompiledGear, ...]
    rows_independent: bool | None
    warnings: tuple[str, ...]


def compile(  # the word of the tools whose options it takes
    model: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    input_shape: ShapeOption | None = None,
    dynamic_batch_size: SizesOption | None = None,
    dynamic_image_size: GearsOption | None = None,
    dynamic_dims: GearsOption | None = None,
    input_shape_range: str | None = None,
    input_format: str | None = None,
    insert_op_conf: str | None = None,
    dimensions: Mapping[str, int] | None = None,
    fixed: bool = False,
    intra_op_threads: int | None = None,
    session_config: Mapping[str, str] | None = None,
    progress: Callable[[int, int, str], object] | None = None,
) -> CompileResult:
    """Runs a model in each of its gears, and writes them into one file that is still ONNX.

    Options are those of ATC, with its grammar, limits and error codes: texts as on its command
    line, or Python values. `load`, `GearModel` and `dynbatch.acl` take the gears from the file.
    Blocks for as long as the runs take; any thread.

    Args:
        model: The path of an ONNX model. It is never written.
        output: The path of the file to write, required; ".om" is put behind a name without a
            suffix. Data files of a model that keeps its weights apart are copied beside it where it
            lies in another folder.
        input_shape: "data:-1,3,416,416;img_info:-1,4", or {"data": (-1, 3, 416, 416), ...}: the
            whole shape of each input, -1 where gears differ. With gears all inputs must stand here;
            their order is that of `dynamic_dims`.
        dynamic_batch_size: "1,2,4,8", or [1, 2, 4, 8]: 2 to 100 sizes that dimension 0 of all
            inputs with -1 gets at once.
        dynamic_image_size: "416,416;832,832", or [(416, 416), (832, 832)]: heights and widths.
        dynamic_dims: "1,16;8,32", or [(1, 16), (8, 32)]: in each gear a size for each -1.
        input_shape_range: Refused: it asks for shapes that no gear settles.
        input_format: "NCHW" (None), "NHWC", "NCDHW", "NDHWC" or "ND". Image sizes need NCHW or
            NHWC; dims need ND, which is what None stands for where they are given as Python values.
        insert_op_conf: Refused: there is no AIPP.
        dimensions: Sizes of free dimensions by the names that the model gives them.
        fixed: Exactly one gear, whose sizes are then those of the inputs.
        intra_op_threads: ONNX Runtime's threads for the runs; None: 1.
        session_config: Session configuration entries for them.
        progress: Called with index, number and name of the gear that is tried next, and at the end
            with the number twice and "".

    Returns:
        What was written, with shapes, bytes and times of each gear.

    Raises:
        CompileError: An option is wrong or does not fit the model; `.code` is ATC's.
        ModelError: The model cannot be loaded, or the file not be written; also FileNotFoundError.
        InvalidArgument: A Python value is of a wrong type.

    Warns:
        RuntimeWarning: Each of the result's warnings.
    """
    options = _core.CompileOptions()
    options.output = _path_text("output", output)
    options.input_shape = _shapes_text(input_shape)
    options.dynamic_batch_size = _sizes_text("dynamic_batch_size", dynamic_batch_size)
    options.dynamic_image_size = _gears_text("dynamic_image_size", dynamic_image_size)
    options.dynamic_dims = _gears_text("dynamic_dims", dynamic_dims)
    options.input_shape_range = _text("input_shape_range", input_shape_range)
    options.input_format = _text("input_format", input_format)
    if input_format is None and dynamic_dims is not None and not isinstance(dynamic_dims, str):
        options.input_format = "ND"
    options.insert_op_conf = _text("insert_op_conf", insert_op_conf)
    options.dimensions = _dimensions(dimensions)
    if not isinstance(fixed, bool):
        raise InvalidArgument(f"fixed: expected True or False, got {fixed!r}")
    options.fixed = fixed
    options.session = _session(intra_op_threads, session_config)
    if progress is not None and not callable(progress):
        raise InvalidArgument(f"progress: expected a function or None, got {progress!r}")
    path = checked_source(model)
    if isinstance(path, bytes):
        raise InvalidArgument("model: expected a path, got the bytes of a model")
    result = _result_of(_core.compile(path, options, progress))
    for warning in result.warnings:
        warn(RuntimeWarning(warning))
    return result


def _session(
    intra_op_threads: int | None, session_config: Mapping[str, str] | None
) -> _core.OnnxRuntimeOptions:
    session = _core.OnnxRuntimeOptions()
    session.library_path = _onnxruntime.library_path()
    session.intra_op_threads = positive("intra_op_threads", intra_op_threads) or 1
    session.session_config = session_entries(
        OnnxOptions(None, None, None, None, None, None, session_config)
    )
    return session


def _path_text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise InvalidArgument(f"{name}: expected a path, got {value!r}")
    path = os.fspath(value)
    if not isinstance(path, str):
        raise InvalidArgument(f"{name}: expected a path in UTF-8, got {path!r}")
    return _utf8(name, path)


def _text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidArgument(f"{name}: expected a string, got {value!r}")
    return _utf8(name, value)


def _utf8(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{name}: expected UTF-8, got {text!r}") from None
    return text


def _shapes_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return _text("input_shape", value)
    parts = []
    for name, shape in mapped("input_shape", value, "whole shapes").items():
        if not isinstance(name, str) or ";" in name:
            raise InvalidArgument(
                f"input_shape: expected names of inputs without ';', got {name!r}"
            )
        sizes = integers(f"input_shape[{name!r}]", shape, least=-(1 << 63))
        parts.append(f"{name}:{_joined(sizes)}")
    return _utf8("input_shape", ";".join(parts))


def _sizes_text(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return _text(name, value)
    return _joined(integers(name, value, least=-(1 << 63)))


def _gears_text(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return _text(name, value)
    gears = listed(name, value, "gears, each a list of sizes")
    return ";".join(_joined(integers(name, gear, least=-(1 << 63))) for gear in gears)


def _joined(sizes: Sequence[int]) -> str:
    return ",".join(map(str, sizes))


def _dimensions(value: Any) -> dict[str, int]:
    sizes = {}
    for name, size in mapped("dimensions", value, "sizes").items():
        if not isinstance(name, str):
            raise InvalidArgument(
                f"dimensions: expected names of dimensions, got {name!r}; input_shape gives sizes "
                "by input and axis"
            )
        _utf8("dimensions", name)
        (sizes[name],) = integers(f"dimensions[{name!r}]", [size], least=-(1 << 63))
    return sizes


def _result_of(result: _core.CompileResult) -> CompileResult:
    model = result.model
    inputs = [tensor.name for tensor in model.inputs]
    outputs = [tensor.name for tensor in model.outputs]
    shapes = model.input_shapes()
    gears = tuple(
        CompiledGear(
            sizes=tuple(gear.sizes),
            input_shapes=dict(zip(inputs, map(tuple, shapes[index]), strict=True)),
            output_shapes=dict(zip(outputs, map(tuple, gear.output_shapes), strict=True)),
            input_bytes=result.input_bytes[index],
            output_bytes=result.output_bytes[index],
            seconds=gear.seconds,
        )
        for index, gear in enumerate(model.gears)
    )
    return CompileResult(
        output=Path(result.output),
        kind=KINDS[model.kind],
        inputs={tensor.name: tuple(tensor.shape) for tensor in model.inputs},
        gears=gears,
        rows_independent=model.rows_independent,
        warnings=tuple(result.warnings),
    )
