"""When a call keeps the GIL while it runs its rows, as counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import dynbatch
from gate import Array, rows
from model_cases import case_named

CALLS = 200


@pytest.fixture
def model(models: dict[str, Path]) -> Iterator[dynbatch.Model]:
    """Its runs take some microseconds."""
    with dynbatch.load(models["one_gemm"], batching="always") as loaded:
        yield loaded


@pytest.fixture
def x() -> Array:
    return case_named("one_gemm").feeds(1)["x"]


def test_the_only_caller_keeps_the_gil(model: dynbatch.Model, x: Array) -> None:
    expected = model.run(None, {"x": x})[0]
    for _ in range(CALLS):
        np.testing.assert_array_equal(model.run(None, {"x": x})[0], expected)
    stats = model.stats()
    assert 0 < stats.runs_with_gil <= CALLS - 15
    assert stats.succeeded == CALLS + 1


def test_not_in_its_first_calls(model: dynbatch.Model, x: Array) -> None:
    for _ in range(16):
        model.run(None, {"x": x})
    assert model.stats().runs_with_gil == 0


def test_callers_that_take_turns_give_it_up(model: dynbatch.Model, x: Array) -> None:
    turns = [threading.Semaphore(1), threading.Semaphore(0)]

    def call(me: int) -> None:
        for _ in range(CALLS):
            turns[me].acquire()
            model.infer({"x": x})
            turns[1 - me].release()

    threads = [threading.Thread(target=call, args=(me,)) for me in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert model.stats().runs_with_gil == 0


def test_submits_in_between_count_as_calls(model: dynbatch.Model, x: Array) -> None:
    other = threading.Semaphore(0)
    done = threading.Semaphore(0)

    def submit() -> None:
        for _ in range(CALLS):
            other.acquire()
            model.submit({"x": x}).result()
            done.release()

    thread = threading.Thread(target=submit)
    thread.start()
    for _ in range(CALLS):
        model.infer({"x": x})
        other.release()
        done.acquire()
    thread.join()
    assert model.stats().runs_with_gil == 0


def test_rows_that_wait_for_company_wait_without_it(models: dict[str, Path], x: Array) -> None:
    with dynbatch.load(models["one_gemm"], batching="always", max_queue_delay=1e-6) as model:
        for _ in range(CALLS):
            model.infer({"x": x})
        assert model.stats().runs_with_gil == 0


def test_a_function_runs_on_its_workers() -> None:
    with dynbatch.Batcher(lambda x: x, example=rows(0)) as batcher:
        for _ in range(CALLS):
            batcher.infer(rows(1))
        assert batcher.stats().runs_with_gil == 0


def test_bad_feeds_are_refused_once(model: dynbatch.Model, x: Array) -> None:
    for _ in range(CALLS):
        model.infer({"x": x})
    for _ in range(5):
        with pytest.raises(dynbatch.InvalidInput, match="expected shape"):
            model.infer({"x": x[:, :-1]})
    assert model.stats().refused == 5


def test_long_runs_give_it_up(models: dict[str, Path]) -> None:
    """64 rows are all that may be copied with the GIL, and run for longer than it is kept."""
    feeds = case_named("mlp").feeds(64)
    assert sum(array.nbytes for array in feeds.values()) == 64 * 1024
    with dynbatch.load(models["mlp"], gears=[1, 64], batching="always", hint="throughput") as model:
        assert model.gears.gears[1].seconds > 100e-6
        for _ in range(100):
            model.infer(feeds)
        # The first ones have no runs before them that tell.
        assert model.stats().runs_with_gil <= 5
