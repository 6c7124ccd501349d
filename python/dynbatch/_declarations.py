"""What callers declare about the inputs and outputs of models and functions."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dynbatch import _core
from dynbatch._errors import InvalidArgument
from dynbatch._options import listed, mapped, one_of, positive

# More than any tensor has; the core knows how many this one has.
_MOST_AXES = 64

_PAD_MODES = {
    "constant": _core.PadMode.constant,
    "edge": _core.PadMode.edge,
    "first": _core.PadMode.first,
}


@dataclass(frozen=True)
class Input:
    """What a caller declares about one input.

    Args:
        shared: True for an input without a batch axis, False for one that has one. None: a scalar,
            or an input whose leading dimension is static, is shared.
        dtype: The element type. For functions only; a model declares its own.
        shape: The shape of one row, without the batch axis (of the whole array if shared). For
            functions only.
        batch_axis: Where the batch axis is; None: first. This and all below are for models only.
        pad: The value behind a row that is shorter than its batch; None: 0.
        pad_mode: "constant": `pad` stands there. "edge": what the row has last. "first": what it
            has first.
        mask: The input that is a mask of this one: 1 where a row has an element, 0 where it is
            padded. The runtime makes it for requests that leave it out.
        length: The input that holds the lengths of this one's rows. Made likewise.
        ragged: Rows of any shape follow each other in one flat tensor, without padding.
    """

    shared: bool | None = None
    dtype: npt.DTypeLike | None = None
    shape: tuple[int, ...] | None = None
    _: KW_ONLY
    batch_axis: int | None = None
    pad: float | None = None
    pad_mode: str = "constant"
    mask: str | None = None
    length: str | None = None
    ragged: bool = False

    def __post_init__(self) -> None:
        """Raises InvalidArgument for what is no declaration."""
        _check_flag("shared", self.shared)
        if self.dtype is not None:
            _check_dtype(self.dtype)
        if self.shape is not None:
            _check_shape(self.shape, "ints of at least 0")
        _check_axis(self.batch_axis)
        _check_pad(self.pad)
        one_of("pad_mode", self.pad_mode, _PAD_MODES)
        _check_name("mask", self.mask)
        _check_name("length", self.length)
        if not isinstance(self.ragged, bool):
            raise InvalidArgument(f"ragged: expected True or False, got {self.ragged!r}")


@dataclass(frozen=True)
class Output:
    """What a caller declares about one output.

    Args:
        dtype: The element type. For functions, which need it; a model declares its own.
        shape: The shape of one row, without the batch axis; None for a dimension that only a run
            shows. For functions, which need it.
        batch_axis: Where the batch axis is. This and all below are for models only, and what is
            left out is found at load by runs of different sizes.
        shared: True for an output without a batch axis: each request gets all of it.
        rows_per_row: How many consecutive rows of it belong to one row of the batch.
        trim: The input whose padding it has, on the same axes: each request gets the part that
            belongs to its own rows.
    """

    dtype: npt.DTypeLike | None = None
    shape: tuple[int | None, ...] | None = None
    _: KW_ONLY
    batch_axis: int | None = None
    shared: bool | None = None
    rows_per_row: int | None = None
    trim: str | None = None

    def __post_init__(self) -> None:
        """Raises InvalidArgument for what is no declaration."""
        if self.dtype is not None:
            _check_dtype(self.dtype)
        if self.shape is not None:
            _check_shape(self.shape, "ints of at least 0, or None", (None,))
        _check_axis(self.batch_axis)
        _check_flag("shared", self.shared)
        positive("rows_per_row", self.rows_per_row)
        _check_name("trim", self.trim)


_Declared = TypeVar("_Declared", Input, Output)


def declared_by_name(argument: str, declared: Any, kind: type[_Declared]) -> dict[str, _Declared]:
    """Declarations of inputs or outputs; None: there are none."""
    expected = f"dynbatch.{kind.__name__}"
    checked = {}
    for name, value in mapped(argument, declared, expected).items():
        if not isinstance(name, str):
            raise InvalidArgument(f"{argument}: expected names as keys, got {name!r}")
        if not isinstance(value, kind):
            raise InvalidArgument(f"{argument}[{name!r}]: expected {expected}, got {value!r}")
        checked[name] = value
    return checked


def declared_for_function(
    argument: str, declared: Any, kind: type[_Declared]
) -> dict[str, _Declared]:
    """The same for a function, which has no more than dtypes, shapes and shared inputs."""
    checked = declared_by_name(argument, declared, kind)
    known = ("dtype", "shape", "shared") if kind is Input else ("dtype", "shape")
    for name, value in checked.items():
        for field in fields(value):
            if field.name not in known and getattr(value, field.name) != field.default:
                raise InvalidArgument(
                    f"{argument}[{name!r}]: {field.name} is for models; a function takes "
                    f"{', '.join(known)}"
                )
        if isinstance(value, Output) and (value.dtype is None or value.shape is None):
            raise InvalidArgument(
                f"{argument}[{name!r}]: expected dtype and shape, which an output of a function "
                f"needs, got {value!r}"
            )
    return checked


def input_declarations(
    inputs: Mapping[str, Input] | None, ragged: Sequence[str] | None
) -> dict[str, _core.InputDeclaration]:
    """What is said about a model's inputs, as the core takes it."""
    declared = declared_by_name("inputs", inputs, Input)
    ragged_names = _names("ragged", ragged)
    for name in ragged_names:
        declared.setdefault(name, Input())
    natives = {}
    for name, value in declared.items():
        _refuse_type("inputs", name, value)
        native = natives[name] = _core.InputDeclaration()
        native.shared = value.shared
        native.batch_axis = value.batch_axis
        native.pad = 0.0 if value.pad is None else float(value.pad)
        native.pad_mode = _PAD_MODES[value.pad_mode]
        native.mask = value.mask or ""
        native.length = value.length or ""
        native.ragged = value.ragged or name in ragged_names
    return natives


