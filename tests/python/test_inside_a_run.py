"""What a function asks of its own batcher while it runs: never a wait that cannot end."""

from __future__ import annotations

import asyncio
import contextlib
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


class Asking:
    """y = 2 x; once after it has asked another batcher, which may refuse."""

    def __init__(self, wait: Wait) -> None:
        self.asked: dynbatch.Batcher | None = None
        self.told: list[str] = []
        self._wait = wait

    def __call__(self, x: Array) -> Array:
        asked, self.asked = self.asked, None
        if asked is not None:
            try:
                self._wait(asked)
            except dynbatch.ExecutionError as error:
                self.told.append(str(error))
        return 2 * x


@pytest.mark.parametrize("wait", [infers, reads_a_future])
@pytest.mark.parametrize("length", [2, 3])
def test_batchers_that_wait_for_each_other_in_a_circle_are_told(wait: Wait, length: int) -> None:
    functions = [Asking(wait) for _ in range(length)]
    with contextlib.ExitStack() as stack:
        batchers = [
            stack.enter_context(dynbatch.Batcher(function, example=rows(1), batching="always"))
            for function in functions
        ]
        for index, function in enumerate(functions):
            function.asked = batchers[(index + 1) % length]
        np.testing.assert_array_equal(batchers[0].infer(rows(3))["output"], rows(6))
        told = [text for function in functions for text in function.told]
        assert len(told) == 1
        assert "waits for it in turn" in told[0]
        np.testing.assert_array_equal(batchers[0].infer(rows(4))["output"], rows(8))


def test_a_circle_with_a_worker_free_goes_on() -> None:
    first, second = Asking(infers), Asking(infers)
    with (
        dynbatch.Batcher(first, example=rows(1), batching="always", workers=2) as outer,
        dynbatch.Batcher(second, example=rows(1), batching="always") as inner,
    ):
        first.asked = inner
        runs: list[int] = []

        def ask_back(batcher: dynbatch.Batcher) -> None:
            runs.append(1)
            batcher.infer(rows(1))

        second._wait = ask_back
        second.asked = outer
        np.testing.assert_array_equal(outer.infer(rows(3))["output"], rows(6))
        assert runs == [1]
    assert first.told == second.told == []


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
