"""Models with gears, and datasets over arrays, for the tests of dynbatch.acl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import dynbatch
from dynbatch import acl
from real_models import real_models

Array = np.ndarray[Any, Any]
Sizes = tuple[int, ...]

DTYPES = {0: np.float32, 3: np.int32, 9: np.int64}
SENTINEL = 0xAB  # of bytes that nobody may write


@dataclass(frozen=True)
class GearModelFile:
    """A model file with gears, and what ONNX Runtime alone answers."""

    path: Path
    kind: str
    shapes: Mapping[str, Sizes]  # with -1
    gears: Sequence[Sizes]
    session: onnxruntime.InferenceSession

    def shapes_in(self, gear: Sizes) -> dict[str, Sizes]:
        return shapes_in(self.kind, self.shapes, gear)

    def feeds(self, gear: Sizes, seed: int = 0) -> dict[str, Array]:
        generator = np.random.default_rng([seed, *gear])
        return {
            entry.name: random_array(entry.type, self.shapes_in(gear)[entry.name], generator)
            for entry in self.session.get_inputs()
        }

    def expected(self, feeds: dict[str, Array]) -> list[Array]:
        return list(self.session.run(None, feeds))


def shapes_in(kind: str, shapes: Mapping[str, Sizes], gear: Sizes) -> dict[str, Sizes]:
    """The whole shapes of all inputs in a gear."""
    sizes = iter(gear)
    told = {}
    for name, shape in shapes.items():
        if kind == "image_size":
            sizes = iter(gear)
        one = gear[0]
        told[name] = tuple(
            dim if dim != -1 else one if kind == "batch" else next(sizes) for dim in shape
        )
    return told


def random_array(onnx_type: str, shape: Sizes, generator: np.random.Generator) -> Array:
    if onnx_type == "tensor(float)":
        return generator.standard_normal(shape).astype(np.float32)
    dtype = np.int32 if onnx_type == "tensor(int32)" else np.int64
    return generator.integers(0, 256, shape, dtype=dtype)


OPTIONS = {
    "batch": "dynamic_batch_size",
    "image_size": "dynamic_image_size",
    "dims": "dynamic_dims",
}


def with_gears(
    source: Path, target: Path, kind: str, shapes: Mapping[str, Sizes], gears: Sequence[Sizes]
) -> GearModelFile:
    """The model compiled with gears."""
    told = [gear[0] for gear in gears] if kind == "batch" else gears
    options: dict[str, Any] = {OPTIONS[kind]: told}
    dynbatch.compile(source, output=target, input_shape=shapes, **options)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1  # sums are then made in one order
    session = onnxruntime.InferenceSession(str(source), settings, ["CPUExecutionProvider"])
    return GearModelFile(target, kind, shapes, gears, session)


def real_gears(name: str, folder: Path) -> GearModelFile:
    """A real model with gears: batches, or for `ocr_det` heights and widths."""
    model = real_models()[name]
    (entry,) = model.inputs
    row = model.inputs[entry].row_shape
    target = folder / f"{name}.om"
    if name == "ocr_det":
        sizes = [(160, 320), (320, 320), (64, 96)]
        return with_gears(model.path, target, "image_size", {entry: (1, 3, -1, -1)}, sizes)
    return with_gears(model.path, target, "batch", {entry: (-1, *row)}, [(2,), (1,), (4,), (3,)])


def checked(code: int) -> None:
    assert code == 0, f"{code}: {acl.get_recent_err_msg()}"


class Buffers:
    """A dataset over arrays of bytes, which it keeps."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.arrays = [np.full(size, SENTINEL, np.uint8) for size in sizes]
        self.handle = acl.mdl.create_dataset()
        self._buffers = []
        for array in self.arrays:
            buffer = acl.create_data_buffer(acl.util.numpy_to_ptr(array), array.nbytes)
            self._buffers.append(buffer)
            handle, code = acl.mdl.add_dataset_buffer(self.handle, buffer)
            checked(code)
            assert handle == self.handle

    def close(self) -> None:
        for buffer in self._buffers:
            checked(acl.destroy_data_buffer(buffer))
        checked(acl.mdl.destroy_dataset(self.handle))


class Loaded:
    """A loaded model with its description."""

    def __init__(self, file: GearModelFile) -> None:
        self.file = file
        self.id, code = acl.mdl.load_from_file(str(file.path))
        checked(code)
        self.desc = acl.mdl.create_desc()
        checked(acl.mdl.get_desc(self.desc, self.id))
        self.shape_input, code = acl.mdl.get_input_index_by_name(
            self.desc, "ascend_mbatch_shape_data"
        )
        checked(code)

    def close(self) -> None:
        checked(acl.mdl.destroy_desc(self.desc))
        checked(acl.mdl.unload(self.id))

    def sizes(self) -> tuple[list[int], list[int]]:
        """Bytes of inputs and outputs that are enough for every gear."""
        inputs, outputs = acl.mdl.get_num_inputs(self.desc), acl.mdl.get_num_outputs(self.desc)
        return (
            [acl.mdl.get_input_size_by_index(self.desc, i) for i in range(inputs)],
            [acl.mdl.get_output_size_by_index(self.desc, i) for i in range(outputs)],
        )

    def set_gear(self, dataset: int, gear: Sizes) -> int:
        if self.file.kind == "batch":
            return acl.mdl.set_dynamic_batch_size(self.id, dataset, self.shape_input, gear[0])
        if self.file.kind == "image_size":
            return acl.mdl.set_dynamic_hw_size(self.id, dataset, self.shape_input, *gear)
        dims = [dim for shape in self.file.shapes_in(gear).values() for dim in shape]
        told = {"name": "", "dimCount": len(dims), "dims": dims}
        return acl.mdl.set_input_dynamic_dims(self.id, dataset, self.shape_input, told)

    def output_dims(self, dataset: int) -> list[Sizes]:
        """Of each output in the gear of a dataset."""
        told = []
        for index in range(acl.mdl.get_num_outputs(self.desc)):
            dims, code = acl.native.get_dataset_output_dims(self.id, dataset, index)
            checked(code)
            told.append(tuple(dims["dims"]))
        return told

    def output_dtype(self, index: int) -> Any:
        return DTYPES[acl.mdl.get_output_data_type(self.desc, index)]
