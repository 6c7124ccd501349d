"""Tensors as callers see them: feeds and outputs, and what a model tells about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

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
        place = dimension_key("dimensions", key)
        if isinstance(place, str):
            by_name[place] = int(value)
        else:
            by_axis[place] = int(value)
    return by_name, by_axis


def dimension_key(argument: str, key: Any) -> str | tuple[str, int]:
    """The name of a dimension, or an input and an axis."""
    if isinstance(key, str):
        return key
    if (
        isinstance(key, tuple)
        and len(key) == 2
        and isinstance(key[0], str)
        and isinstance(key[1], int)
        and 0 <= key[1] < 1 << 63
    ):
        return key
    raise InvalidArgument(f"{argument}: expected a name or (input, axis) as key, got {key!r}")
