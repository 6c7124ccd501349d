"""Tensors as callers see them: feeds and outputs, declarations of inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from dynbatch._errors import InvalidArgument
from dynbatch._options import mapped

Array: TypeAlias = npt.NDArray[Any]
#: Arrays by input name, each with the batch axis first; or the bare array of a single-input model.
Feeds: TypeAlias = Mapping[str, npt.ArrayLike] | npt.ArrayLike
#: Arrays by output name, each with the batch axis first.
Outputs: TypeAlias = dict[str, Array]
#: Values for free dimensions, by the dimension's name or by (input, axis).
Dimensions: TypeAlias = Mapping[str | tuple[str, int], int]


@dataclass(frozen=True)
class Input:
    """What a caller declares about one input.

    Args:
        shared: True for an input without a batch axis, False for one that has one. None: a scalar,
            or an input whose leading dimension is static, is shared.
        dtype: The element type. For functions only; a model declares its own.
        shape: The shape of one row, without the batch axis (of the whole array if shared). For
            functions only.
    """

    shared: bool | None = None
    dtype: npt.DTypeLike | None = None
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Raises InvalidArgument for what is no declaration."""
        if self.shared is not None and not isinstance(self.shared, bool):
            raise InvalidArgument(f"shared: expected True, False or None, got {self.shared!r}")
        if self.dtype is not None:
            _check_dtype(self.dtype)
        if self.shape is not None:
            _check_shape(self.shape, "ints of at least 0")


@dataclass(frozen=True)
class Output:
    """What a caller declares about one output of a function.

    Args:
        dtype: The element type.
        shape: The shape of one row, without the batch axis; None for a dimension that only a run
            shows.
    """

    dtype: npt.DTypeLike
    shape: tuple[int | None, ...]

    def __post_init__(self) -> None:
        """Raises InvalidArgument for what is no declaration."""
        _check_dtype(self.dtype)
        _check_shape(self.shape, "ints of at least 0, or None", (None,))


@dataclass(frozen=True)
class NodeArg:
    """An input or output as the model declares it, in the words of `onnxruntime.NodeArg`.

    Attributes:
        name: Its name.
        type: Such as "tensor(float)".
        shape: For each dimension its size, the name of a free one, or None.
    """

    name: str
    type: str
    shape: list[int | str | None]


@dataclass(frozen=True)
class ModelMetadata:
    """What a model tells about itself, in the words of `onnxruntime.ModelMetadata`."""

    producer_name: str
    graph_name: str
    domain: str
    description: str
    graph_description: str
    version: int
    custom_metadata_map: dict[str, str]


#: NumPy's name of each element type, with the one that ONNX Runtime gives it.
ONNX_TYPES = {
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    "float16": "tensor(float16)",
    "bfloat16": "tensor(bfloat16)",
    "int8": "tensor(int8)",
    "int16": "tensor(int16)",
    "int32": "tensor(int32)",
    "int64": "tensor(int64)",
    "uint8": "tensor(uint8)",
    "uint16": "tensor(uint16)",
    "uint32": "tensor(uint32)",
    "uint64": "tensor(uint64)",
    "bool": "tensor(bool)",
}


def copied(feeds: Feeds) -> Feeds:
    """The same feeds as arrays of their own."""
    if isinstance(feeds, Mapping):
        return {name: np.array(value) for name, value in feeds.items()}
    return np.array(feeds)


def typed(numbers: npt.ArrayLike, dtype: np.dtype[Any]) -> Array:
    """Lists or numbers, which have no element type of their own, as an array of this one.

    Raises:
        ValueError: An integer type cannot hold each value exactly, or they are no numbers.
    """
    array = np.asarray(numbers)
    if array.size > 0 and array.dtype.kind not in "biuf":
        raise ValueError(str(array.dtype))
    if dtype.kind not in "iu":
        return array.astype(dtype)
    # Python's own numbers: NumPy makes floats of a large integer beside a small one.
    exact = np.asarray(numbers, dtype=object)
    try:
        array = exact.astype(dtype)
    except (OverflowError, ValueError):
        array = np.zeros(0, dtype)
    if not np.array_equal(array, exact):
        raise ValueError(f"values that {dtype} cannot hold")
    return array


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


def shared_flags(inputs: Mapping[str, Input] | None) -> dict[str, bool]:
    """Which inputs are declared to be shared, or not to be; of a model, which declares the rest."""
    flags = {}
    for name, declared in declared_by_name("inputs", inputs, Input).items():
        if declared.dtype is not None or declared.shape is not None:
            raise InvalidArgument(
                f"inputs[{name!r}]: a model declares its own dtype and shape; bind free dimensions "
                "with dimensions={...}"
            )
        if declared.shared is not None:
            flags[name] = declared.shared
    return flags


def split_dimensions(
    dimensions: Dimensions | None,
) -> tuple[dict[str, int], dict[tuple[str, int], int]]:
    """The dimensions that are bound by name, and those that are bound by input and axis."""
    by_name: dict[str, int] = {}
    by_axis: dict[tuple[str, int], int] = {}
    for key, value in mapped("dimensions", dimensions, "ints").items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise InvalidArgument(f"dimensions[{key!r}]: expected an int, got {value!r}")
        if abs(value) >= 1 << 63:
            raise InvalidArgument(f"dimensions[{key!r}]: expected less than 2**63, got {value}")
        if isinstance(key, str):
            by_name[key] = int(value)
        elif (
            isinstance(key, tuple)
            and len(key) == 2
            and isinstance(key[0], str)
            and isinstance(key[1], int)
            and 0 <= key[1] < 1 << 63
        ):
            by_axis[key] = int(value)
        else:
            raise InvalidArgument(
                f"dimensions: expected a name or (input, axis) as key, got {key!r}"
            )
    return by_name, by_axis


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
