"""`dynbatch.compile`: one file that is still an ONNX model, and brings its gears with it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import dynbatch
from compile_models import affine, documented_example, tensor


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(affine(["batch", 3]), path)
    return path


def gears_of(model: dynbatch.Model) -> list[tuple[int, ...]]:
    return [(gear.batch_size, *gear.sizes) for gear in model.gears.gears]


def test_the_documented_example_has_exactly_four_combinations(tmp_path: Path) -> None:
    result = dynbatch.compile(
        documented_example(tmp_path / "model.onnx"),
        input_shape="data:-1,3,416,416;img_info:-1,4",
        dynamic_batch_size="1,2,4,8",
        output=tmp_path / "model",
    )
    assert result.output == tmp_path / "model.om"
    assert result.kind == "batch size"
    assert [dict(gear.input_shapes) for gear in result.gears] == [
        {"data": (n, 3, 416, 416), "img_info": (n, 4)} for n in (1, 2, 4, 8)
    ]
    assert result.rows_independent
    assert result.warnings == ()
    assert all(gear.seconds > 0 for gear in result.gears)


def test_the_file_is_a_valid_onnx_model_with_all_that_the_model_had(model: Path) -> None:
    result = dynbatch.compile(
        model, output=model.with_suffix(""), input_shape="x:-1,3", dynamic_batch_size="4,1,8,2"
    )
    written = onnx.load(result.output)
    onnx.checker.check_model(written, full_check=True)
    assert written.graph == onnx.load(model).graph
    props = {entry.key: entry.value for entry in written.metadata_props}
    assert props.pop("dynbatch.gears").startswith("format 1\nkind batch\nrows independent\n")
    assert props == {"author": "somebody"}
    session = onnxruntime.InferenceSession(
        result.output.read_bytes(), providers=["CPUExecutionProvider"]
    )
    x = np.ones((5, 3), np.float32)
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], 2 * x)


@pytest.mark.parametrize("execution", ["native", "python"])
def test_loading_takes_the_gears_in_the_order_given(model: Path, execution: str) -> None:
    result = dynbatch.compile(
        model, output=model.with_name("m"), input_shape="x:-1,3", dynamic_batch_size=[4, 1, 8, 2]
    )
    with dynbatch.load(result.output, execution=execution) as loaded:
        assert gears_of(loaded) == [(4,), (1,), (8,), (2,)]
        x = np.arange(15, dtype=np.float32).reshape(5, 3)
        np.testing.assert_array_equal(loaded.run(None, {"x": x})[0], 2 * x)
    with dynbatch.load(result.output, execution=execution, gears=[3]) as loaded:
        assert gears_of(loaded) == [(3,)]


def test_a_live_session_brings_its_gears(model: Path) -> None:
    result = dynbatch.compile(
        model, output=model.with_name("m"), input_shape="x:-1,3", dynamic_batch_size=[2, 4]
    )
    session = onnxruntime.InferenceSession(result.output, providers=["CPUExecutionProvider"])
    with dynbatch.load(session) as loaded:
        assert gears_of(loaded) == [(2,), (4,)]


@pytest.mark.parametrize("execution", ["native", "python"])
def test_loading_binds_dimensions_that_gears_leave_alone(tmp_path: Path, execution: str) -> None:
    onnx.save(affine(["batch", "sequence", 3]), tmp_path / "m.onnx")
    result = dynbatch.compile(
        tmp_path / "m.onnx",
        output=tmp_path / "m",
        input_shape={"x": (-1, -1, 3)},
        dimensions={"sequence": 10},
        dynamic_batch_size=[1, 2],
    )
    assert result.inputs == {"x": (-1, 10, 3)}
    with dynbatch.load(result.output, execution=execution) as loaded:
        assert loaded.dimensions == []
        assert loaded.run(None, {"x": np.ones((2, 10, 3), np.float32)})[0].shape == (2, 10, 3)
        with pytest.raises(dynbatch.InvalidInput):
            loaded.run(None, {"x": np.ones((2, 9, 3), np.float32)})
    with dynbatch.load(result.output, execution=execution, dimensions={"sequence": 9}) as loaded:
        assert loaded.run(None, {"x": np.ones((2, 9, 3), np.float32)})[0].shape == (2, 9, 3)
    gears = dynbatch.GearModel(result.output, dimensions={"sequence": 9})
    assert gears.execute(np.ones((2, 9, 3), np.float32))["y"].shape == (2, 9, 3)
    with pytest.raises(dynbatch.InvalidArgument, match="compiled into the model settle"):
        dynbatch.GearModel(result.output, dimensions={"batch": 2})


@pytest.mark.parametrize("execution", ["native", "python"])
def test_loading_takes_image_sizes_and_dims(tmp_path: Path, execution: str) -> None:
    onnx.save(affine(["batch", 1, "h", "w"]), tmp_path / "m.onnx")
    image = dynbatch.compile(
        tmp_path / "m.onnx",
        output=tmp_path / "image",
        input_shape="x:2,1,-1,-1",
        dynamic_image_size=[(8, 4), (2, 6)],
    )
    with dynbatch.load(image.output, execution=execution) as loaded:
        assert gears_of(loaded) == [(2, 8, 4), (2, 2, 6)]
        x = np.ones((1, 1, 2, 6), np.float32)
        np.testing.assert_array_equal(loaded.run(None, {"x": x})[0], 2 * x)
        with pytest.raises(dynbatch.InvalidInput):
            loaded.run(None, {"x": np.ones((1, 1, 3, 6), np.float32)})
    dims = dynbatch.compile(
        tmp_path / "m.onnx",
        output=tmp_path / "dims",
        input_shape="x:-1,1,-1,5",
        dynamic_dims=[(1, 7), (4, 3)],
    )
    with dynbatch.load(dims.output, execution=execution) as loaded:
        assert gears_of(loaded) == [(1, 7), (4, 3)]
        x = np.ones((2, 1, 3, 5), np.float32)
        np.testing.assert_array_equal(loaded.run(None, {"x": x})[0], 2 * x)


def test_a_single_gear_is_bound(model: Path) -> None:
    result = dynbatch.compile(
        model, output=model.with_name("m"), input_shape="x:-1,3", dynamic_batch_size="4", fixed=True
    )
    assert [gear.sizes for gear in result.gears] == [()]
    assert result.inputs == {"x": (4, 3)}
    with dynbatch.load(result.output) as loaded:
        assert gears_of(loaded) == [(4,)]


def test_python_values_are_those_of_the_text(model: Path) -> None:
    texts = dynbatch.compile(
        model, output=model.with_name("a"), input_shape="x:-1,3", dynamic_batch_size="1,2"
    )
    values = dynbatch.compile(
        model, output=model.with_name("b"), input_shape={"x": [-1, 3]}, dynamic_batch_size=(1, 2)
    )
    assert [g.sizes for g in texts.gears] == [g.sizes for g in values.gears]


@pytest.mark.parametrize(
    ("code", "option", "options"),
    [
        ("E10035", "dynamic_batch_size", {"dynamic_batch_size": [1]}),
        ("E10036", "dynamic_batch_size", {"dynamic_batch_size": range(1, 102)}),
        ("E10038", "dynamic_batch_size", {"dynamic_batch_size": [0, 1]}),
        ("E10039", "dynamic_batch_size", {"dynamic_batch_size": "2,2"}),
        ("E10003", "dynamic_batch_size", {"dynamic_batch_size": [-1, 2]}),
        ("E10009", "dynamic_batch_size", {"dynamic_batch_size": "1,2", "dynamic_dims": "1;2"}),
        ("E10058", "output", {"dynamic_batch_size": "1,2", "output": None}),
        ("E10001", "insert_op_conf", {"insert_op_conf": "aipp.cfg"}),
        ("E10001", "input_shape_range", {"input_shape_range": "x:[1~8,3]"}),
        ("E10001", "dimension", {"dimensions": {"depth": 4}}),
        ("E10011", "input_shape", {}),
    ],
)
def test_refusals_carry_the_code(model: Path, code: str, option: str, options: Any) -> None:
    given = {"output": model.with_name("m"), "input_shape": "x:-1,3", **options}
    with pytest.raises(dynbatch.CompileError) as caught:
        dynbatch.compile(model, **given)
    error = caught.value
    assert (error.code, error.option) == (code, option)
    assert str(error).startswith(f"{code}: --{option}: expected {error.allowed}; got ")
    assert isinstance(error, dynbatch.Error)
    assert isinstance(error, ValueError)
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, str(again)) == (code, str(error))


def test_a_hundred_gears_are_accepted(model: Path) -> None:
    result = dynbatch.compile(
        model,
        output=model.with_name("m"),
        input_shape="x:-1,3",
        dynamic_batch_size=range(1, 101),
    )
    assert len(result.gears) == 100


@pytest.mark.parametrize(
    "options",
    [
        {"input_shape": 4},
        {"input_shape": {"x": "13"}},
        {"input_shape": {"x;y": [1]}},
        {"dynamic_batch_size": 4},
        {"dynamic_batch_size": [1.5, 2]},
        {"dynamic_dims": [1, 2]},
        {"dimensions": {("x", 1): 3}},
        {"fixed": 1},
        {"insert_op_conf": 3},
    ],
)
def test_values_of_wrong_types_are_named(model: Path, options: Any) -> None:
    given = {"output": model.with_name("m"), "input_shape": "x:-1,3", **options}
    with pytest.raises(dynbatch.InvalidArgument, match=next(iter(options))):
        dynbatch.compile(model, **given)


def test_the_model_is_a_file_that_is_there(model: Path) -> None:
    with pytest.raises(FileNotFoundError):
        dynbatch.compile("nowhere.onnx", output="m")
    with pytest.raises(dynbatch.InvalidArgument, match="path"):
        dynbatch.compile(model.read_bytes(), output="m")  # type: ignore[arg-type]


def test_the_model_is_never_overwritten(model: Path) -> None:
    before = model.read_bytes()
    link = model.with_name("link.onnx")
    link.symlink_to(model)
    for output in (model, link):
        with pytest.raises(dynbatch.CompileError) as caught:
            dynbatch.compile(model, output=output, input_shape="x:-1,3", dynamic_batch_size="1,2")
        assert caught.value.option == "output"
    assert model.read_bytes() == before


def test_large_gears_warn(model: Path) -> None:
    with pytest.warns(RuntimeWarning, match="3000 is above 2048"):
        result = dynbatch.compile(
            model, output=model.with_name("m"), input_shape="x:-1,3", dynamic_batch_size="1,3000"
        )
    assert len(result.warnings) == 1


def test_rows_that_mix_warn_and_are_told(models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.warns(RuntimeWarning, match=r"load\(\) of this model will warn"):
        result = dynbatch.compile(
            models["softmax_axis0"],
            output=tmp_path / "m",
            input_shape="x:-1,8",
            dynamic_batch_size="1,2",
        )
    assert result.rows_independent is False


def test_progress_may_end_the_call(model: Path) -> None:
    def stop(gear: int, gears: int, name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dynbatch.compile(
            model,
            output=model.with_name("m"),
            input_shape="x:-1,3",
            dynamic_batch_size="1,2",
            progress=stop,
        )
    assert not model.with_name("m.om").exists()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"output": 5}, "output"),
        ({"output": b"m"}, "output"),
        ({"output": "q\udcff"}, "output"),
        ({"output": "m", "progress": 3}, "progress"),
        ({"output": "m", "input_shape": "q\udcff:1"}, "input_shape"),
        ({"output": "m", "input_shape": {"q\udcff": [1]}}, "input_shape"),
        ({"output": "m", "dynamic_batch_size": "\udcff"}, "dynamic_batch_size"),
        ({"output": "m", "dimensions": {"\udcff": 1}}, "dimensions"),
    ],
)
def test_outputs_and_callbacks_of_wrong_types_are_named(
    options: dict[str, Any], name: str, model: Path
) -> None:
    with pytest.raises(dynbatch.Error, match=f"^{name}: expected"):
        dynbatch.compile(model, **{"input_shape": "x:-1,2", "dynamic_batch_size": "1,2", **options})


def test_inner_shapes_of_values_are_refused(tmp_path: Path) -> None:
    """In a function of the model, too."""
    opset = [helper.make_opsetid("", 17)]
    positive = helper.make_function(
        "local",
        "CountPositive",
        ["a"],
        ["count"],
        [
            helper.make_node("Relu", ["a"], ["positive"]),
            helper.make_node("NonZero", ["positive"], ["places"]),
            helper.make_node("Size", ["places"], ["count"]),
        ],
        opset,
    )
    graph = helper.make_graph(
        [helper.make_node("CountPositive", ["x"], ["y"], domain="local")],
        "counts",
        [tensor("x", ["batch", 3])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [])],
    )
    local = helper.make_opsetid("local", 1)
    model = helper.make_model(
        graph, opset_imports=[*opset, local], functions=[positive], ir_version=8
    )
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    with pytest.raises(dynbatch.CompileError, match=r"NonZero of 'places'.*'positive'") as caught:
        dynbatch.compile(
            path, output=tmp_path / "m", input_shape="x:-1,3", dynamic_batch_size="1,2"
        )
    assert caught.value.code == "E19999"


@pytest.mark.parametrize("execution", ["native", "python"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format 7\n", "format 1"),
        ("{}", "line 1"),
        ("format 1\nkind batch\ngear sizes=[1,2] seconds=0\n", "line 3"),
        (
            "format 1\nkind batch\ninput z dtype=float32 shape=[-1,3]\ngear sizes=[2] seconds=0\n",
            "does not fit the model",
        ),
    ],
)
def test_a_foreign_or_damaged_block_is_a_clear_error(
    tmp_path: Path, execution: str, text: str, message: str
) -> None:
    model = affine(["batch", 3])
    helper.set_model_props(model, {"dynbatch.gears": text})
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(dynbatch.ModelError, match=message) as caught:
        dynbatch.load(tmp_path / "m.onnx", execution=execution)
    assert "dynbatch.gears" in str(caught.value)
