"""Gears of every kind on whole tensors: batch sizes, image sizes, dims, and none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import dynbatch
from model_cases import case_named
from real_models import real_models
from reference import answers_of, session

REAL = real_models()
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A real model with gears, and the whole shape of its only input in each."""

    model: str
    told: Mapping[str, Any]
    shapes: Sequence[Shape]

    def load(self, **options: Any) -> dynbatch.GearModel:
        return dynbatch.GearModel(REAL[self.model].path, **self.told, **options)

    def feeds(self, shape: Shape) -> dict[str, Any]:
        ((name, entry),) = REAL[self.model].inputs.items()
        random = np.random.default_rng(shape)
        if entry.dtype == np.int32:
            return {name: random.integers(0, 257, shape, dtype=np.int32)}
        return {name: random.standard_normal(shape).astype(entry.dtype)}


def image_sizes(*sizes: tuple[int, int], rows: int = 1) -> dict[str, Any]:
    return {"image_sizes": list(sizes), "input_shape": {"x": (rows, 3, -1, -1)}}


CASES = {
    "cls": Case(
        "ocr_cls",
        {"gears": [4, 1, 8, 2], "input_shape": {"x": (-1, 3, 48, 192)}},
        [(n, 3, 48, 192) for n in (4, 1, 8, 2)],
    ),
    "rec": Case(
        "ocr_rec",
        {"dims": [(2, 160), (1, 320)], "input_shape": {"x": (-1, 3, 48, -1)}},
        [(2, 3, 48, 160), (1, 3, 48, 320)],
    ),
    "magika": Case("magika", {"dims": [(2,), (1,), (4,)]}, [(2, 2048), (1, 2048), (4, 2048)]),
    "det": Case(
        "ocr_det",
        image_sizes((96, 160), (160, 96), (64, 64)),
        [(1, 3, 96, 160), (1, 3, 160, 96), (1, 3, 64, 64)],
    ),
    "det_batch_of_2": Case(
        "ocr_det", image_sizes((64, 96), (96, 64), rows=2), [(2, 3, 64, 96), (2, 3, 96, 64)]
    ),
}


def choose(model: dynbatch.GearModel, shape: Shape) -> None:
    if model.gears.kind == "image size":
        model.set_dynamic_image_size(*shape[2:])
    elif model.gears.kind == "dims":
        model.set_input_dynamic_dims(shape)
    else:
        model.set_dynamic_batch_size(shape[0])


@pytest.mark.parametrize("name", CASES)
def test_every_gear_answers_as_plain_onnx_runtime(name: str) -> None:
    case = CASES[name]
    run = session(REAL[case.model].path)
    model = case.load()
    assert len(model.gears.gears) == len(case.shapes)
    for shape in (*case.shapes, *reversed(case.shapes)):
        choose(model, shape)
        feeds = case.feeds(shape)
        answers = model.execute(feeds)
        for key, expected in answers_of(run, feeds).items():
            np.testing.assert_array_equal(answers[key], expected, strict=True)


@pytest.mark.parametrize("name", CASES)
def test_only_the_shape_of_the_chosen_gear_is_taken(name: str) -> None:
    case = CASES[name]
    model = case.load()
    chosen, other = case.shapes[:2]
    choose(model, chosen)
    with pytest.raises(dynbatch.InvalidInput) as caught:
        model.execute(case.feeds(other))
    assert str(list(chosen)) in str(caught.value)
    assert str(list(other)) in str(caught.value)


def test_bytes_of_a_model_are_as_good_as_its_path() -> None:
    case = CASES["det"]
    content = REAL[case.model].path.read_bytes()
    model = dynbatch.GearModel(content, **case.told)
    feeds = case.feeds(case.shapes[0])
    choose(model, case.shapes[0])
    np.testing.assert_array_equal(
        model.execute(feeds)["sigmoid_0.tmp_0"],
        answers_of(session(REAL[case.model].path), feeds)["sigmoid_0.tmp_0"],
    )


def test_a_model_without_free_dimensions_has_one_gear(models: dict[str, Path]) -> None:
    model = dynbatch.GearModel(models["fixed_batch"])
    (gear,) = model.gears.gears
    assert gear.sizes == ()
    assert gear.seconds > 0
    feeds = case_named("fixed_batch").feeds(4)
    for key, expected in answers_of(session(models["fixed_batch"]), feeds).items():
        np.testing.assert_array_equal(model.execute(feeds)[key], expected, strict=True)
    with pytest.raises(dynbatch.InvalidArgument, match="one gear"):
        model.set_dynamic_batch_size(4)


