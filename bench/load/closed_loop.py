"""Closed loops: each caller makes its next request as soon as its last one is answered.

A loop has three parts. Its callers start, and go on until each has had an answer. Then the counted
span begins: it lasts for the time asked for, and on until its callers have had three answers each
on average. They go on until each call of the span is answered, so that none ends in an emptier
machine than it began in. Some answers of each caller are kept and compared after the clock has
stopped.

Rate and CPU time are those of the counted span. A call that lies partly in it counts by that part
of its time: to count whole calls would credit a span with work done before it, most of all where
many callers share the CPUs and all their calls are half done when it begins.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.load.span import Moment, Span

Array = np.ndarray[Any, Any]

START_SHARE = 0.1  # of the time asked for; a start may take longer
LEAST_CALLS_A_CALLER = 3
LOOK_AGAIN_SECONDS = 0.02
CHECK_PERIOD = 32
CHECKS_PER_CALLER = 8
TOLERANCE = 1e-4


class WrongAnswerError(AssertionError):
    """An answer differs from that of the model to the same rows alone."""


@dataclass(frozen=True)
class Request:
    """What to call with, and the output that must come back, within `tolerance` of its largest."""

    argument: Any
    expected: Array
    rows: int = 1
    tolerance: float = TOLERANCE


@dataclass(frozen=True)
class Block:
    """What one loop measured between the two times of `span_ns`, those of `perf_counter_ns`.

    `busy_kept` is the share of its speed that a busy Python thread kept, where there was one.
    """

    rows_per_second: float
    p50_us: float
    p99_us: float
    cpu_us_per_row: float
    foreign_cpu: float
    calls: int
    checked: int
    span_ns: tuple[int, int] = (0, 0)
    busy_kept: float | None = None


@dataclass
class _Caller:
    """One caller's requests and what it noted."""

    requests: Sequence[Request]
    finished_ns: list[int] = field(default_factory=list)
    kept: list[tuple[Request, Any]] = field(default_factory=list)
    error: BaseException | None = None

    def answers(self) -> int:
        return max(0, len(self.finished_ns) - 1)


class _Stop:
    """Seen by all callers; a plain attribute, since an Event costs a call each time."""

    now = False


class _Clock:
    """Takes a loop through its parts; `span` is there when its callers may stop."""

    span: Span

    def pauses(self, callers: Sequence[_Caller], seconds: float) -> Iterator[float]:
        """Seconds to sleep, again and again, until the callers may stop or one has failed."""
        for pause in self._parts(callers, seconds):
            if any(caller.error is not None for caller in callers):
                return
            yield pause

    def _parts(self, callers: Sequence[_Caller], seconds: float) -> Iterator[float]:
        yield seconds * START_SHARE
        while min(caller.answers() for caller in callers) < 1:
            yield LOOK_AGAIN_SECONDS
        wanted = sum(caller.answers() for caller in callers) + LEAST_CALLS_A_CALLER * len(callers)
        start = Moment.now()
        yield seconds
        while sum(caller.answers() for caller in callers) < wanted:
            yield LOOK_AGAIN_SECONDS
        self.span = Span(start, Moment.now())
        while min(caller.finished_ns[-1] for caller in callers) < self.span.end.ns:
            yield LOOK_AGAIN_SECONDS


def _callers(requests: Sequence[Request], count: int) -> list[_Caller]:
    if len(requests) < count:
        raise ValueError(f"requests: expected one a caller, {count}, got {len(requests)}")
    return [_Caller(requests[k::count]) for k in range(count)]


