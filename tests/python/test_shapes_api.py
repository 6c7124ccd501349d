"""What is said about shapes is checked before anything runs: the argument, what was expected, what
came.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dynbatch
from dynbatch import BatchInput, BatchOutput, Input, Output, _core
from dynbatch._declarations import input_declarations, output_declarations
from dynbatch._executors import OnnxOptions
from dynbatch._shapes import Shapes

COUNTS: dict[str, Any] = {
    "kind": "BATCH_ACCUMULATED_ELEMENT_COUNT",
    "target_name": "INDEX",
    "data_type": "FP32",
    "source_input": "INPUT",
}
SCATTER: dict[str, Any] = {
    "kind": "BATCH_SCATTER_WITH_INPUT_SHAPE",
    "target_name": "OUTPUT",
    "source_input": "INPUT",
}

WRONG_DECLARATIONS: list[tuple[Callable[[], object], str]] = [
    (lambda: Input(batch_axis=-1), "batch_axis: expected the index of an axis or None, got -1"),
    (lambda: Input(batch_axis=True), "batch_axis: expected the index of an axis or None, got True"),
    (lambda: Input(batch_axis=1.0), "batch_axis: expected the index of an axis or None, got 1.0"),  # type: ignore[arg-type]
    (lambda: Input(pad="0"), "pad: expected a number or None, got '0'"),  # type: ignore[arg-type]
    (lambda: Input(pad=True), "pad: expected a number or None, got True"),
    (lambda: Input(pad=10**400), "pad: expected a number that a float64 can hold"),
    (
        lambda: Input(pad_mode="reflect"),
        "pad_mode: expected one of 'constant', 'edge', 'first', got 'reflect'",
    ),
    (lambda: Input(mask=""), "mask: expected the name of an input or None, got ''"),
    (lambda: Input(mask=1), "mask: expected the name of an input or None, got 1"),  # type: ignore[arg-type]
    (lambda: Input(length=["n"]), "length: expected the name of an input or None, got ['n']"),  # type: ignore[arg-type]
    (lambda: Input(ragged=None), "ragged: expected True or False, got None"),  # type: ignore[arg-type]
    (lambda: Input(shared=1), "shared: expected True, False or None, got 1"),  # type: ignore[arg-type]
    (lambda: Output(batch_axis=-1), "batch_axis: expected the index of an axis or None, got -1"),
    (lambda: Output(shared="no"), "shared: expected True, False or None, got 'no'"),  # type: ignore[arg-type]
    (lambda: Output(rows_per_row=0), "rows_per_row: expected an int of at least 1, got 0"),
    (lambda: Output(trim=0), "trim: expected the name of an input or None, got 0"),  # type: ignore[arg-type]
    (
        lambda: BatchInput(**COUNTS | {"kind": "BATCH_COUNT"}),
        "kind: expected one of 'BATCH_ELEMENT_COUNT', 'BATCH_ACCUMULATED_ELEMENT_COUNT', "
        "'BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO', 'BATCH_MAX_ELEMENT_COUNT_AS_SHAPE', "
        "'BATCH_ITEM_SHAPE', 'BATCH_ITEM_SHAPE_FLATTEN', got 'BATCH_COUNT'",
    ),
    (
        lambda: BatchInput(**COUNTS | {"target_name": []}),
        "target_name: expected a name or a list of names, got []",
    ),
    (
        lambda: BatchInput(**COUNTS | {"target_name": ["a", 1]}),
        "target_name: expected a name or a list of names, got ['a', 1]",
    ),
    (
        lambda: BatchInput(**COUNTS | {"target_name": None}),
        "target_name: expected a name or a list of names, got None",
    ),
    (
        lambda: BatchInput(**COUNTS | {"data_type": "FP16"}),
        "data_type: expected one of 'INT32', 'INT64', 'FP32', got 'FP16'",
    ),
    (
        lambda: BatchInput(**COUNTS | {"data_type": np.float32}),
        "data_type: expected one of 'INT32', 'INT64', 'FP32', got <class 'numpy.float32'>",
    ),
    (
        lambda: BatchInput(**COUNTS | {"source_input": ["INPUT"]}),
        "source_input: expected the name of an input, got ['INPUT']",
    ),
    (
        lambda: BatchOutput(**SCATTER | {"kind": "BATCH_SCATTER"}),
        "kind: expected one of 'BATCH_SCATTER_WITH_INPUT_SHAPE', got 'BATCH_SCATTER'",
    ),
    (
        lambda: BatchOutput(**SCATTER | {"target_name": ""}),
        "target_name: expected a name or a list of names, got ''",
    ),
    (
        lambda: BatchOutput(**SCATTER | {"source_input": ""}),
        "source_input: expected the name of an input, got ''",
    ),
]


@pytest.mark.parametrize(
    ("declare", "message"), WRONG_DECLARATIONS, ids=[message for _, message in WRONG_DECLARATIONS]
)
def test_wrong_declarations_are_named(declare: Callable[[], object], message: str) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match=re.escape(message)):
        declare()


# Options of load, each with what its message must say.
WRONG_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"lengths": [16, 32]}, "lengths: expected a mapping to a list of sizes or the largest one"),
    ({"lengths": {}}, "lengths: expected at least one dimension, or None; got none"),
    ({"lengths": {5: 16}}, "lengths: expected a name or (input, axis) as key, got 5"),
    ({"lengths": {("x", -1): 16}}, "lengths: expected a name or (input, axis) as key, got ('x', -"),
    ({"lengths": {"n": 0}}, "lengths['n']: expected an int of at least 1, got 0"),
    ({"lengths": {"n": 1.5}}, "lengths['n']: expected an int of at least 1, got 1.5"),
    ({"lengths": {"n": None}}, "lengths['n']: expected a list of sizes, or an int, got None"),
    ({"lengths": {"n": "16"}}, "lengths['n']: expected a list of sizes, or an int, got '16'"),
    ({"lengths": {"n": []}}, "lengths['n']: expected at least one size, got none"),
    ({"lengths": {"n": [16, -1]}}, "lengths['n']: expected an int of at least 1, got -1"),
    ({"lengths": {"n": [16, None]}}, "lengths['n']: expected an int of at least 1, got None"),
    ({"lengths": {"n": [1 << 63]}}, "lengths['n']: expected less than 2**63, got 9223"),
    ({"image_sizes": 416}, "image_sizes: expected a list of pairs of height and width, got 416"),
    ({"image_sizes": []}, "image_sizes: expected at least one pair of height and width"),
    ({"image_sizes": [(416,)]}, "image_sizes: expected pairs of height and width, got (416,)"),
    ({"image_sizes": [416, 416]}, "image_sizes: expected pairs of height and width, got 416"),
    ({"image_sizes": ["12"]}, "image_sizes: expected pairs of height and width, got '12'"),
    ({"image_sizes": [(416, 0)]}, "image_sizes: expected an int of at least 1, got 0"),
    ({"dims": {"n": 4}}, "dims: expected a list of mappings from dimension to size, got {'n': 4}"),
    ({"dims": []}, "dims: expected at least one mapping from dimension to size"),
    ({"dims": [{}]}, "dims[0]: expected a mapping from dimension to size, got {}"),
    ({"dims": [{"n": 1}, 4]}, "dims[1]: expected a mapping from dimension to size, got 4"),
    ({"dims": [{"n": 0}]}, "dims[0]['n']: expected an int of at least 1, got 0"),
    ({"dims": [{"n": 1, "batch": "4"}]}, "dims[0]['batch']: expected an int of at least 1"),
    ({"dims": [{4: 1}]}, "dims[0]: expected a name or (input, axis) as key, got 4"),
    (
        {"lengths": {"n": 16}, "dims": [{"n": 4}]},
        "lengths, dims: expected one of lengths, image_sizes and dims at most",
    ),
    ({"pads": 1}, "pads: expected True or False, got 1"),
    ({"pads": True}, "pads: it pads rows up to an image size or dims gear, and none was given"),
    (
        {"pads": True, "lengths": {"n": 16}},
        "pads: it pads rows up to an image size or dims gear, and none was given",
    ),
    ({"set_size": 0}, "set_size: expected an int of at least 1, got 0"),
    ({"set_size": None}, "set_size: expected an int of at least 1, got None"),
    ({"ragged": "x"}, "ragged: expected a list of input names, got 'x'"),
    ({"ragged": [0]}, "ragged: expected a list of input names, got [0]"),
    ({"batch_inputs": "x"}, "batch_inputs: expected a list of dynbatch.BatchInput, got 'x'"),
    ({"batch_inputs": [COUNTS]}, "batch_inputs[0]: expected dynbatch.BatchInput, got {"),
    (
        {"batch_outputs": [BatchInput(**COUNTS)]},
        "batch_outputs[0]: expected dynbatch.BatchOutput, got BatchInput(",
    ),
    ({"outputs": {"y": 1}}, "outputs['y']: expected dynbatch.Output, got 1"),
    ({"outputs": {1: Output()}}, "outputs: expected names as keys, got 1"),
    ({"outputs": {"y": Output(dtype="f4")}}, "outputs['y']: a model declares its own dtype"),
]


@pytest.mark.parametrize(
    ("options", "message"), WRONG_OPTIONS, ids=[str(options) for options, _ in WRONG_OPTIONS]
)
def test_wrong_options_are_named(
    options: dict[str, Any], message: str, models: dict[str, Path]
) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match=re.escape(message)):
        dynbatch.load(models["one_gemm"], **options)


# Names that a model without free dimensions lacks.
UNKNOWN_NAMES: list[tuple[dict[str, Any], str]] = [
    ({"lengths": {"n": 16}}, "lengths: there is no free dimension 'n': expected none"),
    ({"lengths": {("z", 1): 16}}, "lengths: there is no input 'z': expected 'x'"),
    ({"lengths": {("x", 0): 16}}, "lengths: axis 0 of input 'x' is no free dimension apart from"),
    ({"lengths": {("x", 1): 16}}, "lengths: axis 1 of input 'x' is no free dimension apart from"),
    ({"dims": [{"n": 4}]}, "dims[0]: there is no free dimension 'n': expected none"),
]


@pytest.mark.parametrize("execution", ["native", "python"])
@pytest.mark.parametrize(
    ("options", "message"), UNKNOWN_NAMES, ids=[str(options) for options, _ in UNKNOWN_NAMES]
)
def test_dimensions_that_are_not_there_are_named(
    options: dict[str, Any], message: str, execution: str, models: dict[str, Path]
) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match=re.escape(message)):
        dynbatch.load(models["one_gemm"], execution=execution, **options)


# Two inputs with the batch on axes 0 and 1: frames [batch, time, 3, width], state [2, batch, time].
SPEC: Any = SimpleNamespace(
    dimensions=["time", "frames[3]"],
    inputs=[
        SimpleNamespace(
            name="frames", shared=False, batch_axis=0, row_shape=[-1, 3, -1], dimensions=[0, -1, 1]
        ),
        SimpleNamespace(
            name="state", shared=False, batch_axis=1, row_shape=[2, -1], dimensions=[-1, 0]
        ),
        SimpleNamespace(name="scale", shared=True, batch_axis=0, row_shape=[4], dimensions=[]),
    ],
)


def core_options(**options: Any) -> _core.BatchingOptions:
    native = _core.BatchingOptions()
    shapes = Shapes(**options)
    shapes.check()
    shapes.put_into(native, SPEC)
    return native


@pytest.mark.parametrize("key", ["time", ("frames", 1), ("state", 2)])
def test_lengths_go_by_the_name_of_the_dimension(key: Any) -> None:
    lengths = core_options(lengths={key: [32, 16], ("frames", 3): 64}).lengths
    assert {name: (each.gears, each.largest) for name, each in lengths.items()} == {
        "time": ([32, 16], 0),
        "frames[3]": ([], 64),
    }


def test_dims_have_the_order_of_the_model() -> None:
    dims = core_options(
        dims=[{("frames", 3): 8, "time": 4}, {"batch": 2, "time": 1, "frames[3]": 9}]
    )
    assert [(gear.batch_size, gear.sizes) for gear in dims.dims] == [(0, [4, 8]), (2, [1, 9])]


def test_image_sizes_keep_their_order() -> None:
    native = core_options(image_sizes=[(416, 320), [224, 224]], pads=True, set_size=2)
    assert native.image_sizes == [(416, 320), (224, 224)]
    assert native.pads
    assert native.set_size == 2


WRONG_FOR_MODEL: list[tuple[dict[str, Any], str]] = [
    (
        {"lengths": {"n": 4}},
        "lengths: there is no free dimension 'n': expected 'time', 'frames[3]'",
    ),
    ({"lengths": {("x", 1): 4}}, "lengths: there is no input 'x': expected 'frames', 'state', 's"),
    (
        {"lengths": {("frames", 2): 4}},
        "lengths: axis 2 of input 'frames' is no free dimension apart from the batch: its free "
        "axes are 1, 3",
    ),
    ({"lengths": {("state", 1): 4}}, "axis 1 of input 'state' is no free dimension apart from the"),
    ({"lengths": {("scale", 0): 4}}, "axis 0 of input 'scale' is no free dimension apart from the"),
    (
        {"lengths": {"time": 4, ("state", 2): 8}},
        "lengths: ('state', 2) is dimension 'time', which stands twice",
    ),
    (
        {"dims": [{"time": 4, ("frames", 1): 4}]},
        "dims[0]: ('frames', 1) is dimension 'time', which stands twice",
    ),
    (
        {"dims": [{"time": 4, "batch": 2}]},
        "dims[0]: expected a size for each of 'time', 'frames[3]', got none for 'frames[3]'",
    ),
]


@pytest.mark.parametrize(
    ("options", "message"), WRONG_FOR_MODEL, ids=[message for _, message in WRONG_FOR_MODEL]
)
def test_what_a_model_lacks_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match=re.escape(message)):
        core_options(**options)


FOR_MODELS: list[tuple[dict[str, Any], str]] = [
    ({"inputs": {"x": Input(batch_axis=1)}}, "inputs['x']: batch_axis is for models; a function"),
    ({"inputs": {"x": Input(pad=1)}}, "inputs['x']: pad is for models; a function takes dtype,"),
    ({"inputs": {"x": Input(mask="m")}}, "inputs['x']: mask is for models"),
    ({"inputs": {"x": Input(ragged=True)}}, "inputs['x']: ragged is for models"),
    (
        {"outputs": {"y": Output("f4", (3,), trim="x")}},
        "outputs['y']: trim is for models; a function takes dtype, shape",
    ),
    ({"outputs": {"y": Output()}}, "outputs['y']: expected dtype and shape"),
    ({"outputs": {"y": Output("f4")}}, "outputs['y']: expected dtype and shape"),
]


@pytest.mark.parametrize(
    ("options", "message"), FOR_MODELS, ids=[message for _, message in FOR_MODELS]
)
def test_what_functions_lack_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match=re.escape(message)):
        dynbatch.Batcher(lambda x: x, **options)


def test_declarations_of_inputs_reach_the_core() -> None:
    declared = input_declarations(
        {
            "ids": Input(pad=7, pad_mode="edge", mask="mask", length="n"),
            "state": Input(batch_axis=1, shared=False),
        },
        ["flat"],
    )
    ids, state, flat = declared["ids"], declared["state"], declared["flat"]
    assert (ids.pad, ids.pad_mode, ids.mask, ids.length) == (7, _core.PadMode.edge, "mask", "n")
    assert (ids.batch_axis, ids.shared, ids.ragged) == (None, None, False)
    assert (state.batch_axis, state.shared, state.pad, state.mask) == (1, False, 0, "")
    assert flat.ragged


def test_a_ragged_input_keeps_its_declaration() -> None:
    declared = input_declarations({"x": Input(pad=7)}, ["x"])
    assert declared["x"].ragged
    assert declared["x"].pad == 7


def test_declarations_of_outputs_reach_the_core_and_select_none() -> None:
    outputs = {"y": Output(batch_axis=2, shared=False, rows_per_row=3, trim="x")}
    native = output_declarations(outputs)["y"]
    assert (native.batch_axis, native.shared, native.rows_per_row, native.trim) == (
        2,
        False,
        3,
        "x",
    )
    options = OnnxOptions(None, None, outputs, None, None, None, None)
    assert options.native().outputs == []


def test_names_of_outputs_select_and_declare_nothing() -> None:
    options = OnnxOptions(None, None, ["y"], None, None, None, None)
    assert options.native().outputs == ["y"]
    assert options.native().output_declarations == {}


@pytest.mark.parametrize("prefix", ["", "TYPE_"])
@pytest.mark.parametrize(
    ("data_type", "dtype"), [("INT32", np.int32), ("INT64", np.int64), ("FP32", np.float32)]
)
def test_batch_inputs_reach_the_core(prefix: str, data_type: str, dtype: Any) -> None:
    native = BatchInput(**COUNTS | {"data_type": prefix + data_type})._native()
    assert native.kind is _core.Made.accumulated_element_count
    assert native.target_names == ["INDEX"]
    assert native.data_type == dtype
    assert native.source_input == "INPUT"


def test_several_targets_reach_the_core() -> None:
    assert BatchInput(**COUNTS | {"target_name": ["a", "b"]})._native().target_names == ["a", "b"]
    native = BatchOutput(**SCATTER | {"target_name": ("a", "b")})._native()
    assert (native.target_names, native.source_input) == (["a", "b"], "INPUT")
