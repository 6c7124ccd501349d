"""A full queue: raise, wait or await, in turn."""

from __future__ import annotations

import _thread
import asyncio
import gc
import threading
from pathlib import Path

import numpy as np
import pytest

import dynbatch
from gate import Gate, rows
from inside_call import wait_until_inside_call


def test_submit_raises_at_once(full: dynbatch.Batcher) -> None:
    before = full.stats()
    with pytest.raises(dynbatch.QueueFull, match="no room"):
        full.submit(rows(1))
    after = full.stats()
    assert after.accepted == before.accepted
    assert after.refused == before.refused + 1


def test_infer_waits(full: dynbatch.Batcher, gate: Gate) -> None:
    answers = []
    threads = [
        threading.Thread(target=lambda i=i: answers.append(full.infer(rows(i))["output"][0, 0]))
        for i in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    gate.let_go()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [2.0 * i for i in range(1, 9)]


def test_the_main_thread_waits_as_well(full: dynbatch.Batcher, gate: Gate) -> None:
    threading.Thread(target=gate.let_go).start()
    np.testing.assert_array_equal(full.infer(rows(7))["output"], rows(14))


def test_a_deadline_holds_for_the_wait(full: dynbatch.Batcher, gate: Gate) -> None:
    with pytest.raises(dynbatch.Timeout):
        full.infer(rows(1), timeout=0.01)
    failures: list[BaseException] = []

    def elsewhere() -> None:
        try:
            full.infer(rows(1), timeout=0.01)
        except dynbatch.Timeout as error:
            failures.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(failures) == 1
    gate.let_go()
    np.testing.assert_array_equal(full.infer(rows(1))["output"], rows(2))


def test_coroutines_wait_in_turn(full: dynbatch.Batcher, gate: Gate) -> None:
    async def serve() -> list[float]:
        tasks = [asyncio.create_task(full.infer_async(rows(i))) for i in range(20)]
        await asyncio.sleep(0)
        gate.let_go()
        return [float((await task)["output"][0, 0]) for task in tasks]

    assert asyncio.run(serve()) == [2.0 * i for i in range(20)]


def test_a_coroutine_that_gives_up_waiting_harms_nobody(full: dynbatch.Batcher, gate: Gate) -> None:
    async def serve() -> list[float]:
        tasks = [asyncio.create_task(full.infer_async(rows(i))) for i in range(10)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        with pytest.raises(dynbatch.Timeout):
            await full.infer_async(rows(1), timeout=0.01)
        gate.let_go()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for i, answer in enumerate(answers):
            if i % 3 == 0:
                assert isinstance(answer, asyncio.CancelledError)
        return [float(a["output"][0, 0]) for a in answers if not isinstance(a, BaseException)]

    assert asyncio.run(serve()) == [2.0 * i for i in range(10) if i % 3]


def test_ctrl_c_ends_the_wait_for_room(full: dynbatch.Batcher, gate: Gate) -> None:
    main = threading.current_thread()

    def press() -> None:
        wait_until_inside_call(main, dynbatch.Batcher.infer)
        # As a signal that comes a moment before the wait: it interrupts nothing.
        _thread.interrupt_main()

    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        full.infer(rows(1))
    finger.join()
    gate.let_go()
    np.testing.assert_array_equal(full.infer(rows(2))["output"], rows(4))


def test_close_ends_the_wait(full: dynbatch.Batcher, gate: Gate) -> None:
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            full.infer(rows(1))
        except dynbatch.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        wait_until_inside_call(thread, dynbatch.Batcher.infer)
    closer = threading.Thread(target=full.close, args=(False,))
    closer.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 3
    assert all(isinstance(e, (dynbatch.Closed, dynbatch.Cancelled)) for e in errors)
    gate.let_go()
    closer.join()


@pytest.mark.parametrize("on_full", ["wait", "raise"])
def test_on_full_holds_for_every_call(on_full: str, gate: Gate, models: dict[str, Path]) -> None:
    with dynbatch.Batcher(
        gate,
        example=rows(1),
        batching="always",
        max_batch_size=1,
        queue_capacity=1,
        on_full=on_full,
    ) as batcher:
        gate.hold()
        first = batcher.submit(rows(1))
        gate.wait_until_inside()
        if on_full == "raise":
            second = batcher.submit(rows(2))
            with pytest.raises(dynbatch.QueueFull):
                while True:
                    batcher.submit(rows(0))
            with pytest.raises(dynbatch.QueueFull):
                batcher.infer(rows(3))
        else:
            second = batcher.submit(rows(2))
            threading.Thread(target=gate.let_go).start()
            third = [batcher.submit(rows(i)) for i in range(10)]
            assert third[-1].result()["output"][0, 0] == 18
        gate.let_go()
        assert first.result()["output"][0, 0] == 2
        assert second.result()["output"][0, 0] == 4


def test_coroutines_wait_though_calls_raise(gate: Gate) -> None:
    async def serve() -> list[float]:
        gate.hold()
        tasks = [asyncio.create_task(batcher.infer_async(rows(i))) for i in range(8)]
        await asyncio.sleep(0)
        with pytest.raises(dynbatch.QueueFull):
            batcher.infer(rows(1))
        gate.let_go()
        return [float((await task)["output"][0, 0]) for task in tasks]

    with dynbatch.Batcher(
        gate,
        example=rows(1),
        batching="always",
        max_batch_size=1,
        queue_capacity=1,
        on_full="raise",
    ) as batcher:
        assert asyncio.run(serve()) == [2.0 * i for i in range(8)]


def test_a_loop_closed_while_coroutines_wait_for_room(full: dynbatch.Batcher, gate: Gate) -> None:
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(full.infer_async(rows(i))) for i in range(5)]
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    tasks.clear()
    del task
    gc.collect()
    gate.let_go()
    np.testing.assert_array_equal(full.infer(rows(3))["output"], rows(6))
    np.testing.assert_array_equal(asyncio.run(full.infer_async(rows(4)))["output"], rows(8))
    assert full.stats().cancelled == 0
