"""Futures and callbacks: what concurrent.futures promises."""

from __future__ import annotations

import concurrent.futures
import functools
import gc
import logging
import os
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

import dynbatch
from gate import Gate, rows
from model_cases import case_named


def test_the_result_is_the_same_at_each_call(gated: dynbatch.Batcher) -> None:
    future = gated.submit(rows(1))
    assert future.result() is future.result()
    assert future.exception() is None
    assert repr(future) == "<dynbatch.Future of 1 row: finished>"


def test_the_result_is_read_by_many_threads(gated: dynbatch.Batcher, gate: Gate) -> None:
    gate.hold()
    future = gated.submit(rows(1, 2))
    assert repr(future) == "<dynbatch.Future of 2 rows: pending>"
    seen: list[float] = []
    threads = [
        threading.Thread(target=lambda: seen.append(float(future.result()["output"][1, 0])))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    gate.let_go()
    for thread in threads:
        thread.join()
    assert seen == [4.0] * 8


def test_results_outlive_everything(models: dict[str, Path]) -> None:
    x = case_named("one_gemm").feeds(2)["x"]
    model = dynbatch.load(models["one_gemm"])
    expected = model.infer(x)["y"]
    future = model.submit(x)
    model.close()
    del model
    gc.collect()
    np.testing.assert_array_equal(future.result()["y"], expected)


def test_callbacks_run_once_on_one_thread_in_order(gated: dynbatch.Batcher, gate: Gate) -> None:
    gate.hold()
    future = gated.submit(rows(1))
    calls: list[tuple[int, str]] = []
    last = threading.Event()

    def note(i: int, _: object) -> None:
        calls.append((i, threading.current_thread().name))

    for i in range(5):
        future.add_done_callback(functools.partial(note, i))
    future.add_done_callback(lambda _: last.set())
    assert calls == []
    gate.let_go()
    last.wait()
    assert calls == [(i, "dynbatch-callbacks") for i in range(5)]


def test_a_late_callback_runs_too(gated: dynbatch.Batcher) -> None:
    future = gated.submit(rows(1))
    future.result()
    for _ in range(3):
        called: list[dynbatch.Future] = []
        done = threading.Event()
        future.add_done_callback(called.append)
        future.add_done_callback(functools.partial(lambda event, _: event.set(), done))
        done.wait()
        assert called == [future]


def test_a_callback_after_close_runs_too(gated: dynbatch.Batcher) -> None:
    future = gated.submit(rows(1))
    gated.close()
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    done.wait()


def test_everything_is_allowed_in_a_callback(gated: dynbatch.Batcher) -> None:
    answers: list[float] = []
    done = threading.Event()

    def follow_up(future: dynbatch.Future) -> None:
        answers.append(float(future.result()["output"][0, 0]))
        answers.append(float(gated.infer(rows(5))["output"][0, 0]))
        answers.append(float(gated.submit(rows(6)).result()["output"][0, 0]))
        gated.close()
        done.set()

    gated.submit(rows(1)).add_done_callback(follow_up)
    done.wait()
    assert answers == [2.0, 10.0, 12.0]
    assert gated.closed


@pytest.mark.parametrize("drain", [True, False])
def test_a_callback_closes_its_batcher_in_full_flight(
    drain: bool, gated: dynbatch.Batcher, gate: Gate
) -> None:
    closing = threading.Event()

    def close(_: dynbatch.Future) -> None:
        closing.set()
        gated.close(drain)
        closed.set()

    closed = threading.Event()
    called = threading.Semaphore(0)
    gate.hold()
    running = gated.submit(rows(0))
    gate.wait_until_inside()
    waiting = [gated.submit(rows(i)) for i in range(1, 6)]
    for future in waiting:
        future.add_done_callback(lambda _: called.release())
    running.add_done_callback(close)
    running.cancel()
    closing.wait()
    while not gated.closed:
        os.sched_yield()
    if not drain:
        for future in waiting:
            with pytest.raises(dynbatch.Cancelled):
                future.result()
    gate.let_go()
    closed.wait()
    for i, future in enumerate(waiting, start=1):
        called.acquire()
        if drain:
            np.testing.assert_array_equal(future.result()["output"], rows(2 * i))
    assert gated.stats().in_flight == 0


def test_a_callback_may_drop_the_last_reference_to_its_batcher() -> None:
    before = set(threading.enumerate())
    holder = [dynbatch.Batcher(lambda x: 2 * x, example=rows(1))]
    dropped = weakref.ref(holder[0])
    done = threading.Event()

    def drop(_: dynbatch.Future) -> None:
        holder.clear()
        gc.collect()
        done.set()

    future = holder[0].submit(rows(1))
    future.add_done_callback(drop)
    done.wait()
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert dropped() is None
    np.testing.assert_array_equal(future.result()["output"], rows(2))


def test_callbacks_of_cancelled_and_failed_requests_run(
    gated: dynbatch.Batcher, gate: Gate
) -> None:
    gate.hold()
    gated.submit(rows(0))
    gate.wait_until_inside()
    future = gated.submit(rows(1))
    done = threading.Event()
    future.add_done_callback(lambda each: done.set() if each.cancelled() else None)
    future.cancel()
    done.wait()
    gate.let_go()


@pytest.mark.parametrize("error", [LookupError, SystemExit, KeyboardInterrupt])
def test_what_a_callback_raises_is_logged(
    error: type[BaseException], gated: dynbatch.Batcher, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()

    def fail(_: dynbatch.Future) -> None:
        raise error("in a callback")

    with caplog.at_level(logging.ERROR, logger="dynbatch"):
        future = gated.submit(rows(1))
        future.add_done_callback(fail)
        future.add_done_callback(lambda _: done.set())
        done.wait()
    (record,) = caplog.records
    assert "exception calling callback for <dynbatch.Future" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], error)


