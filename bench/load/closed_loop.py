"""Closed loops: each caller makes its next request as soon as its last one is answered.

A loop runs for the time asked for, and on until its callers have had two answers each on average.
Its first tenth is not counted, so that starting the callers is not measured. Some answers of each
caller are kept and compared after the clock has stopped.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.machine import CpuTime

Array = np.ndarray[Any, Any]

UNCOUNTED_SHARE = 0.1
LEAST_CALLS_A_CALLER = 2
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
    """What one loop measured."""

    rows_per_second: float
    p50_us: float
    p99_us: float
    cpu_us_per_row: float
    foreign_cpu: float
    calls: int
    checked: int


@dataclass
class _Caller:
    """One caller's requests and what it noted."""

    requests: Sequence[Request]
    finished_ns: list[int] = field(default_factory=list)
    kept: list[tuple[Request, Any]] = field(default_factory=list)
    error: BaseException | None = None


class _Stop:
    """Seen by all callers; a plain attribute, since an Event costs a call each time."""

    now = False


def _callers(requests: Sequence[Request], count: int) -> list[_Caller]:
    if len(requests) < count:
        raise ValueError(f"requests: expected one a caller, {count}, got {len(requests)}")
    return [_Caller(requests[k::count]) for k in range(count)]


def _enough(callers: Sequence[_Caller]) -> bool:
    """Whether the loop may end: enough answers are there, or a caller has failed."""
    calls = sum(len(caller.finished_ns) - 1 for caller in callers)
    failed = any(caller.error is not None for caller in callers)
    return failed or calls >= LEAST_CALLS_A_CALLER * len(callers)


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
            barrier.abort()

    threads = [threading.Thread(target=run, args=(caller,)) for caller in everyone]
    gc.collect()
    for thread in threads:
        thread.start()
    try:
        barrier.wait()
        cpu, started = CpuTime.now(), time.perf_counter_ns()
        time.sleep(seconds)
        while not _enough(everyone):
            time.sleep(LOOK_AGAIN_SECONDS)
        ended, cpu_after = time.perf_counter_ns(), CpuTime.now()
    except threading.BrokenBarrierError:
        started = ended = 0
        cpu = cpu_after = CpuTime.now()
    finally:
        stop.now = True
        for thread in threads:
            thread.join()
    return _summary(everyone, first_output, (started, ended), (cpu, cpu_after))


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
        for n, request in enumerate(itertools.cycle(caller.requests)):
            answer = await call(request.argument)
            finished.append(clock())
            if n % CHECK_PERIOD == 0 and len(kept) < CHECKS_PER_CALLER:
                kept.append((request, answer))
            if stop.now:
                break

    gc.collect()
    cpu, started = CpuTime.now(), time.perf_counter_ns()
    tasks = [asyncio.create_task(run(caller)) for caller in everyone]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        while not _enough(everyone) and not any(task.done() for task in tasks):
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        ended, cpu_after = time.perf_counter_ns(), CpuTime.now()
    finally:
        stop.now = True
    await asyncio.gather(*tasks)
    return _summary(everyone, first_output, (started, ended), (cpu, cpu_after))


def _summary(
    callers: Sequence[_Caller],
    first_output: Callable[[Any], Array],
    span_ns: tuple[int, int],
    cpu: tuple[CpuTime, CpuTime],
) -> Block:
    for caller in callers:
        if caller.error is not None and not isinstance(caller.error, threading.BrokenBarrierError):
            raise caller.error
    checked = 0
    for caller in callers:
        for request, answer in caller.kept:
            check(first_output(answer), request)
            checked += 1
    started, ended = span_ns
    counted_from = started + int((ended - started) * UNCOUNTED_SHARE)
    rows = rows_of_all = calls = 0
    latencies: list[Array] = []
    for caller in callers:
        finished = np.array(caller.finished_ns)
        counted = (finished[1:] > counted_from) & (finished[1:] <= ended)
        # Every request of a caller has the same number of rows.
        rows_per_call = caller.requests[0].rows
        calls += int(counted.sum())
        rows += int(counted.sum()) * rows_per_call
        rows_of_all += int((finished[1:] <= ended).sum()) * rows_per_call
        latencies.append(np.diff(finished)[counted])
    if calls == 0:
        raise RuntimeError(
            f"{len(callers)} callers had no answer in the counted part of a block of "
            f"{(ended - started) / 1e9:.2f} s: the machine is too busy, or answers stall"
        )
    p50, p99 = np.quantile(np.concatenate(latencies), (0.5, 0.99)) / 1e3
    return Block(
        rows_per_second=rows / ((ended - counted_from) / 1e9),
        p50_us=float(p50),
        p99_us=float(p99),
        cpu_us_per_row=(cpu[1].own - cpu[0].own) * 1e6 / max(1, rows_of_all),
        foreign_cpu=cpu[1].foreign_share(cpu[0]),
        calls=calls,
        checked=checked,
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
