"""Rows that differ in shape: each answer is that of ONNX Runtime for the request alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto as Type
from onnx import helper

import dynbatch
from crowd import CROWDS, Request, from_futures
from model_graphs import model, tensor
from reference import answers_of, session, share_in_company

EXECUTIONS = ("native", "python")
TOLERANCE = 1e-4
WITH_MASK = {"ids": dynbatch.Input(mask="attention_mask")}


def serve(source: Path, requests: Sequence[Request], **options: Any) -> dynbatch.Stats:
    """Serves the requests to threads, futures and coroutines; figures of the closed model."""
    with dynbatch.load(source, max_batch_size=8, on_full="wait", **options) as served:
        for crowd in CROWDS:
            crowd(served, requests, TOLERANCE)
    stats = served.stats()
    assert stats.accepted == stats.succeeded == len(CROWDS) * len(requests)
    assert stats.in_flight == 0
    return stats


def texts(path: Path, lengths: Sequence[int]) -> list[Request]:
    """One request of one or two rows for each length, and what it gives alone."""
    run = session(path)
    rng = np.random.default_rng(7)
    requests = []
    for i, length in enumerate(lengths):
        ids = rng.integers(1, 8, (1 + i % 2, length))
        feeds = {"ids": ids, "attention_mask": np.ones_like(ids)}
        requests.append(Request(feeds, answers_of(run, feeds)))
    return requests


def lengths_of(count: int, largest: int) -> list[int]:
    return [int(each) for each in np.random.default_rng(3).integers(1, largest + 1, count)]


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize(
    "lengths",
    [{"sequence": [8, 16, 32]}, {("ids", 1): 32}],
    ids=["gears", "longest"],
)
def test_padded_texts(lengths: Any, execution: str, models: dict[str, Path]) -> None:
    requests = texts(models["free_sequence"], lengths_of(48, 32))
    stats = serve(
        models["free_sequence"],
        requests,
        execution=execution,
        inputs=WITH_MASK,
        lengths=lengths,
        batching="always",
        max_queue_delay=0.01,
    )
    assert share_in_company(stats.batches_by_size) >= 0.5
    assert stats.padded_elements > 0
    assert stats.elements >= len(CROWDS) * sum(each.feeds["ids"].size for each in requests)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_texts_of_equal_lengths_share_batches(execution: str, models: dict[str, Path]) -> None:
    requests = texts(models["free_sequence"], lengths_of(48, 3))
    stats = serve(
        models["free_sequence"],
        requests,
        execution=execution,
        batching="always",
        max_queue_delay=0.01,
    )
    assert share_in_company(stats.batches_by_size) >= 0.5
    assert stats.padded_elements == 0


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("length", [5, 8], ids=["gathered", "read in place"])
def test_a_mask_is_not_counted_whoever_gives_it(
    length: int, execution: str, models: dict[str, Path]
) -> None:
    ids = np.ones((2, length), np.int64)
    with dynbatch.load(
        models["free_sequence"],
        execution=execution,
        inputs=WITH_MASK,
        lengths={"sequence": [8, 16]},
    ) as served:
        served.infer({"ids": ids, "attention_mask": ids})
        served.infer({"ids": ids})
    stats = served.stats()
    assert (stats.elements, stats.padded_elements) == (4 * length, 4 * (8 - length))


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_the_mask_is_made_where_it_is_left_out(execution: str, models: dict[str, Path]) -> None:
    requests = [
        Request({"ids": each.feeds["ids"]}, each.expected)
        for each in texts(models["free_sequence"], lengths_of(24, 32))
    ]
    stats = serve(
        models["free_sequence"],
        requests,
        execution=execution,
        inputs=WITH_MASK,
        lengths={"sequence": 32},
        batching="always",
        max_queue_delay=0.01,
    )
    assert stats.padded_elements > 0


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_lengths_that_no_gear_holds_are_refused(execution: str, models: dict[str, Path]) -> None:
    with dynbatch.load(
        models["free_sequence"],
        execution=execution,
        inputs=WITH_MASK,
        lengths={"sequence": [8, 16]},
        max_batch_size=2,
    ) as served:
        assert served.dimensions == ["sequence"]
        assert served.gears.kind == "lengths"
        assert {gear.sizes for gear in served.gears.gears} == {(8,), (16,)}
        with pytest.raises(dynbatch.InvalidInput, match=r"(?s)16.*sequence.*17"):
            served.infer({"ids": np.ones((1, 17), np.int64)})
        assert served.infer({"ids": np.ones((1, 16), np.int64)})
    assert served.stats().refused == 1


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize(
    ("name", "dimensions"),
    [
        ("free_named", ["height", "width"]),
        ("free_named_alike", ["x[2]", "x[3]"]),
        ("free_unnamed", ["x[1]", "x[2]"]),
    ],
)
def test_dimensions_that_stay_free_have_names(
    name: str, dimensions: list[str], execution: str, models: dict[str, Path]
) -> None:
    with dynbatch.load(models[name], execution=execution, gears=[1]) as served:
        assert served.dimensions == dimensions


def shape_teller() -> onnx.ModelProto:
    """Answers x itself, and the shape of the whole batch."""
    return model(
        [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Shape", ["x"], ["shape"])],
        [tensor("x", Type.FLOAT, ["batch", "length"])],
        [tensor("y", Type.FLOAT, ["batch", "length"]), tensor("shape", Type.INT64, [2])],
    )


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize(("mode", "last"), [("constant", 9.0), ("edge", 3.0), ("first", 1.0)])
def test_three_lengths_are_padded_to_the_longest(
    mode: str, last: float, execution: str, tmp_path: Path
) -> None:
    path = tmp_path / "padded.onnx"
    # What stands behind the shortest row shows as the smallest of the whole batch's last column.
    built = model(
        [
            *shape_teller().graph.node,
            helper.make_node("Slice", ["x", "from", "to", "axis"], ["column"]),
        ],
        [tensor("x", Type.FLOAT, ["batch", "length"])],
        [
            tensor("y", Type.FLOAT, ["batch", "length"]),
            tensor("shape", Type.INT64, [2]),
            tensor("column", Type.FLOAT, ["all", 1]),
        ],
        [
            helper.make_tensor("from", Type.INT64, [1], [-1]),
            helper.make_tensor("to", Type.INT64, [1], [1 << 62]),
            helper.make_tensor("axis", Type.INT64, [1], [1]),
        ],
    )
    path.write_bytes(built.SerializeToString())
    rows = [np.arange(1, n + 1, dtype=np.float32)[np.newaxis] for n in (3, 4, 5)]
    with dynbatch.load(
        path,
        execution=execution,
        inputs={"x": dynbatch.Input(pad=9, pad_mode=mode)},
        outputs={
            "shape": dynbatch.Output(shared=True),
            "column": dynbatch.Output(shared=True),
        },
        lengths={"length": 16},
        batching="always",
        verify=False,
        max_batch_size=3,
        max_queue_delay=10,
    ) as served:
        answers = [future.result() for future in [served.submit({"x": row}) for row in rows]]
    for answer, row in zip(answers, rows, strict=True):
        np.testing.assert_array_equal(answer["y"], row)
        assert answer["shape"].tolist() == [3, 5]
        fourth = {"constant": 9.0, "edge": 4.0, "first": 1.0}[mode]
        assert sorted(answer["column"].ravel().tolist()) == sorted([last, fourth, 5.0])
    stats = served.stats()
    assert stats.batches_by_size[3] == stats.batches == 1
    assert (stats.elements, stats.padded_elements) == (12, 3)


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("declared", [None, {"state": dynbatch.Input(batch_axis=1)}])
def test_the_batch_need_not_be_first(
    declared: Any, execution: str, models: dict[str, Path]
) -> None:
    run = session(models["axis_one"])
    rng = np.random.default_rng(5)
    requests = []
    for i in range(48):
        n = 1 + i % 3
        feeds = {
            "x": rng.standard_normal((n, 3), dtype=np.float32),
            "state": rng.standard_normal((2, n, 4), dtype=np.float32),
        }
        requests.append(Request(feeds, answers_of(run, feeds)))
    stats = serve(
        models["axis_one"],
        requests,
        execution=execution,
        inputs=declared,
        batching="always",
        max_queue_delay=0.01,
    )
    assert share_in_company(stats.batches_by_size) >= 0.5


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_image_sizes_are_exact(execution: str, models: dict[str, Path]) -> None:
    run = session(models["free_image"])
    (node,) = run.get_inputs()
    channels = node.shape[1]
    rng = np.random.default_rng(9)
    requests = []
    for i in range(24):
        size = ((8, 12), (16, 16))[i % 2]
        feeds = {node.name: rng.standard_normal((1, channels, *size), dtype=np.float32)}
        requests.append(Request(feeds, answers_of(run, feeds)))
    with dynbatch.load(
        models["free_image"],
        execution=execution,
        image_sizes=[(16, 16), (8, 12)],
        batching="always",
        max_batch_size=4,
        on_full="wait",
    ) as served:
        from_futures(served, requests, TOLERANCE)
        assert served.gears.kind == "image size"
        assert [gear.sizes for gear in served.gears.gears if gear.batch_size == 1] == [
            (16, 16),
            (8, 12),
        ]
        with pytest.raises(dynbatch.InvalidInput, match=re.escape("16")):
            served.infer(np.zeros((1, channels, 8, 8), np.float32))
    assert served.stats().padded_elements == 0


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_dims_are_padded_up_where_asked(execution: str, tmp_path: Path) -> None:
    path = tmp_path / "shape.onnx"
    path.write_bytes(shape_teller().SerializeToString())
    with dynbatch.load(
        path,
        execution=execution,
        outputs={"shape": dynbatch.Output(shared=True)},
        dims=[{"length": 4, "batch": 2}, {("x", 1): 8, "batch": 2}],
        pads=True,
        verify=False,
        batching="always",
    ) as served:
        answer = served.infer({"x": np.ones((2, 5), np.float32)})
        assert answer["y"].shape == (2, 5)
        assert answer["shape"].tolist() == [2, 8]
        with pytest.raises(dynbatch.InvalidInput, match="8"):
            served.infer({"x": np.ones((2, 9), np.float32)})
    assert served.gears.kind == "dims"


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_gear_of_dims_is_filled_with_requests_before_it_is_filled_up(
    execution: str, models: dict[str, Path]
) -> None:
    with dynbatch.load(
        models["free_image"],
        execution=execution,
        dims=[
            {"batch": 4, "height": 8, "width": 8},
            {"batch": 2, "height": 16, "width": 16},
        ],
        max_queue_delay=5.0,
    ) as served:
        image = np.zeros((1, 1, 8, 8), np.float32)
        for future in [served.submit(image) for _ in range(8)]:
            future.result()
    stats = served.stats()
    assert (stats.batches, stats.rows, stats.closed_full) == (2, 8, 2)


TWICE: list[tuple[dict[str, Any], str]] = [
    ({"lengths": {"length": [4, 4]}}, "lengths"),
    ({"image_sizes": [(4, 4), (4, 4)]}, "image_sizes"),
    ({"dims": [{"length": 4}, {"length": 4}]}, "dims"),
    ({"lengths": {"length": 4, ("x", 1): [4]}}, "lengths"),
    ({"dims": [{"length": 4, ("x", 1): 4}]}, "dims"),
    ({"dims": [{"batch": 4}]}, "dims"),
    ({"set_size": 9}, "set_size"),
]


@pytest.mark.parametrize(("options", "name"), TWICE, ids=[str(options) for options, _ in TWICE])
def test_gears_that_make_no_sense_are_refused(
    options: dict[str, Any], name: str, tmp_path: Path
) -> None:
    path = tmp_path / "shape.onnx"
    path.write_bytes(shape_teller().SerializeToString())
    outputs = {"shape": dynbatch.Output(shared=True)}
    with pytest.raises(dynbatch.InvalidArgument, match=name):
        dynbatch.load(path, outputs=outputs, verify=False, **options)


def test_requests_of_more_bytes_than_the_queue_run_in_pieces(models: dict[str, Path]) -> None:
    rng = np.random.default_rng(13)
    ids = rng.integers(1, 8, (256, 32))  # 128 KiB with its mask
    feeds = {"ids": ids, "attention_mask": np.ones_like(ids)}
    expected = answers_of(session(models["free_sequence"]), feeds)
    with dynbatch.load(models["free_sequence"], batching="always", queue_bytes=64 << 10) as served:
        answers = [asyncio.run(served.infer_async(feeds)), served.infer(feeds)]
    for answer in answers:
        for name, values in expected.items():
            np.testing.assert_allclose(answer[name], values, atol=TOLERANCE)