def from_threads(
    call: Callable[[Any], Any],
    first_output: Callable[[Any], Array],
    requests: Sequence[Request],
    callers: int,
    seconds: float,
) -> Block:
    """`callers` threads, each with rows of its own."""
    everyone = _callers(requests, callers)
    barrier = threading.Barrier(callers + 1)
    stop = _Stop()

    def run(caller: _Caller) -> None:
        finished, kept, clock = caller.finished_ns, caller.kept, time.perf_counter_ns
        try:
            barrier.wait()
            finished.append(clock())
            for n, request in enumerate(itertools.cycle(caller.requests)):
                answer = call(request.argument)
                finished.append(clock())
                if n % CHECK_PERIOD == 0 and len(kept) < CHECKS_PER_CALLER:
                    kept.append((request, answer))
                if stop.now:
                    break
        except BaseException as error:  # raised again by whoever measures
            caller.error = error

    threads = [threading.Thread(target=run, args=(caller,)) for caller in everyone]
    gc.collect()
    for thread in threads:
        thread.start()
    clock = _Clock()
    try:
        barrier.wait()
        for pause in clock.pauses(everyone, seconds):
            time.sleep(pause)
    finally:
        stop.now = True
        for thread in threads:
            thread.join()
    return _summary(everyone, first_output, clock)


async def from_coroutines(
    call: Callable[[Any], Awaitable[Any]],
    first_output: Callable[[Any], Array],
    requests: Sequence[Request],
    callers: int,
    seconds: float,
) -> Block:
    """`callers` coroutines of the running loop, each with rows of its own."""
    everyone = _callers(requests, callers)
    stop = _Stop()

    async def run(caller: _Caller) -> None:
        finished, kept, clock = caller.finished_ns, caller.kept, time.perf_counter_ns
        finished.append(clock())
        try:
            for n, request in enumerate(itertools.cycle(caller.requests)):
                answer = await call(request.argument)
                finished.append(clock())
                if n % CHECK_PERIOD == 0 and len(kept) < CHECKS_PER_CALLER:
                    kept.append((request, answer))
                if stop.now:
                    break
        except Exception as error:  # raised again by whoever measures
            caller.error = error

    gc.collect()
    tasks = [asyncio.create_task(run(caller)) for caller in everyone]
    clock = _Clock()
    try:
        for pause in clock.pauses(everyone, seconds):
            await asyncio.sleep(pause)
    finally:
        stop.now = True
    await asyncio.gather(*tasks)
    return _summary(everyone, first_output, clock)


def _summary(
    callers: Sequence[_Caller], first_output: Callable[[Any], Array], clock: _Clock
) -> Block:
    for caller in callers:
        if caller.error is not None:
            raise caller.error
    checked = 0
    for caller in callers:
        for request, answer in caller.kept:
            check(first_output(answer), request)
            checked += 1
    span = clock.span
    rows = 0.0
    latencies: list[Array] = []
    for caller in callers:
        finished = np.array(caller.finished_ns)
        # Every request of a caller has the same number of rows.
        rows += span.calls(finished) * caller.requests[0].rows
        answered_within = (finished[1:] > span.start.ns) & (finished[1:] <= span.end.ns)
        latencies.append(np.diff(finished)[answered_within])
    latencies_ns = np.concatenate(latencies)
    p50, p99 = np.quantile(latencies_ns, (0.5, 0.99)) / 1e3
    return Block(
        rows_per_second=rows / span.seconds,
        p50_us=float(p50),
        p99_us=float(p99),
        cpu_us_per_row=span.own_cpu_seconds() * 1e6 / rows,
        foreign_cpu=span.end.cpu.foreign_share(span.start.cpu),
        calls=len(latencies_ns),
        checked=checked,
        span_ns=(span.start.ns, span.end.ns),
    )


def check(answer: Array, request: Request) -> None:
    """Raises WrongAnswerError unless the answer is that of the model to these rows alone."""
    expected = request.expected
    if answer.shape != expected.shape:
        raise WrongAnswerError(f"expected the shape {expected.shape}, got {answer.shape}")
    wide = np.result_type(expected.dtype, np.float64)
    difference = np.max(np.abs(answer.astype(wide) - expected), initial=0.0)
    scale = np.max(np.abs(expected), initial=0.0)
    if not difference <= request.tolerance * scale:
        raise WrongAnswerError(
            f"expected the answer to the rows alone, got one that differs by {difference:.3g} "
            f"where the largest value is {scale:.3g}"
        )
