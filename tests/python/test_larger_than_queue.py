"""Requests with more rows than the queue holds at once: they run in pieces, from everywhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import dynbatch

Rows = npt.NDArray[Any]


def doubled(x: Rows) -> Rows:
    return x * 2


ROWS = 100


@pytest.fixture
def batcher() -> Iterator[dynbatch.Batcher]:
    example = {"x": np.ones((1, 3), np.float32)}
    with dynbatch.Batcher(
        doubled, example=example, max_batch_size=4, queue_capacity=8, batching="always"
    ) as batcher:
        yield batcher


def feeds() -> Rows:
    return np.arange(ROWS * 3, dtype=np.float32).reshape(ROWS, 3)


def test_runs_in_pieces_on_the_main_thread(batcher: dynbatch.Batcher) -> None:
    (answer,) = batcher.infer({"x": feeds()}).values()
    np.testing.assert_array_equal(answer, feeds() * 2)
    batcher.close()  # a run is counted a moment after its answers are out
    assert batcher.stats().batches >= ROWS // 4


def test_runs_in_pieces_on_another_thread(batcher: dynbatch.Batcher) -> None:
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(batcher.infer({"x": feeds()})))
    thread.start()
    thread.join()
    (answer,) = answers[0].values()
    np.testing.assert_array_equal(answer, feeds() * 2)


def test_runs_in_pieces_for_a_coroutine(batcher: dynbatch.Batcher) -> None:
    (answer,) = asyncio.run(batcher.infer_async({"x": feeds()})).values()
    np.testing.assert_array_equal(answer, feeds() * 2)


def test_submit_says_that_it_never_fits(batcher: dynbatch.Batcher) -> None:
    with pytest.raises(dynbatch.QueueFull, match="all that the queue holds"):
        batcher.submit({"x": feeds()})
