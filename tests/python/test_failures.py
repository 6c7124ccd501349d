"""A bad request fails alone: its neighbours get their answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dynbatch
from gate import Array, Gate, rows
from model_cases import case_named
from reference import session

EXECUTIONS = ("native", "python")
PAIR: dict[str, Any] = {"x": rows(1), "w": np.ones((1, 2), np.float32)}


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("bad", [0, 3, 7])
def test_seven_of_eight_are_answered(bad: int, execution: str, models: dict[str, Path]) -> None:
    ids = case_named("guarded_gather").feeds(8)["ids"]
    run = session(models["guarded_gather"])
    source: Any = models["guarded_gather"] if execution == "native" else run
    with dynbatch.load(source, max_batch_size=8, batching="always", max_queue_delay=10) as model:
        wrong = ids.copy()
        wrong[bad, 2] = 100_000
        futures = [model.submit(row[None]) for row in wrong]
        for i, future in enumerate(futures):
            if i == bad:
                with pytest.raises(dynbatch.ExecutionError, match="indices element out of data"):
                    future.result()
                continue
            expected = run.run(None, {"ids": ids[i : i + 1]})[0]
            np.testing.assert_array_equal(future.result()["y"], expected)
    stats = model.stats()
    assert stats.batches_by_size[8] == 1
    assert (stats.succeeded, stats.failed, stats.in_flight) == (7, 1, 0)
    assert stats.failed_runs >= 2
    assert stats.reruns >= 3


INVALID_FEEDS: dict[str, Any] = {
    "no_input": {},
    "missing": {"x": np.ones((1, 4), np.float32)},
    "unknown": {**PAIR, "z": np.ones((1, 4), np.float32)},
    "dtype": {**PAIR, "w": np.array([["text"]])},
    "float64": {**PAIR, "w": np.ones((1, 2))},
    "inner_shape": {**PAIR, "w": np.ones((1, 3), np.float32)},
    "rank": {**PAIR, "w": np.ones(2, np.float32)},
    "scalar": {**PAIR, "w": np.float32(1)},
    "number_of_rows": {**PAIR, "w": np.ones((2, 2), np.float32)},
    "ragged": {**PAIR, "w": [[1.0, 2.0], [3.0]]},
    "none": {**PAIR, "w": None},
    "bare_array_for_two_inputs": np.ones((1, 4), np.float32),
}


@pytest.mark.parametrize("invalid", INVALID_FEEDS)
def test_invalid_feeds_among_eight_are_refused_alone(invalid: str, gate: Gate) -> None:
    def add(x: Array, w: Array) -> Array:
        answer: Array = gate(x) + w.sum(axis=1, keepdims=True)
        return answer

    with dynbatch.Batcher(add, example=PAIR, batching="always", max_batch_size=8) as batcher:
        gate.hold()
        first = batcher.submit(PAIR)
        gate.wait_until_inside()
        futures = []
        for i in range(8):
            if i == 3:
                with pytest.raises(dynbatch.InvalidInput):
                    batcher.submit(INVALID_FEEDS[invalid])
                continue
            futures.append(batcher.submit({"x": rows(i), "w": np.full((1, 2), i, np.float32)}))
        gate.let_go()
        first.result()
        for i, future in zip((0, 1, 2, 4, 5, 6, 7), futures, strict=True):
            np.testing.assert_array_equal(future.result()["output"], rows(4 * i))
    stats = batcher.stats()
    assert stats.batches_by_size[7] == 1
    assert (stats.accepted, stats.succeeded, stats.failed_runs, stats.in_flight) == (8, 8, 0, 0)
    assert stats.refused == 1


def test_an_exception_in_a_row_fails_its_request_alone(gate: Gate) -> None:
    def halves(x: Array) -> list[object]:
        gate(x)
        return [ValueError(f"odd: {row[0]}") if row[0] % 2 else row / 2 for row in x]

    with dynbatch.Batcher(halves, example=rows(2), batching="always", max_batch_size=8) as batcher:
        gate.hold()
        first = batcher.submit(rows(0))
        gate.wait_until_inside()
        futures = [batcher.submit(rows(i)) for i in range(8)]
        gate.let_go()
        assert first.result()["output"][0, 0] == 0
        for i, future in enumerate(futures):
            if i % 2:
                with pytest.raises(dynbatch.ExecutionError, match="odd") as caught:
                    future.result()
                assert isinstance(caught.value.__cause__, ValueError)
            else:
                np.testing.assert_array_equal(future.result()["output"], rows(i / 2))
    stats = batcher.stats()
    assert stats.batches_by_size[8] == 1
    assert (stats.failed, stats.failed_runs, stats.reruns) == (4, 0, 0)


def refuses_thirteen(x: Array) -> Array:
    if (x == 13).any():
        raise LookupError("13")
    return x


@pytest.mark.parametrize("reruns", [False, True])
def test_functions_are_run_again_only_if_they_may(reruns: bool, gate: Gate) -> None:
    def function(x: Array) -> Array:
        gate(x)
        return refuses_thirteen(x)

    with dynbatch.Batcher(
        function, example=rows(1), batching="always", max_batch_size=8, rerun_on_failure=reruns
    ) as batcher:
        gate.hold()
        first = batcher.submit(rows(0))
        gate.wait_until_inside()
        futures = [batcher.submit(rows(i)) for i in (13, 1, 2, 3, 4, 5, 6, 7)]
        gate.let_go()
        first.result()
        errors = [future.exception() for future in futures]
    assert isinstance(errors[0], dynbatch.ExecutionError)
    assert isinstance(errors[0].__cause__, LookupError)
    assert [error is None for error in errors[1:]] == [reruns] * 7
    assert (batcher.stats().reruns > 0) is reruns


def test_a_function_that_fails_only_in_company_answers_each_alone(gate: Gate) -> None:
    def function(x: Array) -> Array:
        gate(x)
        if len(x) > 1 and armed:
            raise MemoryError
        return x

    armed: list[bool] = []
    with dynbatch.Batcher(
        function, example=rows(1), batching="always", max_batch_size=8, rerun_on_failure=True
    ) as batcher:
        armed.append(True)
        gate.hold()
        first = batcher.submit(rows(0))
        gate.wait_until_inside()
        futures = [batcher.submit(rows(i)) for i in range(8)]
        gate.let_go()
        first.result()
        for i, future in enumerate(futures):
            np.testing.assert_array_equal(future.result()["output"], rows(i))


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise self


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, UnspeakableError])
def test_whatever_a_function_raises_ends_one_request_and_no_worker(
    error: type[BaseException],
) -> None:
    def function(x: Array) -> Array:
        if x[0, 0] == 13:
            raise error
        return x

    with dynbatch.Batcher(function, example=rows(1), batching="always") as batcher:
        with pytest.raises(dynbatch.ExecutionError) as caught:
            batcher.infer(rows(13))
        assert isinstance(caught.value.__cause__, error)
        np.testing.assert_array_equal(batcher.infer(rows(2))["output"], rows(2))


def test_the_same_failure_reaches_each_request_as_its_own_exception(
    gated: dynbatch.Batcher,
) -> None:
    with dynbatch.Batcher(refuses_thirteen, example=rows(1), batching="always") as batcher:
        future = batcher.submit(rows(13))
        with pytest.raises(dynbatch.ExecutionError) as first:
            future.result()
        with pytest.raises(dynbatch.ExecutionError) as second:
            future.result()
        assert first.value is not second.value
        assert first.value.__cause__ is second.value.__cause__


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x[:, :2], r"output 'output': expected float32 \[1, 4\].*got float32 \[1, 2\]"),
        (lambda x: x.astype(np.float64), r"output 'output': expected float32.*got float64"),
        (lambda x: np.concatenate([x, x]), r"'output'.*\[2, 4\]"),
        (lambda x: (x, x), "2 outputs, expected 1"),
        (lambda x: None, "output 'output'"),
        (lambda x: [], r"\[0"),
    ],
)
def test_wrong_answers_are_named(answer: Any, message: str) -> None:
    functions = [lambda x: x]
    with dynbatch.Batcher(
        lambda x: functions[0](x), example=rows(1), batching="always", max_batch_size=4
    ) as batcher:
        functions[0] = answer
        with pytest.raises(dynbatch.ExecutionError, match=message):
            batcher.infer(rows(1))
        functions[0] = lambda x: x
        np.testing.assert_array_equal(batcher.infer(rows(3))["output"], rows(3))


def test_a_function_that_waits_for_its_own_batcher_is_told_so() -> None:
    inside: list[Any] = []
    calls: list[Any] = []

    def function(x: Array) -> Array:
        for call in inside:
            try:
                call()
            except dynbatch.ExecutionError as error:
                calls.append(str(error))
        return x

    with dynbatch.Batcher(function, example=rows(1), batching="always") as batcher:
        pending = batcher.submit(rows(1))
        pending.result()
        inside += [
            lambda: batcher.infer(rows(1)),
            lambda: batcher.close(),
            lambda: batcher.submit(rows(2)).result(),
        ]
        later = batcher.submit(rows(1))
        later.result()
        inside.clear()
        assert batcher.infer(rows(5))["output"][0, 0] == 5
    assert len(calls) >= 3  # the submitted request comes round and submits again
    assert all("never end" in call for call in calls)


def test_a_function_may_submit_to_its_own_batcher() -> None:
    followers: list[dynbatch.Future] = []

    def function(x: Array) -> Array:
        if x[0, 0] == 1 and armed:
            followers.append(batcher.submit(rows(2)))
        return 2 * x

    armed: list[bool] = []
    with dynbatch.Batcher(function, example=rows(0), batching="always") as batcher:
        armed.append(True)
        batcher.infer(rows(1))
        assert followers[0].result()["output"][0, 0] == 4
