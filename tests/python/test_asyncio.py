"""Coroutines: many loops, each with its own port, and what they leave behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dynbatch
from gate import Array, Gate, rows
from model_cases import case_named

EXECUTIONS = ("native", "python")


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_many_loops_one_after_another(execution: str, models: dict[str, Path]) -> None:
    x = case_named("one_gemm").feeds(4)["x"]
    with dynbatch.load(models["one_gemm"], execution=execution, batching="always") as model:
        expected = model.infer(x)["y"]

        async def serve() -> None:
            answers = await asyncio.gather(*(model.infer_async(row[None]) for row in x))
            np.testing.assert_allclose(
                np.concatenate([a["y"] for a in answers]), expected, rtol=1e-5
            )

        asyncio.run(serve())
        gc.collect()
        before = open_descriptors()
        threads = set(threading.enumerate())
        for _ in range(50):
            asyncio.run(serve())
        gc.collect()
        assert open_descriptors() <= before
        assert set(threading.enumerate()) <= threads


def test_several_loops_at_once(models: dict[str, Path]) -> None:
    x = case_named("one_gemm").feeds(8)["x"]
    failures: list[BaseException] = []
    with dynbatch.load(models["one_gemm"], batching="always") as model:
        expected = model.infer(x)["y"]

        async def serve() -> None:
            for _ in range(20):
                answers = await asyncio.gather(*(model.infer_async(row[None]) for row in x))
                np.testing.assert_allclose(
                    np.concatenate([a["y"] for a in answers]), expected, rtol=1e-5
                )

        def run_loop() -> None:
            try:
                asyncio.run(serve())
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=run_loop) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures
    assert model.stats().in_flight == 0


def test_a_held_batch_of_coroutines_is_one_run(gated: dynbatch.Batcher, gate: Gate) -> None:
    async def serve() -> list[float]:
        gate.hold()
        blocker = asyncio.create_task(gated.infer_async(rows(0)))
        await asyncio.sleep(0)
        gate.wait_until_inside()
        tasks = [asyncio.create_task(gated.infer_async(rows(i))) for i in range(1, 9)]
        await asyncio.sleep(0)
        gate.let_go()
        await blocker
        return [float((await task)["output"][0, 0]) for task in tasks]

    assert asyncio.run(serve()) == [2.0 * i for i in range(1, 9)]
    assert gate.batches == [1, 8]


def test_a_loop_closed_with_requests_in_flight(gated: dynbatch.Batcher, gate: Gate) -> None:
    gc.collect()
    before = open_descriptors()
    loop = asyncio.new_event_loop()
    gate.hold()

    async def leave_behind() -> None:
        for i in range(5):
            tasks.append(loop.create_task(gated.infer_async(rows(i))))
        await asyncio.sleep(0)
        gate.wait_until_inside()

    tasks: list[asyncio.Task[dict[str, Array]]] = []
    loop.run_until_complete(leave_behind())
    loop.close()
    # What is left of the loop is told to nobody.
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    del task
    tasks.clear()
    gc.collect()
    assert open_descriptors() <= before
    assert gated.stats().cancelled == 5
    gate.let_go()
    np.testing.assert_array_equal(gated.infer(rows(3))["output"], rows(6))


def test_cancelling_a_task_cancels_its_request(gated: dynbatch.Batcher, gate: Gate) -> None:
    async def serve() -> None:
        gate.hold()
        blocker = asyncio.create_task(gated.infer_async(rows(0)))
        await asyncio.sleep(0)
        gate.wait_until_inside()
        task = asyncio.create_task(gated.infer_async(rows(1)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert gated.stats().cancelled == 1
        gate.let_go()
        await blocker

    asyncio.run(serve())


def test_asyncio_timeouts_cancel_the_request(gated: dynbatch.Batcher, gate: Gate) -> None:
    async def serve() -> None:
        gate.hold()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(gated.infer_async(rows(0)), 0.01)
        gate.let_go()
        np.testing.assert_array_equal((await gated.infer_async(rows(1)))["output"], rows(2))

    asyncio.run(serve())
    gated.close()
    assert gated.stats().cancelled == 1


def test_a_deadline(gated: dynbatch.Batcher, gate: Gate) -> None:
    async def serve() -> None:
        gate.hold()
        with pytest.raises(dynbatch.Timeout):
            await gated.infer_async(rows(0), timeout=0.01)
        gate.let_go()
        answer = await gated.infer_async(rows(1), timeout=60)
        np.testing.assert_array_equal(answer["output"], rows(2))

    asyncio.run(serve())
    gated.close()
    assert gated.stats().timed_out == 1


@pytest.mark.parametrize("timeout", [float("nan"), "1", True])
def test_a_timeout_that_is_no_time_is_named(timeout: Any, gated: dynbatch.Batcher) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match="timeout: expected seconds, got"):
        asyncio.run(gated.infer_async(rows(0), timeout=timeout))
    answer = asyncio.run(gated.infer_async(rows(1), timeout=float("inf")))
    np.testing.assert_array_equal(answer["output"], rows(2))


def test_errors_are_raised_where_they_are_awaited(models: dict[str, Path]) -> None:
    async def serve(model: dynbatch.Model) -> None:
        with pytest.raises(dynbatch.InvalidInput, match="'ids'"):
            await model.infer_async({"z": 1})
        with pytest.raises(dynbatch.ExecutionError):
            await model.infer_async(np.full((1, 4), 1_000_000))
        assert (await model.infer_async(np.zeros((1, 4), dtype=np.int64)))["y"].shape == (1, 8)
        model.close()
        with pytest.raises(dynbatch.Closed):
            await model.infer_async(np.zeros((1, 4), dtype=np.int64))

    asyncio.run(serve(dynbatch.load(models["guarded_gather"])))


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_close_in_a_loop_ends_what_is_awaited(execution: str, models: dict[str, Path]) -> None:
    x = case_named("one_gemm").feeds(1)["x"]

    async def serve() -> None:
        gc.collect()
        before = open_descriptors()
        model = dynbatch.load(
            models["one_gemm"], execution=execution, batching="always", max_queue_delay=10
        )
        tasks = [asyncio.create_task(model.infer_async(x)) for _ in range(5)]
        await asyncio.sleep(0)
        model.close(drain=False)
        for answer in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(answer, dynbatch.Cancelled)
        # The port goes with the model, not with the loop.
        while open_descriptors() > before:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(serve(), 30))


def test_the_port_of_a_closed_model_leaves_its_loop(gated: dynbatch.Batcher) -> None:
    async def serve() -> None:
        gc.collect()
        before = open_descriptors()
        await gated.infer_async(rows(1))
        assert open_descriptors() == before + 1
        await asyncio.get_running_loop().run_in_executor(None, gated.close)
        while open_descriptors() > before:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(serve(), 30))


def test_a_future_is_awaited(gated: dynbatch.Batcher, gate: Gate) -> None:
    async def serve() -> None:
        gate.hold()
        futures = [gated.submit(rows(i)) for i in range(9)]
        threading.Thread(target=gate.let_go).start()
        answers = await asyncio.gather(*futures)
        assert [float(a["output"][0, 0]) for a in answers] == [2.0 * i for i in range(9)]
        again = await futures[0]
        assert again is futures[0].result()

    asyncio.run(serve())


def test_cancelling_who_awaits_a_future_cancels_it(gated: dynbatch.Batcher, gate: Gate) -> None:
    async def serve() -> None:
        gate.hold()
        gated.submit(rows(0))
        gate.wait_until_inside()
        future = gated.submit(rows(1))

        async def wait() -> None:
            await future

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert future.cancelled()
        gate.let_go()

    asyncio.run(serve())


def test_wrap_future(gated: dynbatch.Batcher) -> None:
    async def serve() -> None:
        future = gated.submit(rows(4)).as_concurrent()
        answer = await asyncio.wrap_future(future)
        np.testing.assert_array_equal(answer["output"], rows(8))

    asyncio.run(serve())


def test_nothing_is_reported_as_unretrieved(
    gated: dynbatch.Batcher, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    async def serve() -> None:
        for _ in range(20):
            tasks = [
                asyncio.create_task(gated.infer_async(rows(i), timeout=1e-6)) for i in range(5)
            ]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(serve())
    gc.collect()
    assert caplog.records == []


def wait_until_succeeded(batcher: dynbatch.Batcher, count: int) -> None:
    """Blocks the loop meanwhile, so that it learns of the answers later."""
    while batcher.stats().succeeded < count:
        os.sched_yield()


def test_a_task_cancelled_after_its_answer_came(
    gated: dynbatch.Batcher, caplog: pytest.LogCaptureFixture
) -> None:
    async def serve() -> None:
        task = asyncio.create_task(gated.infer_async(rows(1)))
        await asyncio.sleep(0)
        wait_until_succeeded(gated, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        np.testing.assert_array_equal((await gated.infer_async(rows(2)))["output"], rows(4))

    asyncio.run(serve())
    stats = gated.stats()
    assert (stats.succeeded, stats.cancelled) == (2, 0)
    assert caplog.records == []


def test_an_answer_that_is_there_is_returned_though_the_time_is_over(
    gated: dynbatch.Batcher,
) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()

        def miss_the_deadline() -> None:
            wait_until_succeeded(gated, 1)
            passed = loop.time() + 0.01
            while loop.time() < passed:
                os.sched_yield()

        # In the same turn of the loop, before any timer.
        task = asyncio.create_task(gated.infer_async(rows(1), timeout=0.01))
        loop.call_soon(miss_the_deadline)
        np.testing.assert_array_equal((await task)["output"], rows(2))

    asyncio.run(serve())
    assert gated.stats().timed_out == 0


def test_a_loop_closed_while_it_awaits_a_future(gated: dynbatch.Batcher, gate: Gate) -> None:
    async def wait() -> None:
        await future

    gate.hold()
    future = gated.submit(rows(1))
    gate.wait_until_inside()
    loop = asyncio.new_event_loop()
    task = loop.create_task(wait())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    told = threading.Event()
    future.add_done_callback(lambda _: told.set())
    gate.let_go()
    told.wait()
    np.testing.assert_array_equal(future.result()["output"], rows(2))


def test_ctrl_c_ends_a_loop_and_cancels_its_request(gated: dynbatch.Batcher, gate: Gate) -> None:
    main = threading.get_ident()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await gated.infer_async(rows(1))

    def press() -> None:
        gate.wait_until_inside()
        signal.pthread_kill(main, signal.SIGINT)
        # A signal that comes a moment before the loop's wait does not end that wait.
        with contextlib.suppress(RuntimeError):  # the loop was closed already
            loops[0].call_soon_threadsafe(lambda: None)

    gate.hold()
    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(serve())
    finger.join()
    gate.let_go()
    np.testing.assert_array_equal(asyncio.run(gated.infer_async(rows(2)))["output"], rows(4))
    assert gated.stats().cancelled == 1
