"""Graphs whose rows depend on each other are not merged, are answered right, and say so."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dynbatch
from crowd import CROWDS, Request
from gate import Array
from model_cases import CASES, Rows, case_named
from real_models import dynamic_minilm
from reference import answers_of, session

EXECUTIONS = ("native", "python")
MIXED = [case.name for case in CASES if case.rows is Rows.MIXED]


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("name", MIXED)
def test_loads_with_a_warning_and_answers_right(
    name: str, execution: str, models: dict[str, Path]
) -> None:
    case = case_named(name)
    run = session(models[name])
    # One row a request, since a request's own rows are its own business.
    requests = [
        Request(feeds, answers_of(run, feeds))
        for feeds in (case.feeds(1, seed=i) for i in range(30))
    ]
    with pytest.warns(dynbatch.RowsMixWarning, match="row_tolerance") as caught:
        model = dynbatch.load(models[name], execution=execution, max_batch_size=8, on_full="wait")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with model:
        for crowd in CROWDS:
            crowd(model, requests, 0.0)
        assert model.gears.cap == 1
    assert sum(model.stats().batches_by_size[2:]) == 0


@pytest.mark.parametrize("name", MIXED)
def test_rows_of_one_request_run_together(name: str, models: dict[str, Path]) -> None:
    feeds = case_named(name).feeds(3)
    expected = answers_of(session(models[name]), feeds)
    with pytest.warns(dynbatch.RowsMixWarning):
        model = dynbatch.load(models[name], max_batch_size=8)
    with model:
        for key, array in model.infer(feeds).items():
            np.testing.assert_array_equal(array, expected[key], strict=True)


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("name", MIXED)
def test_always_is_an_error(name: str, execution: str, models: dict[str, Path]) -> None:
    with pytest.raises(dynbatch.ModelError, match="neighbours"):
        dynbatch.load(models[name], execution=execution, batching="always")


def test_off_is_silent(models: dict[str, Path]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dynbatch.load(models["softmax_axis0"], batching="off").close()


def test_row_tolerance_accepts_the_difference(models: dict[str, Path]) -> None:
    with pytest.warns(dynbatch.RowsMixWarning) as caught:
        dynbatch.load(models["dynamic_quantised"]).close()
    told = re.search(r"row_tolerance=([0-9.e+-]+) ", str(caught[0].message))
    assert told is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = dynbatch.load(
            models["dynamic_quantised"],
            row_tolerance=float(told[1]),
            max_batch_size=4,
            batching="always",
            max_queue_delay=10,
        )
    feeds = case_named("dynamic_quantised").feeds(4)
    with model:
        futures = [model.submit({"x": row[None]}) for row in feeds["x"]]
        for future in futures:
            future.result()
    assert model.stats().batches_by_size[4] == 1


def test_warnings_as_errors_leave_nothing_behind(models: dict[str, Path]) -> None:
    import threading

    before = set(threading.enumerate())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for execution in EXECUTIONS:
            with pytest.raises(dynbatch.RowsMixWarning):
                dynbatch.load(models["softmax_axis0"], execution=execution)
    assert set(threading.enumerate()) <= before


def test_example_feeds_are_used_where_made_up_values_fail(models: dict[str, Path]) -> None:
    feeds = case_named("guarded_gather").feeds(3)
    with dynbatch.load(models["guarded_gather"], verify=feeds, batching="always") as model:
        assert model.infer(feeds)["y"].shape == (3, 8)


EXAMPLE = np.random.default_rng(0).standard_normal((3, 4), dtype=np.float32)


def centred(x: Array) -> object:
    return x - x.mean(axis=0)


def test_functions_are_checked_too() -> None:
    with pytest.warns(dynbatch.RowsMixWarning):
        batcher = dynbatch.Batcher(centred, example=EXAMPLE)
    with batcher:
        np.testing.assert_array_equal(batcher.infer(EXAMPLE[:1])["output"], np.zeros((1, 4)))


def awaited(batcher: dynbatch.Batcher) -> None:
    async def serve() -> None:
        await batcher.infer_async(EXAMPLE)

    asyncio.run(serve())


def awaited_as_a_task(batcher: dynbatch.Batcher) -> None:
    async def serve() -> None:
        await asyncio.create_task(batcher.infer_async(EXAMPLE))

    asyncio.run(serve())


@pytest.mark.parametrize(
    "first_call",
    [
        lambda batcher: batcher.infer(EXAMPLE),
        lambda batcher: batcher.submit(EXAMPLE).result(),
        lambda batcher: list(batcher.map([EXAMPLE])),
        awaited,
        awaited_as_a_task,
        lambda _: dynbatch.batched(centred)(EXAMPLE),
        lambda _: dynbatch.batched(example=EXAMPLE)(centred),
        lambda _: dynbatch.Batcher(centred, example=EXAMPLE),
    ],
)
def test_a_warning_names_the_file_of_the_caller(
    first_call: Callable[[dynbatch.Batcher], object],
) -> None:
    with (
        dynbatch.Batcher(centred) as batcher,
        pytest.warns(dynbatch.RowsMixWarning) as caught,
    ):
        first_call(batcher)
    assert [each.filename for each in caught] == [__file__]


@pytest.mark.slow
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_dynamically_quantised_minilm(execution: str, tmp_path: Path) -> None:
    real = dynamic_minilm(tmp_path)
    run = session(real.path)
    requests = [
        Request(feeds, answers_of(run, feeds))
        for feeds in (real.feeds(1, seed=i) for i in range(12))
    ]
    options: dict[str, Any] = {
        "execution": execution,
        "dimensions": real.dimensions,
        "verify": real.feeds(3),
        "on_full": "wait",
    }
    with pytest.warns(dynbatch.RowsMixWarning, match=r"by [0-9.e-]+ of max"):
        model = dynbatch.load(real.path, max_batch_size=8, **options)
    with model:
        for crowd in CROWDS:
            crowd(model, requests, 1e-4)
    options |= {"row_tolerance": 1.0, "batching": "always", "max_queue_delay": 10}
    accepted = dynbatch.load(real.path, max_batch_size=8, **options)
    with accepted:
        futures = [accepted.submit(request.feeds) for request in requests[:8]]
        for future in futures:
            future.result()
    assert accepted.stats().batches_by_size[8] == 1