def test_close_does_not_wait_for_callbacks(gated: dynbatch.Batcher) -> None:
    entered = threading.Event()
    leave = threading.Event()

    def stay(_: dynbatch.Future) -> None:
        entered.set()
        leave.wait()

    gated.submit(rows(1)).add_done_callback(stay)
    entered.wait()
    gated.close()
    leave.set()


def test_every_callback_runs_once_across_a_close(models: dict[str, Path]) -> None:
    x = case_named("one_gemm").feeds(1)["x"]
    before = set(threading.enumerate())
    model = dynbatch.load(models["one_gemm"], batching="always", max_queue_delay=10)
    calls: list[dynbatch.Future] = []
    called = threading.Semaphore(0)

    def note(future: dynbatch.Future) -> None:
        calls.append(future)
        called.release()

    futures = [model.submit(x) for _ in range(100)]
    for future in futures:
        future.add_done_callback(note)
    (thread,) = set(threading.enumerate()) - before
    model.close(drain=False)
    for _ in futures:
        called.acquire()
    thread.join()
    assert len(calls) == 100
    assert set(map(id, calls)) == set(map(id, futures))


def test_the_callback_thread_ends_with_its_model(models: dict[str, Path]) -> None:
    x = case_named("one_gemm").feeds(1)["x"]
    before = set(threading.enumerate())
    with dynbatch.load(models["one_gemm"]) as model:
        done = threading.Event()
        model.submit(x).add_done_callback(lambda _: done.set())
        done.wait()
        assert model.stats().python_threads == 1
        (thread,) = set(threading.enumerate()) - before
    thread.join()


def test_a_callback_is_refused_where_its_thread_does_not_start(
    gated: dynbatch.Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    future = gated.submit(rows(1))
    called: list[dynbatch.Future] = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="can't start"):
            future.add_done_callback(called.append)
    assert gated.stats().python_threads == 1  # the worker
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    done.wait()
    assert called == []


def test_a_dropped_future_still_runs_its_callbacks(gated: dynbatch.Batcher, gate: Gate) -> None:
    gate.hold()
    future = gated.submit(rows(1))
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    del future
    gate.let_go()
    done.wait()
    gated.close()
    gc.collect()


def test_as_concurrent_is_a_real_future(gated: dynbatch.Batcher, gate: Gate) -> None:
    futures = [gated.submit(rows(i)).as_concurrent() for i in range(6)]
    assert all(isinstance(future, concurrent.futures.Future) for future in futures)
    finished, waiting = concurrent.futures.wait(futures)
    assert len(finished) == 6
    assert not waiting
    values = {float(f.result()["output"][0, 0]) for f in concurrent.futures.as_completed(futures)}
    assert values == {2.0 * i for i in range(6)}


def test_as_concurrent_cancels_both_ways(gated: dynbatch.Batcher, gate: Gate) -> None:
    gate.hold()
    gated.submit(rows(0))
    gate.wait_until_inside()
    first, second = gated.submit(rows(1)), gated.submit(rows(2))
    assert first.as_concurrent().cancel()
    assert first.cancelled()
    other = second.as_concurrent()
    second.cancel()
    concurrent.futures.wait([other])
    assert other.cancelled()
    gate.let_go()


def test_as_concurrent_carries_the_error(models: dict[str, Path]) -> None:
    with dynbatch.load(models["guarded_gather"]) as model:
        future = model.submit(np.full((1, 4), 1_000_000)).as_concurrent()
        assert isinstance(future.exception(), dynbatch.ExecutionError)
