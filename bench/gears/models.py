"""The real models with their gears: compiled into a file, or one of them alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import onnxruntime

import dynbatch
from bench.load.contenders import Feeds, session
from bench.load.models import existing

if TYPE_CHECKING:
    from real_models import RealModel

Gear = tuple[int, ...]
BATCHES: Sequence[Gear] = [(1,), (2,), (4,), (8,)]
IMAGES: Sequence[Gear] = [(160, 320), (320, 320), (320, 640), (640, 640)]
# The largest stands last.
GEARS: Mapping[str, Sequence[Gear]] = {
    "ocr_cls": BATCHES,
    "ocr_rec": BATCHES,
    "magika": BATCHES,
    "ocr_det": IMAGES,
}


def gear_name(gear: Gear) -> str:
    return "x".join(map(str, gear))


def gear_setter(model: dynbatch.GearModel, gear: Gear) -> Callable[..., None]:
    """The call that chooses gears of that kind."""
    return model.set_dynamic_batch_size if len(gear) == 1 else model.set_dynamic_image_size


@dataclasses.dataclass(frozen=True)
class GearedModel:
    """A model with one input, and its gears: batch sizes, or heights and widths."""

    described: RealModel
    gears: Sequence[Gear]

    @classmethod
    def named(cls, name: str) -> GearedModel:
        from real_models import real_models

        return cls(real_models()[name], GEARS[name])

    @property
    def path(self) -> Path:
        return existing(self.described.path)

    @property
    def input(self) -> str:
        (name,) = self.described.inputs
        return name

    def shape(self, gear: Gear) -> tuple[int, ...]:
        """The input's in that gear."""
        row = self.described.inputs[self.input].row_shape
        return (*gear, *row) if len(gear) == 1 else (1, row[0], *gear)

    def feeds(self, gear: Gear) -> Feeds:
        """They look like the model's real input."""
        batch, *row = self.shape(gear)
        node = dataclasses.replace(self.described.inputs[self.input], row_shape=tuple(row))
        return dataclasses.replace(self.described, inputs={self.input: node}).feeds(batch)

    def compiled(self, folder: Path) -> Path:
        """A file with all gears."""
        if len(self.gears[0]) == 1:
            told: dict[str, Any] = {"dynamic_batch_size": [size for (size,) in self.gears]}
        else:
            told = {"dynamic_image_size": self.gears}
        free = self.shape((-1,) * len(self.gears[0]))
        output = folder / f"{self.described.name}.om"
        return dynbatch.compile(
            self.path, output=output, input_shape={self.input: free}, **told
        ).output

    def compiled_fixed(self, gear: Gear, folder: Path) -> Path:
        """A file with that gear alone."""
        output = folder / f"{self.described.name}_{gear_name(gear)}.om"
        shapes = {self.input: self.shape(gear)}
        return dynbatch.compile(self.path, output=output, input_shape=shapes, fixed=True).output

    def fixed_session(self, gear: Gear, folder: Path) -> onnxruntime.InferenceSession:
        """ONNX Runtime's own, of a graph whose input has that gear's shape and no other."""
        model = onnx.load(self.path)
        (node,) = (each for each in model.graph.input if each.name == self.input)
        dims = node.type.tensor_type.shape.dim
        for dim, size in zip(dims, self.shape(gear), strict=True):
            dim.dim_value = size
        path = folder / f"{self.described.name}_{gear_name(gear)}.onnx"
        onnx.save(model, path)
        return session(path, threads=1)
