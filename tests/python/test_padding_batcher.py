"""Batchers for rows of different lengths, which dynbatch is held against, answer as they should."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from bench.load.row_lengths import conversations, dealt, lines, sentences
from bench.peers.padding_batcher import (
    Cut,
    PaddingBatcher,
    Waiting,
    by_length,
    by_shape,
    joined_padded,
    oldest_first,
)

LENGTHS = (5, 2, 9, 2, 7, 3, 5)


def waiting(lengths: Sequence[int]) -> list[Waiting]:
    loop = asyncio.new_event_loop()
    try:
        return [Waiting({}, (1, length), loop.create_future()) for length in lengths]
    finally:
        loop.close()


def cut_all(cut: Cut, largest: int) -> list[list[int]]:
    """The lengths of all batches, taken until nothing waits."""
    left = waiting(LENGTHS)
    batches = []
    while left:
        batches += cut(left, largest)
    return [[request.shape[1] for request in batch] for batch in batches]


def test_the_oldest_first_whatever_their_lengths() -> None:
    assert cut_all(oldest_first, 3) == [[5, 2, 9], [2, 7, 3], [5]]


def test_by_length_cuts_all_that_wait_in_sorted_order() -> None:
    assert cut_all(by_length, 3) == [[2, 2, 3], [5, 5, 7], [9]]


def test_by_shape_takes_the_oldest_and_its_equals() -> None:
    assert cut_all(by_shape, 3) == [[5, 5], [2, 2], [9], [7], [3]]


def test_rows_are_padded_with_zeros_behind_their_end() -> None:
    rows = [{"x": np.array([[1, 2, 3]])}, {"x": np.array([[4]])}]
    assert joined_padded(rows)["x"].tolist() == [[1, 2, 3], [4, 0, 0]]


@pytest.fixture
def row_sums(tmp_path: Path) -> onnxruntime.InferenceSession:
    """A model of free length that adds up each row, which zeros behind it do not change."""
    node = helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=1)
    graph = helper.make_graph(
        [node],
        "row_sums",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "length"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "row_sums.onnx"
    onnx.save(model, path)
    return onnxruntime.InferenceSession(str(path))


@pytest.mark.parametrize(("cut", "padding"), [(oldest_first, True), (by_shape, False)])
def test_each_caller_gets_the_answer_to_its_row(
    cut: Cut, padding: bool, row_sums: onnxruntime.InferenceSession
) -> None:
    rows = [np.full((1, length), i + 1, dtype=np.float32) for i, length in enumerate(LENGTHS)]

    async def main() -> tuple[list[Any], PaddingBatcher]:
        batcher = PaddingBatcher(row_sums, "y", cut, max_batch_size=4, workers=1)
        try:
            return await asyncio.gather(*(batcher.infer({"x": row}) for row in rows)), batcher
        finally:
            batcher.close()

    answers, batcher = asyncio.run(main())
    assert [answer.tolist() for answer in answers] == [[[row.sum()]] for row in rows]
    batches, ran = batcher.batches()
    assert ran == len(rows)
    assert batches < len(rows)
    elements, padded = batcher.elements()
    assert elements - padded == sum(LENGTHS)
    assert (padded > 0) == padding


@pytest.mark.parametrize("distribution", [sentences, conversations, lines])
def test_every_caller_has_all_parts_of_the_distribution(distribution: Any) -> None:
    rising = distribution(64)
    assert rising == sorted(rising)
    order = dealt(rising, callers=8)
    assert sorted(order) == rising
    parts = [rising[i : i + 8] for i in range(0, 64, 8)]
    for caller in range(8):
        own = sorted(order[caller::8])
        for length, part in zip(own, parts, strict=True):
            assert part[0] <= length <= part[-1]
