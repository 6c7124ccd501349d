"""Gears compiled into real models: the file is ONNX, and answers are those of the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import dynbatch
from real_models import RealModel, real_models

# Magika's rows differ a little in company, which is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*depends on its neighbours")

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """A model with compile options, and what loading finds: batch size and sizes of each gear."""

    model: str
    options: dict[str, Any]
    gears: list[tuple[int, ...]]


CASES = [
    Case(
        "ocr_cls",
        {"input_shape": "x:-1,3,48,192", "dynamic_batch_size": "4,1,2"},
        [(4,), (1,), (2,)],
    ),
    Case(
        "ocr_rec",
        {"input_shape": "x:-1,3,48,160", "dynamic_batch_size": [1, 2]},
        [(1,), (2,)],
    ),
    Case(
        "ocr_rec",
        {"input_shape": "x:-1,3,48,-1", "dynamic_dims": "2,96;1,160", "input_format": "ND"},
        [(2, 96), (1, 160)],
    ),
    Case(
        "magika",
        {"input_shape": "bytes:-1,2048", "dynamic_batch_size": "1,2,4,8"},
        [(1,), (2,), (4,), (8,)],
    ),
    Case(
        "ocr_det",
        {"input_shape": "x:1,3,-1,-1", "dynamic_image_size": "64,96;96,64"},
        [(1, 64, 96), (1, 96, 64)],
    ),
    Case(  # its state has the batch on axis 1
        "silero_vad",
        {
            "input_shape": {"input": (-1, 576), "state": (2, -1, 128)},
            "dynamic_dims": [(1, 1), (4, 4)],
        },
        [(1,), (4,)],
    ),
]
IDS = [f"{case.model}-{next(n for n in case.options if n.startswith('dynamic'))}" for case in CASES]


def feeds_of(model: RealModel, gear: dynbatch.CompiledGear) -> dict[str, Array]:
    """What fits the gear: a corner of real feeds."""
    feeds = {}
    for name, array in model.feeds(max(shape[0] for shape in gear.input_shapes.values())).items():
        feeds[name] = np.ascontiguousarray(array[tuple(map(slice, gear.input_shapes[name]))])
    return feeds


@pytest.mark.slow
@pytest.mark.parametrize("execution", ["native", "python"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_compiled_models_answer_as_onnxruntime_does(
    tmp_path: Path, case: Case, execution: str
) -> None:
    model = real_models()[case.model]
    result = dynbatch.compile(model.path, output=tmp_path / "model", **case.options)
    onnx.checker.check_model(onnx.load(result.output))
    written = onnxruntime.InferenceSession(
        result.output.read_bytes(), providers=["CPUExecutionProvider"]
    )
    plain = onnxruntime.InferenceSession(model.path, providers=["CPUExecutionProvider"])
    with dynbatch.load(result.output, execution=execution) as loaded:
        assert [(gear.batch_size, *gear.sizes) for gear in loaded.gears.gears] == case.gears
        for gear in result.gears:
            feeds = feeds_of(model, gear)
            expected = plain.run(None, feeds)
            assert [array.shape for array in expected] == list(gear.output_shapes.values())
            assert sum(array.nbytes for array in expected) == gear.output_bytes
            assert sum(array.nbytes for array in feeds.values()) == gear.input_bytes
            for answers in (written.run(None, feeds), loaded.run(None, feeds)):
                for answer, wanted in zip(answers, expected, strict=True):
                    np.testing.assert_allclose(
                        answer, wanted, rtol=0, atol=model.tolerance * np.abs(wanted).max()
                    )


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_gear_models_take_the_compiled_gears(tmp_path: Path, case: Case) -> None:
    model = real_models()[case.model]
    result = dynbatch.compile(model.path, output=tmp_path / "model", **case.options)
    gears = dynbatch.GearModel(result.output)
    assert gears.gears.kind == result.kind
    plain = onnxruntime.InferenceSession(model.path, providers=["CPUExecutionProvider"])
    for gear in result.gears:
        dims = [size for shape in gear.input_shapes.values() for size in shape]
        if result.kind == "batch size":
            gears.set_dynamic_batch_size(gear.sizes[0])
        elif result.kind == "image size":
            gears.set_dynamic_image_size(*gear.sizes)
        else:
            gears.set_input_dynamic_dims(dims)
        feeds = feeds_of(model, gear)
        for answer, wanted in zip(
            gears.execute(feeds).values(), plain.run(None, feeds), strict=True
        ):
            np.testing.assert_allclose(
                answer, wanted, rtol=0, atol=model.tolerance * np.abs(wanted).max()
            )
