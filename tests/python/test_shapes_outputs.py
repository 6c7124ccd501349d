"""Outputs that are not one row for each row of the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto as Type
from onnx import helper

import dynbatch
from crowd import CROWDS, Request
from model_graphs import constant, model, tensor
from reference import answers_of, session

EXECUTIONS = ("native", "python")


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("two_rows_per_row", None),
        ("two_rows_per_row", {"y": dynbatch.Output(rows_per_row=2)}),
        ("shared_output", None),
        ("shared_output", {"classes": dynbatch.Output(shared=True)}),
    ],
    ids=["pairs found", "pairs declared", "shared found", "shared declared"],
)
def test_requests_get_their_own_part(
    name: str, declared: Any, execution: str, models: dict[str, Path]
) -> None:
    run = session(models[name])
    rng = np.random.default_rng(7)
    feeds = [{"x": rng.standard_normal((1 + i % 3, 4), dtype=np.float32)} for i in range(36)]
    requests = [Request(each, answers_of(run, each)) for each in feeds]
    with dynbatch.load(
        models[name],
        max_batch_size=8,
        outputs=declared,
        execution=execution,
        batching="always",
        max_queue_delay=0.02,
        on_full="wait",
    ) as served:
        for crowd in CROWDS:
            crowd(served, requests, 0.0)
    stats = served.stats()
    assert stats.accepted == stats.succeeded == len(CROWDS) * len(requests)
    assert stats.rows == len(CROWDS) * 72
    assert stats.batches < stats.accepted


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_requests_of_more_bytes_than_the_queue_run_in_pieces(
    execution: str, models: dict[str, Path]
) -> None:
    # Only runs show that these outputs must be taken apart.
    x = np.random.default_rng(3).standard_normal((4096, 4), dtype=np.float32)
    expected = answers_of(session(models["two_rows_per_row"]), {"x": x})
    with dynbatch.load(
        models["two_rows_per_row"], execution=execution, batching="always", queue_bytes=16 << 10
    ) as served:
        np.testing.assert_array_equal(served.infer({"x": x})["y"], expected["y"])


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_an_axis_that_stops_growing_is_not_cut_nor_missed(execution: str, tmp_path: Path) -> None:
    path = tmp_path / "first.onnx"
    built = model(
        [helper.make_node("Slice", ["x", "from", "to", "axis"], ["y"])],
        [tensor("x", Type.FLOAT, ["batch", "length"])],
        [tensor("y", Type.FLOAT, ["batch", "kept"])],
        [constant("from", [0]), constant("to", [1000]), constant("axis", [1])],
    )
    path.write_bytes(built.SerializeToString())
    with dynbatch.load(path, execution=execution, gears=[1, 2]) as served:
        for length in (5, 999, 2000):
            x = np.arange(length, dtype=np.float32)[np.newaxis]
            np.testing.assert_array_equal(served.infer({"x": x})["y"], x[:, :1000])


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_rows_that_mix_are_not_completed_to_the_batch_of_a_gear(
    execution: str, tmp_path: Path
) -> None:
    path = tmp_path / "mixing.onnx"
    built = model(
        [helper.make_node("Softmax", ["x"], ["y"], axis=0)],
        [tensor("x", Type.FLOAT, ["batch", "length"])],
        [tensor("y", Type.FLOAT, ["batch", "length"])],
    )
    path.write_bytes(built.SerializeToString())
    dims: list[dict[str | tuple[str, int], int]] = [
        {"batch": 4, "length": 8},
        {"batch": 2, "length": 16},
    ]
    with (
        pytest.warns(dynbatch.RowsMixWarning),
        dynbatch.load(path, execution=execution, dims=dims) as served,
    ):
        answer = served.infer({"x": np.ones((1, 8), np.float32)})["y"]
    np.testing.assert_array_equal(answer, np.ones((1, 8), np.float32))
