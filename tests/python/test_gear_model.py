"""The gear calls: a gear is chosen, and exactly its rows are run."""

from __future__ import annotations

import threading
from collections import UserDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dynbatch
from model_cases import case_named
from reference import answers_of, session

EXECUTIONS = ("native", "python")


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize(
    "name", ["one_gemm", "many_types", "unknown_inner_output", "shared_scalar"]
)
def test_executes_each_gear(name: str, execution: str, models: dict[str, Path]) -> None:
    run = session(models[name])
    model = dynbatch.GearModel(models[name], gears=[4, 1, 8, 2], execution=execution)
    assert [gear.batch_size for gear in model.gears.gears] == [4, 1, 8, 2]
    assert model.dynamic_batch_size == 8
    for size in (1, 8, 2, 4, 1):
        model.set_dynamic_batch_size(size)
        assert model.dynamic_batch_size == size
        feeds = case_named(name).feeds(size)
        answers = model.execute(feeds)
        for key, expected in answers_of(run, feeds).items():
            np.testing.assert_array_equal(answers[key], expected, strict=True)


def test_results_stay_after_the_next_call(models: dict[str, Path]) -> None:
    model = dynbatch.GearModel(models["one_gemm"], gears=[2])
    x = case_named("one_gemm").feeds(2)["x"]
    first = model.execute(x)["y"]
    expected = first.copy()
    model.execute(-x)
    np.testing.assert_array_equal(first, expected)


def test_a_batch_size_that_is_no_gear_is_named(models: dict[str, Path]) -> None:
    model = dynbatch.GearModel(models["one_gemm"], gears=[1, 4])
    for wrong in (3, 8):
        with pytest.raises(dynbatch.InvalidArgument, match=rf"1, 4; got {wrong}"):
            model.set_dynamic_batch_size(wrong)
    values: list[Any] = [0, -1, None, 1.5]
    for value in values:
        with pytest.raises(dynbatch.InvalidArgument, match="batch_size: expected an int"):
            model.set_dynamic_batch_size(value)
    assert model.dynamic_batch_size == 4


def test_feeds_that_are_not_the_gears_are_named(models: dict[str, Path]) -> None:
    model = dynbatch.GearModel(models["one_gemm"], gears=[1, 4])
    x = case_named("one_gemm").feeds(4)["x"]
    for wrong, message in (
        (x[:3], "expected 4 rows, the chosen gear; got 3"),
        (x[:, :5], "'x'.*got \\[4, 5\\]"),
        (x.astype(np.float64), "'x'.*float64"),
    ):
        with pytest.raises(dynbatch.InvalidInput, match=message):
            model.execute(wrong)
    assert model.execute(x)["y"].shape == (4, 64)


@pytest.mark.parametrize("gears", [[], [0], [2, 2], [-1], list(range(1, 102))])
def test_wrong_gears_are_refused(gears: list[int], models: dict[str, Path]) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match="gears"):
        dynbatch.GearModel(models["one_gemm"], gears=gears)


def test_the_memory_plan_overlays_the_gears(models: dict[str, Path]) -> None:
    plan = dynbatch.GearModel(models["one_gemm"], gears=[1, 2, 4, 8]).memory_plan()
    row_bytes = 64 * 4
    assert [gear.batch_size for gear in plan.gears] == [1, 2, 4, 8]
    assert [gear.input_bytes for gear in plan.gears] == [n * row_bytes for n in (1, 2, 4, 8)]
    assert [gear.output_bytes for gear in plan.gears] == [n * row_bytes for n in (1, 2, 4, 8)]
    assert plan.batch_block_bytes >= 8 * row_bytes
    assert plan.batch_block_bytes < 16 * row_bytes


def test_an_error_of_the_run_is_told(models: dict[str, Path]) -> None:
    model = dynbatch.GearModel(models["guarded_gather"], gears=[2])
    with pytest.raises(dynbatch.ExecutionError, match="out of data bounds"):
        model.execute(np.full((2, 4), 1_000_000))
    assert model.execute(np.zeros((2, 4), dtype=np.int64))["y"].shape == (2, 8)


def test_a_second_thread_is_told(models: dict[str, Path]) -> None:
    model = dynbatch.GearModel(models["two_inputs"], gears=[8])
    feeds = case_named("two_inputs").feeds(8)
    refusals: list[str] = []

    def execute() -> None:
        with pytest.raises(dynbatch.InvalidArgument) as caught:
            model.execute(feeds)
        refusals.append(str(caught.value))

    class Watched(UserDict[str, Any]):
        """Feeds that a second thread comes upon while the first one reads them."""

        def keys(self) -> Any:
            second = threading.Thread(target=execute)
            second.start()
            second.join()
            return super().keys()

    assert set(model.execute(Watched(feeds))) == set(model.execute(feeds))
    (refusal,) = refusals
    assert refusal.startswith("a GearModel serves one thread at a time")


def test_describes_its_model(models: dict[str, Path]) -> None:
    model = dynbatch.GearModel(models["many_types"], gears=[1], outputs=["i64_same"])
    assert [node.name for node in model.get_inputs()][:2] == ["f32", "f64"]
    assert [node.name for node in model.get_outputs()] == ["i64_same"]
    assert list(model.execute(case_named("many_types").feeds(1))) == ["i64_same"]