def test_a_shape_without_free_dimensions_makes_one_gear(models: dict[str, Path]) -> None:
    model = dynbatch.GearModel(models["one_gemm"], input_shape={"x": (3, 64)})
    x = case_named("one_gemm").feeds(3)["x"]
    expected = answers_of(session(models["one_gemm"]), {"x": x})["y"]
    np.testing.assert_array_equal(model.execute(x)["y"], expected)


def test_the_largest_gear_is_chosen_at_first() -> None:
    case = CASES["det"]
    assert case.load().execute(case.feeds((1, 3, 96, 160)))


def test_gears_are_told_with_their_kind_bytes_and_times() -> None:
    model = CASES["det"].load()
    assert model.gears.kind == "image size"
    assert [gear.sizes for gear in model.gears.gears] == [(96, 160), (160, 96), (64, 64)]
    assert [gear.input_bytes for gear in model.gears.gears] == [
        3 * 4 * height * width for height, width in ((96, 160), (160, 96), (64, 64))
    ]
    assert all(gear.seconds > 0 for gear in model.gears.gears)
    plan = model.memory_plan()
    assert plan.total_bytes == max(gear.output_bytes for gear in plan.gears)


def test_gear_for_rows(models: dict[str, Path]) -> None:
    for shape in (None, {"x": (-1, 64)}):
        model = dynbatch.GearModel(models["one_gemm"], gears=[8, 2, 4], input_shape=shape)
        assert model.gear_for(3) == 4
        assert model.gear_for(7, choice="lower") == 4
        assert model.gear_for(6, choice="nearest") == 8
        with pytest.raises(dynbatch.InvalidArgument, match="8, 2, 4 holds 9 rows"):
            model.gear_for(9)
        with pytest.raises(dynbatch.InvalidArgument, match="'upper', 'nearest', 'lower'"):
            model.gear_for(3, choice="middle")


def test_calls_of_another_kind_name_the_gears() -> None:
    model = CASES["det"].load()
    for call in (
        lambda: model.set_dynamic_batch_size(1),
        lambda: model.set_input_dynamic_dims([1, 3, 64, 64]),
        lambda: model.gear_for(1),
    ):
        with pytest.raises(dynbatch.InvalidArgument, match="set_dynamic_image_size") as caught:
            call()
        assert "[96, 160], [160, 96], [64, 64]" in str(caught.value)
    assert model.dynamic_batch_size == 0


def test_sizes_that_are_no_gear_are_named() -> None:
    model = CASES["det"].load()
    with pytest.raises(dynbatch.InvalidArgument, match=r"\[64, 64\]; got \[64, 96\]"):
        model.set_dynamic_image_size(64, 96)
    rec = CASES["rec"].load()
    for dims, message in (
        ((2, 3, 48), "4 dimensions of all inputs"),
        ((2, 3, 32, 160), "only -1 may change"),
        ((2, 3, 48, 320), r"\[2, 160\], \[1, 320\]; got \[2, 320\]"),
        ((2, 3, 48, -1), "ints of at least 0"),
        ((2, 3, 48, 1.5), "expected ints"),
    ):
        with pytest.raises(dynbatch.InvalidArgument, match=message):
            rec.set_input_dynamic_dims(dims)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"gears": [1], "dims": [(1,)]}, "gears, dims: expected one"),
        ({"image_sizes": []}, "image_sizes: expected at least one"),
        ({"image_sizes": [(1, 2, 3)]}, "pairs of height and width"),
        ({"dims": []}, "dims: expected at least one"),
        ({"dims": [(0,)]}, "dims.0.: expected ints of at least 1"),
        ({"dims": [(1, 2)]}, "1 sizes a gear"),
        ({"image_sizes": [(1, 2)]}, "height and width"),
        ({"dims": [(1,), (1,)]}, "twice"),
        ({"dims": [{"n": 1}]}, "expected a list of ints"),
        ({"input_shape": {"x": (-1, 64)}}, "-1 stands where gears differ"),
        ({"gears": [1], "input_shape": {"x": (-2, 64)}}, "ints of at least -1"),
        ({"gears": [1], "input_shape": {"z": (-1, 64)}}, "'x'.*'z'"),
        ({"gears": [1], "input_shape": {"x": (-1, 63)}}, "'x'.*63"),
        ({"dims": [(1,)], "inputs": {"x": dynbatch.Input()}}, "declare batches"),
        ({"dims": [(1,)], "outputs": {"y": dynbatch.Output()}}, "declare batches"),
        ({"dims": [(1,)], "execution": "python"}, "batch sizes alone"),
        ({"dims": [(1,)], "outputs": ["z"]}, "'z'"),
    ],
)
def test_what_does_not_fit_is_named(
    told: Mapping[str, Any], message: str, models: dict[str, Path]
) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match=message):
        dynbatch.GearModel(models["one_gemm"], **told)


