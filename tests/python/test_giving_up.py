"""Cancellation and deadlines: who gives up is answered at once, and the others are answered."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dynbatch
from gate import Gate, rows
from inside_call import wait_until_inside_call
from model_cases import case_named


def held(gated: dynbatch.Batcher, gate: Gate) -> dynbatch.Future:
    """A request that is inside a run until the gate is let go."""
    gate.hold()
    future = gated.submit(rows(0))
    gate.wait_until_inside()
    return future


def test_a_queued_request_is_cancelled(gated: dynbatch.Batcher, gate: Gate) -> None:
    blocker = held(gated, gate)
    future = gated.submit(rows(1))
    assert not future.done()
    assert not future.cancelled()
    assert future.cancel()
    assert future.cancelled()
    assert future.done()
    with pytest.raises(dynbatch.Cancelled):
        future.result()
    with pytest.raises(dynbatch.Cancelled):
        future.exception()
    gate.let_go()
    blocker.result()
    gated.close()
    assert gated.stats().cancelled == 1


def test_a_running_request_is_cancelled(gated: dynbatch.Batcher, gate: Gate) -> None:
    blocker = held(gated, gate)
    assert blocker.cancel()
    assert blocker.cancel()
    with pytest.raises(dynbatch.Cancelled):
        blocker.result()
    gate.let_go()
    np.testing.assert_array_equal(gated.infer(rows(3))["output"], rows(6))


def test_a_finished_request_is_not_cancelled(gated: dynbatch.Batcher) -> None:
    future = gated.submit(rows(1))
    future.result()
    assert not future.cancel()
    assert not future.cancelled()
    assert not future.running()


def test_the_deadline_of_a_blocking_call(gated: dynbatch.Batcher, gate: Gate) -> None:
    blocker = held(gated, gate)
    with pytest.raises(dynbatch.Timeout) as caught:
        gated.infer(rows(1), timeout=0.01)
    assert isinstance(caught.value, TimeoutError)
    gate.let_go()
    blocker.result()
    gated.close()
    assert gated.stats().timed_out == 1


def test_the_timeout_of_a_result_only_waits(gated: dynbatch.Batcher, gate: Gate) -> None:
    blocker = held(gated, gate)
    with pytest.raises(dynbatch.Timeout, match="it goes on"):
        blocker.result(timeout=0)
    with pytest.raises(dynbatch.Timeout):
        blocker.exception(timeout=0.001)
    gate.let_go()
    np.testing.assert_array_equal(blocker.result(timeout=None)["output"], rows(0))
    assert gated.stats().timed_out == 0


def test_a_result_that_is_there_is_returned_however_late(gated: dynbatch.Batcher) -> None:
    future = gated.submit(rows(2))
    future.result()
    np.testing.assert_array_equal(future.result(timeout=0)["output"], rows(4))


@pytest.mark.parametrize("timeout", [0, -1.0, 1e-9])
def test_a_deadline_that_has_passed(timeout: float, gated: dynbatch.Batcher, gate: Gate) -> None:
    blocker = held(gated, gate)
    with pytest.raises(dynbatch.Timeout):
        gated.infer(rows(1), timeout=timeout)
    gate.let_go()
    blocker.result()


def test_an_endless_deadline(gated: dynbatch.Batcher) -> None:
    answer = gated.infer(rows(1), timeout=float("inf"))
    np.testing.assert_array_equal(answer["output"], rows(2))
    with pytest.raises(dynbatch.InvalidArgument, match="timeout: expected seconds, got nan"):
        gated.infer(rows(1), timeout=float("nan"))


def thread_with_deadline(batcher: dynbatch.Batcher) -> None:
    with pytest.raises(dynbatch.Timeout):
        batcher.infer(rows(100), timeout=0.01)


def cancelled_future(batcher: dynbatch.Batcher) -> None:
    assert batcher.submit(rows(100)).cancel()


def cancelled_coroutine(batcher: dynbatch.Batcher) -> None:
    async def give_up() -> None:
        task = asyncio.create_task(batcher.infer_async(rows(100)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())


def coroutine_with_deadline(batcher: dynbatch.Batcher) -> None:
    async def give_up() -> None:
        with pytest.raises(dynbatch.Timeout):
            await batcher.infer_async(rows(100), timeout=0.01)

    asyncio.run(give_up())


@pytest.mark.parametrize(
    "gives_up",
    [thread_with_deadline, cancelled_future, cancelled_coroutine, coroutine_with_deadline],
)
def test_one_of_eight_gives_up_and_seven_are_answered(
    gives_up: Callable[[dynbatch.Batcher], None], gated: dynbatch.Batcher, gate: Gate
) -> None:
    blocker = held(gated, gate)
    futures = [gated.submit(rows(i)) for i in range(1, 4)]
    gives_up(gated)
    futures += [gated.submit(rows(i)) for i in range(4, 8)]
    gate.let_go()
    blocker.result()
    for i, future in enumerate(futures, start=1):
        np.testing.assert_array_equal(future.result()["output"], rows(2 * i))
    gated.close()
    stats = gated.stats()
    assert stats.succeeded == 8
    assert stats.cancelled + stats.timed_out == 1
    assert stats.in_flight == 0


def blocking_call(batcher: dynbatch.Batcher) -> object:
    return batcher.infer(rows(1))


def wait_for_a_result(batcher: dynbatch.Batcher) -> object:
    return batcher.submit(rows(1)).result()


@pytest.mark.parametrize(
    ("call", "waits"),
    [(blocking_call, dynbatch.Batcher.infer), (wait_for_a_result, dynbatch.Future._wait)],
)
def test_ctrl_c_ends_a_wait_and_cancels_the_request(
    call: Callable[[dynbatch.Batcher], object],
    waits: Callable[..., object],
    gated: dynbatch.Batcher,
    gate: Gate,
) -> None:
    main = threading.get_ident()
    thread = threading.current_thread()
    gate.hold()

    def press() -> None:
        gate.wait_until_inside()
        wait_until_inside_call(thread, waits)
        signal.pthread_kill(main, signal.SIGINT)

    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        call(gated)
    finger.join()
    gate.let_go()
    np.testing.assert_array_equal(gated.infer(rows(2))["output"], rows(4))
    gated.close()
    assert gated.stats().cancelled == 1


def test_other_signals_do_not_end_a_wait(gated: dynbatch.Batcher, gate: Gate) -> None:
    main = threading.get_ident()
    handled = threading.Event()
    gate.hold()

    def signal_and_let_go() -> None:
        gate.wait_until_inside()
        signal.pthread_kill(main, signal.SIGUSR1)
        handled.wait()
        gate.let_go()

    before = signal.signal(signal.SIGUSR1, lambda *_: handled.set())
    try:
        sender = threading.Thread(target=signal_and_let_go)
        sender.start()
        np.testing.assert_array_equal(gated.infer(rows(1))["output"], rows(2))
        sender.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_ctrl_c_in_a_run_of_ones_own_comes_after_the_answer(models: dict[str, Path]) -> None:
    main = threading.get_ident()
    x = case_named("one_gemm").feeds(32)["x"]
    with dynbatch.load(models["one_gemm"], batching="always", workers=1) as model:

        def press() -> None:
            while model.stats().accepted < 100:
                os.sched_yield()
            signal.pthread_kill(main, signal.SIGINT)

        def call_for_ever() -> None:
            while True:
                model.infer(x)

        finger = threading.Thread(target=press)
        finger.start()
        with pytest.raises(KeyboardInterrupt):
            call_for_ever()
        finger.join()
        stats = model.stats()
        assert stats.succeeded == stats.accepted  # nothing is given up in the middle of a run
        assert stats.runs_on_callers == stats.batches
        assert model.infer(x)["y"].shape == (32, 64)
