"""Open loops: requests come when they come, whether or not earlier ones are answered.

Arrivals are a Poisson process. Each request is a task of its own, as a server starts them, and its
time counts from when it was due, so that a loop that is late is not flattered. The counted span
begins after a tenth of the arrivals and ends with the last of them; all requests due in it are
waited for and counted, however late. Where more comes than is answered, times grow with the length
of the block: the rate of answers then stays behind that of arrivals.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np

from bench.load.arrival_timer import ArrivalTimer
from bench.load.closed_loop import (
    CHECK_PERIOD,
    START_SHARE,
    Array,
    Block,
    Request,
    check,
)
from bench.load.span import Moment, Span


def arrival_times(rate: float, seconds: float, seed: int) -> Array:
    """When requests are due, in nanoseconds from the start: Poisson arrivals at that rate."""
    rng = np.random.default_rng(seed)
    # More gaps than are needed but once in a million years.
    count = rate * seconds
    gaps = rng.exponential(1 / rate, int(count + 10 * count**0.5 + 10))
    times = np.cumsum(gaps)
    return (times[times < seconds] * 1e9).astype(np.int64)


async def from_arrivals(
    call: Callable[[Any], Awaitable[Any]],
    first_output: Callable[[Any], Array],
    requests: Sequence[Request],
    due_after_ns: Array,
) -> Block:
    """One-row requests that are due at those times."""
    if len(due_after_ns) < 2:
        raise ValueError(f"due_after_ns: expected two arrivals or more, got {len(due_after_ns)}")
    finished_ns = np.zeros(len(due_after_ns), dtype=np.int64)
    kept: list[tuple[Request, Any]] = []
    clock = time.perf_counter_ns

    async def ask(index: int, request: Request) -> None:
        answer = await call(request.argument)
        finished_ns[index] = clock()
        if index % CHECK_PERIOD == 0:
            kept.append((request, answer))

    gc.collect()
    timer = ArrivalTimer()
    start_ns = clock()
    due_ns = start_ns + due_after_ns
    first_counted = min(int(len(due_ns) * START_SHARE), len(due_ns) - 2)
    tasks: list[asyncio.Task[None]] = []
    try:
        start = Moment.now()
        for index, (due, request) in enumerate(
            zip(due_ns.tolist(), itertools.cycle(requests), strict=False)
        ):
            while due > clock():
                await timer.wait_until(due)
            if index == first_counted:
                start = Moment.now()
            tasks.append(asyncio.create_task(ask(index, request)))
        await timer.wait_until(int(due_ns[-1]))
        span = Span(start, Moment.now())
        await asyncio.gather(*tasks)
    finally:
        timer.close()
        for task in tasks:
            task.cancel()
    for request, answer in kept:
        check(first_output(answer), request)
    return _summary(span, due_ns[first_counted:], finished_ns, len(kept))


def _summary(span: Span, due_ns: Array, finished_ns: Array, checked: int) -> Block:
    latencies_ns = finished_ns[-len(due_ns) :] - due_ns
    p50, p99 = np.quantile(latencies_ns, (0.5, 0.99)) / 1e3
    answered = int(((finished_ns > span.start.ns) & (finished_ns <= span.end.ns)).sum())
    return Block(
        rows_per_second=answered / span.seconds,
        p50_us=float(p50),
        p99_us=float(p99),
        cpu_us_per_row=span.own_cpu_seconds() * 1e6 / max(answered, 1),
        foreign_cpu=span.end.cpu.foreign_share(span.start.cpu),
        calls=len(latencies_ns),
        checked=checked,
        span_ns=(span.start.ns, span.end.ns),
    )
