"""What a function asks of its own batcher while it runs: never a wait that cannot end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

import dynbatch
from gate import Array, rows


def infers(batcher: dynbatch.Batcher) -> None:
    batcher.infer(rows(1))


def reads_a_future(batcher: dynbatch.Batcher) -> None:
    batcher.submit(rows(1)).result()


def maps(batcher: dynbatch.Batcher) -> None:
    list(batcher.map([rows(1)]))


def awaits_an_answer(batcher: dynbatch.Batcher) -> None:
    asyncio.run(batcher.infer_async(rows(1)))


def awaits_a_future(batcher: dynbatch.Batcher) -> None:
    async def wait() -> None:
        await batcher.submit(rows(1))

    asyncio.run(wait())


Wait = Callable[[dynbatch.Batcher], None]
WAITS: list[Wait] = [infers, reads_a_future, maps, awaits_an_answer, awaits_a_future]


class Waiting:
    """y = 2 x, after one wait for its own batcher."""

    def __init__(self, wait: Wait) -> None:
        self.batcher: dynbatch.Batcher | None = None
        self.told: list[str] = []
        self._wait = wait

    def __call__(self, x: Array) -> Array:
        if self.batcher is not None and not self.told:
            try:
                self._wait(self.batcher)
            except dynbatch.ExecutionError as error:
                self.told.append(str(error))
        return 2 * x


@pytest.mark.parametrize("wait", WAITS)
def test_a_run_that_waits_for_its_own_batcher_is_told_at_once(wait: Wait) -> None:
    function = Waiting(wait)
    with dynbatch.Batcher(function, example=rows(1), batching="always") as batcher:
        function.batcher = batcher
        np.testing.assert_array_equal(batcher.infer(rows(3))["output"], rows(6))
        np.testing.assert_array_equal(batcher.infer(rows(4))["output"], rows(8))
    assert len(function.told) == 1
    assert "never end" in function.told[0]


@pytest.mark.parametrize("wait", WAITS)
def test_a_function_that_gets_ready_is_told_as_well(wait: Wait) -> None:
    function = Waiting(wait)
    with dynbatch.Batcher(function, batching="always") as batcher:
        function.batcher = batcher
        np.testing.assert_array_equal(batcher.infer(rows(3))["output"], rows(6))
    assert len(function.told) == 1
    assert "never end" in function.told[0]


def test_a_run_does_not_wait_for_room_in_its_own_queue() -> None:
    told: list[str] = []
    armed: list[bool] = []

    def function(x: Array) -> Array:
        if armed:
            armed.clear()
            try:
                batcher.submit(rows(1))
            except dynbatch.ExecutionError as error:
                told.append(str(error))
        return 2 * x

    with dynbatch.Batcher(
        function, example=rows(1), batching="always", max_batch_size=1, on_full="wait"
    ) as batcher:
        armed.append(True)
        batcher.infer(rows(3))
    assert "submit() is allowed" in told[0] or "never end" in told[0]
