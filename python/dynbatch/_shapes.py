"""Options about rows that differ in shape: lengths, image sizes, dims."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dynbatch import _core
from dynbatch._errors import InvalidArgument
from dynbatch._options import listed, mapped, required
from dynbatch._tensors import dimension_key

#: The name of a free dimension, or an input and the axis where it stands.
DimensionKey: TypeAlias = "str | tuple[str, int]"
#: Gears of a dimension, or the largest size up to which rows are padded to the longest of a batch.
Lengths: TypeAlias = Mapping[DimensionKey, "Sequence[int] | int"]
#: Sizes of all free dimensions, and of the batch under the name "batch".
Dims: TypeAlias = Sequence[Mapping[DimensionKey, int]]

BATCH = "batch"


@dataclass(frozen=True)
class Shapes:
    """What is asked for; named as in `dynbatch.load`."""

    lengths: Lengths | None = None
    image_sizes: Sequence[tuple[int, int]] | None = None
    dims: Dims | None = None
    pads: bool = False
    set_size: int = 1

    def check(self) -> None:
        """Tells what is wrong whatever the model is."""
        given = [
            name for name in ("lengths", "image_sizes", "dims") if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise InvalidArgument(
                f"{', '.join(given)}: expected one of lengths, image_sizes and dims at most"
            )
        if not isinstance(self.pads, bool):
            raise InvalidArgument(f"pads: expected True or False, got {self.pads!r}")
        if self.pads and given not in (["image_sizes"], ["dims"]):
            raise InvalidArgument(
                "pads: it pads rows up to an image size or dims gear, and none was given: expected "
                "image_sizes or dims, got pads=True without"
            )
        required("set_size", self.set_size)
        _lengths(self.lengths)
        image_sizes_of(self.image_sizes)
        _dims(self.dims)

    def put_into(self, options: _core.BatchingOptions, spec: _core.ModelSpec) -> None:
        """Gives them to the core, with the names of this model's dimensions."""
        options.pads = self.pads
        options.set_size = required("set_size", self.set_size)
        options.image_sizes = image_sizes_of(self.image_sizes)
        lengths = {}
        for key, value in _lengths(self.lengths).items():
            name = spec.dimensions[_index_of("lengths", key, spec)]
            if name in lengths:
                raise InvalidArgument(f"lengths: {key!r} is dimension {name!r}, which stands twice")
            lengths[name] = value
        options.lengths = lengths
        options.dims = [_dims_gear(i, gear, spec) for i, gear in enumerate(_dims(self.dims))]


def _lengths(value: Any) -> dict[DimensionKey, _core.Lengths]:
    checked = {}
    for key, sizes in mapped("lengths", value, "a list of sizes or the largest one").items():
        place = dimension_key("lengths", key)
        name = f"lengths[{key!r}]"
        if isinstance(sizes, numbers.Number):
            checked[place] = _core.Lengths([], required(name, sizes))
            continue
        gears = [required(name, size) for size in listed(name, sizes, "sizes, or an int")]
        if not gears:
            raise InvalidArgument(f"{name}: expected at least one size, got none")
        checked[place] = _core.Lengths(gears, 0)
    if value is not None and not checked:
        raise InvalidArgument("lengths: expected at least one dimension, or None; got none")
    return checked


def image_sizes_of(value: Any) -> list[tuple[int, int]]:
    """At least one pair of height and width; None is none."""
    if value is None:
        return []
    sizes = []
    for size in listed("image_sizes", value, "pairs of height and width"):
        if not isinstance(size, Sequence) or isinstance(size, (str, bytes)) or len(size) != 2:
            raise InvalidArgument(f"image_sizes: expected pairs of height and width, got {size!r}")
        sizes.append((required("image_sizes", size[0]), required("image_sizes", size[1])))
    if not sizes:
        raise InvalidArgument("image_sizes: expected at least one pair of height and width")
    return sizes


def _dims(value: Any) -> list[dict[DimensionKey, int]]:
    if value is None:
        return []
    gears = []
    for index, gear in enumerate(listed("dims", value, "mappings from dimension to size")):
        name = f"dims[{index}]"
        if not isinstance(gear, Mapping) or not gear:
            raise InvalidArgument(
                f"{name}: expected a mapping from dimension to size, got {gear!r}"
            )
        gears.append(
            {
                dimension_key(name, key): required(f"{name}[{key!r}]", size)
                for key, size in gear.items()
            }
        )
    if not gears:
        raise InvalidArgument("dims: expected at least one mapping from dimension to size")
    return gears


def _dims_gear(
    number: int, gear: Mapping[DimensionKey, int], spec: _core.ModelSpec
) -> _core.DimsGear:
    sizes: dict[int, int] = {}
    for key, size in gear.items():
        if key == BATCH:
            continue
        index = _index_of(f"dims[{number}]", key, spec)
        if index in sizes:
            raise InvalidArgument(
                f"dims[{number}]: {key!r} is dimension {spec.dimensions[index]!r}, which stands "
                "twice"
            )
        sizes[index] = size
    missing = [name for index, name in enumerate(spec.dimensions) if index not in sizes]
    if missing:
        raise InvalidArgument(
            f"dims[{number}]: expected a size for each of {_listing(spec.dimensions)}, got none "
            f"for {_listing(missing)}"
        )
    return _core.DimsGear(gear.get(BATCH, 0), [sizes[i] for i in range(len(spec.dimensions))])


def _index_of(argument: str, key: DimensionKey, spec: _core.ModelSpec) -> int:
    """Which of the model's free dimensions this is."""
    if isinstance(key, str):
        if key in spec.dimensions:
            return spec.dimensions.index(key)
        raise InvalidArgument(
            f"{argument}: there is no free dimension {key!r}: expected {_listing(spec.dimensions)}"
        )
    name, axis = key
    tensor = next((tensor for tensor in spec.inputs if tensor.name == name), None)
    if tensor is None:
        raise InvalidArgument(
            f"{argument}: there is no input {name!r}: expected "
            f"{_listing([tensor.name for tensor in spec.inputs])}"
        )
    free = _free_axes(tensor)
    if axis not in free:
        raise InvalidArgument(
            f"{argument}: axis {axis} of input {name!r} is no free dimension apart from the batch: "
            f"its free axes are {_listing(sorted(free))}"
        )
    return free[axis]


def _free_axes(tensor: _core.TensorSpec) -> dict[int, int]:
    """Axes of the whole input, each with its index among the model's free dimensions."""
    axes = list(range(len(tensor.row_shape) + (0 if tensor.shared else 1)))
    if not tensor.shared:
        axes.remove(tensor.batch_axis)
    pairs = zip(axes, tensor.dimensions, strict=False)  # empty: none is free
    return {axis: dimension for axis, dimension in pairs if dimension >= 0}


def _listing(values: Sequence[object]) -> str:
    return ", ".join(map(repr, values)) or "none"