def output_declarations(outputs: Any) -> dict[str, _core.OutputDeclaration]:
    """What is said about a model's outputs; a list of names says nothing about them."""
    if not isinstance(outputs, Mapping):
        return {}
    natives = {}
    for name, value in declared_by_name("outputs", outputs, Output).items():
        _refuse_type("outputs", name, value)
        native = natives[name] = _core.OutputDeclaration()
        native.shared = value.shared
        native.batch_axis = value.batch_axis
        native.rows_per_row = value.rows_per_row
        native.trim = value.trim or ""
    return natives


def _refuse_type(argument: str, name: str, value: Input | Output) -> None:
    if value.dtype is not None or value.shape is not None:
        raise InvalidArgument(
            f"{argument}[{name!r}]: a model declares its own dtype and shape; bind free dimensions "
            "with dimensions={...}"
        )


def _names(argument: str, names: Any) -> list[str]:
    checked = [] if names is None else listed(argument, names, "input names")
    if not all(isinstance(name, str) for name in checked):
        raise InvalidArgument(f"{argument}: expected a list of input names, got {names!r}")
    return checked


def _check_flag(argument: str, value: Any) -> None:
    if value is not None and not isinstance(value, bool):
        raise InvalidArgument(f"{argument}: expected True, False or None, got {value!r}")


def _check_axis(axis: Any) -> None:
    if axis is None:
        return
    integral = isinstance(axis, numbers.Integral) and not isinstance(axis, bool)
    if not integral or not 0 <= int(axis) < _MOST_AXES:
        raise InvalidArgument(f"batch_axis: expected the index of an axis or None, got {axis!r}")


def _check_pad(pad: Any) -> None:
    if pad is None:
        return
    if isinstance(pad, bool) or not isinstance(pad, numbers.Real):
        raise InvalidArgument(f"pad: expected a number or None, got {pad!r}")
    try:
        float(pad)
    except OverflowError:
        raise InvalidArgument("pad: expected a number that a float64 can hold") from None


def _check_name(argument: str, name: Any) -> None:
    if name is not None and not (isinstance(name, str) and name):
        raise InvalidArgument(f"{argument}: expected the name of an input or None, got {name!r}")


def _check_dtype(dtype: Any) -> None:
    try:
        np.dtype(dtype)
    except TypeError:
        raise InvalidArgument(f"dtype: expected a NumPy dtype, got {dtype!r}") from None


def _check_shape(shape: Any, of: str, unknown: tuple[None, ...] = ()) -> None:
    if not isinstance(shape, Sequence) or not all(
        size in unknown
        or (isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size >= 0)
        for size in shape
    ):
        raise InvalidArgument(f"shape: expected a tuple of {of}, got {shape!r}")
