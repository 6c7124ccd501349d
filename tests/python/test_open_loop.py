"""Arrivals of a benchmark's open loop: each is answered once, and its time counts from when due."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest

from bench.load.arrival_timer import ArrivalTimer
from bench.load.closed_loop import Request, WrongAnswerError
from bench.load.open_loop import arrival_times, from_arrivals

ROWS = [Request(i, np.array([i])) for i in range(3)]


async def answer(argument: int) -> Any:
    await asyncio.sleep(0)
    return np.array([argument])


def test_arrivals_are_poisson_and_the_same_again() -> None:
    due = arrival_times(1000, 10.0, seed=1)
    assert np.array_equal(due, arrival_times(1000, 10.0, seed=1))
    assert due.max() < 10e9
    gaps = np.diff(due) / 1e9
    # Of exponential gaps, the mean and the deviation are one over the rate.
    assert gaps.mean() == pytest.approx(0.001, rel=0.05)
    assert gaps.std() == pytest.approx(0.001, rel=0.05)


def test_each_arrival_is_asked_once_with_rows_in_turn() -> None:
    asked: Counter[int] = Counter()

    async def counting(argument: int) -> Any:
        asked[argument] += 1
        return await answer(argument)

    due = np.arange(30) * 1000
    block = asyncio.run(from_arrivals(counting, lambda array: array, ROWS, due))
    assert asked == {0: 10, 1: 10, 2: 10}
    assert block.calls == 27  # all but the first tenth
    assert block.checked == 1


def test_time_counts_from_when_a_request_was_due() -> None:
    a_second_ago = np.full(10, -1_000_000_000)
    block = asyncio.run(from_arrivals(answer, lambda array: array, ROWS, a_second_ago))
    assert block.p50_us >= 1e6


def test_a_wrong_answer_is_found() -> None:
    async def wrong(argument: int) -> Any:
        return await answer(argument + 1)

    with pytest.raises(WrongAnswerError):
        asyncio.run(from_arrivals(wrong, lambda array: array, ROWS, np.arange(10) * 1000))


def test_an_error_of_a_request_is_raised() -> None:
    async def failing(argument: int) -> Any:
        raise OSError("down")

    with pytest.raises(OSError, match="down"):
        asyncio.run(from_arrivals(failing, lambda array: array, ROWS, np.arange(10) * 1000))


def test_too_few_arrivals_are_refused() -> None:
    with pytest.raises(ValueError, match="expected two arrivals or more, got 1"):
        asyncio.run(from_arrivals(answer, lambda array: array, ROWS, np.arange(1)))


def test_the_timer_does_not_wake_before_its_time() -> None:
    async def main() -> None:
        timer = ArrivalTimer()
        try:
            for pause_us in (0, 50, 300, 2000):
                due_ns = time.perf_counter_ns() + 1000 * pause_us
                await timer.wait_until(due_ns)
                assert time.perf_counter_ns() >= due_ns
        finally:
            timer.close()

    asyncio.run(main())
