"""How tasks wait for their answers, and requests that start together."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dynbatch
from gate import Array, Gate, rows
from model_cases import case_named


def test_requests_of_one_turn_start_together(models: dict[str, Path]) -> None:
    x = case_named("one_gemm").feeds(8)["x"]

    async def rounds(model: dynbatch.Model, count: int) -> None:
        async def ask(row: Array) -> None:
            for _ in range(count):
                await model.infer_async(row[None])

        await asyncio.gather(*(ask(row) for row in x))

    with dynbatch.load(models["one_gemm"], workers=1, batching="always") as model:
        asyncio.run(rounds(model, 1))
        before = model.stats()
        asyncio.run(rounds(model, 100))
        after = model.stats()
    # Seven of eight share the batch of the first, unless the machine stops the loop in its turn.
    assert after.rows - before.rows == 800
    assert after.batches - before.batches <= 300


def test_the_first_request_after_a_while_starts_at_once(
    gated: dynbatch.Batcher, gate: Gate
) -> None:
    """Its turn of the loop may be long: here it lasts until the run has begun."""

    async def serve() -> None:
        gate.hold()
        task = asyncio.create_task(gated.infer_async(rows(1)))
        await asyncio.sleep(0)
        gate.wait_until_inside()
        gate.let_go()
        await task

    asyncio.run(serve())
    assert gate.batches == [1]


def test_a_thread_does_not_wait_for_a_turn_of_a_loop(gated: dynbatch.Batcher) -> None:
    """The loop holds its second request, and is stopped by a thread that makes one of its own."""

    async def serve() -> list[Any]:
        tasks = [asyncio.create_task(gated.infer_async(rows(i))) for i in range(4)]
        await asyncio.sleep(0)
        thread = threading.Thread(target=gated.infer, args=(rows(9),))
        thread.start()
        thread.join()
        return await asyncio.gather(*tasks)

    assert len(asyncio.run(serve())) == 4


def test_a_task_goes_on_in_its_own_context(gated: dynbatch.Batcher) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=-1)

    async def ask(i: int) -> int:
        variable.set(i)
        await gated.infer_async(rows(i))
        return variable.get()

    async def serve() -> list[int]:
        return await asyncio.gather(*(ask(i) for i in range(16)))

    assert asyncio.run(serve()) == list(range(16))
    assert variable.get() == -1


def test_a_task_that_exits_keeps_nobody_from_an_answer(gated: dynbatch.Batcher, gate: Gate) -> None:
    """SystemExit leaves the turn of the loop in which it is raised; the other tasks come later."""
    answered: list[int] = []

    async def ask(i: int) -> None:
        await gated.infer_async(rows(i))
        if i == 3:
            raise SystemExit
        answered.append(i)

    loop = asyncio.new_event_loop()
    gate.hold()
    blocker = gated.submit(rows(0))
    gate.wait_until_inside()
    tasks = [loop.create_task(ask(i)) for i in range(8)]
    loop.run_until_complete(asyncio.sleep(0))
    gate.let_go()
    blocker.result()
    with pytest.raises(SystemExit):
        loop.run_until_complete(asyncio.gather(*tasks))
    others = [task for i, task in enumerate(tasks) if i != 3]
    loop.run_until_complete(asyncio.gather(*others))
    assert sorted(answered) == [0, 1, 2, 4, 5, 6, 7]
    with contextlib.suppress(SystemExit):
        tasks[3].exception()
    loop.close()


def test_a_cancellation_keeps_its_message(gated: dynbatch.Batcher, gate: Gate) -> None:
    async def serve() -> None:
        gate.hold()
        first = asyncio.create_task(gated.infer_async(rows(1)))
        second = asyncio.create_task(gated.infer_async(rows(2)))
        await asyncio.sleep(0)
        gate.wait_until_inside()
        second.cancel("not wanted")
        with pytest.raises(asyncio.CancelledError, match="not wanted"):
            await second
        gate.let_go()
        np.testing.assert_array_equal((await first)["output"], rows(2))

    asyncio.run(serve())
    stats = gated.stats()
    assert (stats.succeeded, stats.cancelled) == (1, 1)


def test_asyncio_waits_with_a_time_limit(gated: dynbatch.Batcher, gate: Gate) -> None:
    async def serve() -> None:
        gate.hold()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(gated.infer_async(rows(1)), 0.01)
        shielded = asyncio.create_task(gated.infer_async(rows(2)))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(shielded), 0.01)
        gate.let_go()
        np.testing.assert_array_equal((await shielded)["output"], rows(4))

    asyncio.run(serve())


def test_tasks_written_in_python_can_wait_too(gated: dynbatch.Batcher) -> None:
    """The Task of asyncio in Python, as interpreters without its C form have it."""
    from asyncio import tasks

    loop = asyncio.new_event_loop()
    loop.set_task_factory(lambda loop, coro, **options: tasks._PyTask(coro, loop=loop, **options))  # type: ignore[attr-defined]

    async def serve() -> list[Any]:
        return await asyncio.gather(*(gated.infer_async(rows(i)) for i in range(8)))

    answers = loop.run_until_complete(serve())
    loop.close()
    for i, answer in enumerate(answers):
        np.testing.assert_array_equal(answer["output"], rows(2 * i))