def test_free_dimensions_without_gears_say_what_to_do(models: dict[str, Path]) -> None:
    with pytest.raises(dynbatch.ModelError, match=r"dynbatch compile.*gears="):
        dynbatch.GearModel(models["one_gemm"])


def compiled(path: Path, folder: Path, *lines: str) -> Path:
    """The model with gears in its metadata, as the core writes them."""
    model = onnx.load(path)
    model.metadata_props.add(key="dynbatch.gears", value="\n".join(("format 1", *lines)))
    onnx.save(model, folder / "compiled.onnx")
    return folder / "compiled.onnx"


def test_a_compiled_model_brings_its_gears(models: dict[str, Path], tmp_path: Path) -> None:
    path = compiled(
        models["one_gemm"],
        tmp_path,
        "kind batch",
        "input x dtype=float32 shape=[-1,64]",
        "output y dtype=float32",
        "gear sizes=[4] seconds=0.25 output=[4,64]",
        "gear sizes=[1] seconds=0 output=[1,64]",
    )
    run = session(models["one_gemm"])
    for source in (path, path.read_bytes()):
        model = dynbatch.GearModel(source)
        assert [gear.batch_size for gear in model.gears.gears] == [4, 1]
        assert model.gears.gears[0].seconds == 0.25
        assert 0 < model.gears.gears[1].seconds < 0.25
        for size in (1, 4):
            model.set_dynamic_batch_size(size)
            feeds = case_named("one_gemm").feeds(size)
            for key, expected in answers_of(run, feeds).items():
                np.testing.assert_array_equal(model.execute(feeds)[key], expected, strict=True)
    told = dynbatch.GearModel(path, dims=[(3,)])
    assert [gear.sizes for gear in told.gears.gears] == [(3,)]


def test_gears_of_another_model_are_refused(models: dict[str, Path], tmp_path: Path) -> None:
    foreign = compiled(
        models["one_gemm"],
        tmp_path,
        "kind batch",
        "input x dtype=float32 shape=[-1,65]",
        "output y dtype=float32",
        "gear sizes=[4] seconds=0 output=[4,64]",
    )
    with pytest.raises(dynbatch.ModelError, match=r"dynbatch.gears, does not fit.*65"):
        dynbatch.GearModel(foreign)
    wrong_output = compiled(
        models["one_gemm"],
        tmp_path,
        "kind batch",
        "input x dtype=float32 shape=[-1,64]",
        "output y dtype=float32",
        "gear sizes=[4] seconds=0 output=[4,63]",
    )
    with pytest.raises(dynbatch.ModelError, match=r"\[4, 64\], and \[4, 63\] were told"):
        dynbatch.GearModel(wrong_output)


def test_an_output_whose_shape_is_not_constant_is_refused(models: dict[str, Path]) -> None:
    with pytest.raises(dynbatch.ModelError, match="shapes are constant"):
        dynbatch.GearModel(models["nonzero_output"], dims=[(8,)])


def test_a_live_session_runs_batch_sizes_alone(models: dict[str, Path]) -> None:
    live = session(models["one_gemm"])
    x = case_named("one_gemm").feeds(2)["x"]
    assert dynbatch.GearModel(live, gears=[2]).execute(x)["y"].shape == (2, 64)
    with pytest.raises(dynbatch.InvalidArgument, match="batch sizes alone"):
        dynbatch.GearModel(live, dims=[(2,)])


def test_describes_its_model() -> None:
    model = CASES["det"].load()
    (entry,) = model.get_inputs()
    assert (entry.name, entry.type) == ("x", "tensor(float)")
    assert entry.shape[1] == 3
    assert [node.name for node in model.get_outputs()] == list(REAL["ocr_det"].outputs)


def test_wanted_outputs_are_run_alone(models: dict[str, Path]) -> None:
    model = dynbatch.GearModel(models["many_types"], dims=[(2,) * 8], outputs=["i64_same"])
    assert [node.name for node in model.get_outputs()] == ["i64_same"]
    assert list(model.execute(case_named("many_types").feeds(2))) == ["i64_same"]
