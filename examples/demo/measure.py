"""Closed loops of callers: each takes the next request as soon as its last one is answered."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from engines import Array, Engine, Feeds

T = TypeVar("T")
Step = Callable[[], None]


@dataclass
class Timing:
    """How long the answers took, and how long all of them together."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rows_per_second(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def quantile_ms(self, q: float) -> float:
        return 1e3 * float(np.quantile(self.latencies, q)) if self.latencies else 0.0


@dataclass
class Measured(Generic[T]):
    """What one engine answered, in the order of the requests, and its timing."""

    engine: Engine
    callers: int
    answers: list[T] = field(default_factory=list)
    timing: Timing = field(default_factory=Timing)
    sizes: dict[int, int] = field(default_factory=dict)


def call_from_threads(
    engine: Engine,
    feeds: Sequence[Feeds],
    read: Callable[[list[Array]], T],
    step: Step,
    timing: Timing,
) -> list[T]:
    """Answer all feeds from `engine.threads` threads. `read` is outside the measured latency."""
    answers: list[Any] = [None] * len(feeds)
    positions = iter(range(len(feeds)))
    latencies = timing.latencies

    def caller() -> None:
        for i in positions:
            started = time.perf_counter()
            outputs = engine.run(feeds[i])
            latencies.append(time.perf_counter() - started)
            answers[i] = read(outputs)
            step()

    started = time.perf_counter()
    with ThreadPoolExecutor(engine.threads) as threads:
        for done in [threads.submit(caller) for _ in range(engine.threads)]:
            done.result()
    timing.seconds += time.perf_counter() - started
    return answers


def call_from_coroutines(
    engine: Engine,
    feeds: Sequence[Feeds],
    read: Callable[[list[Array]], T],
    step: Step,
    timing: Timing,
    *,
    coroutines: int,
) -> list[T]:
    """Answer all feeds from that many coroutines of one event loop."""
    answers: list[Any] = [None] * len(feeds)
    positions = iter(range(len(feeds)))

    async def caller() -> None:
        for i in positions:
            started = time.perf_counter()
            outputs = await engine.run_async(feeds[i])
            timing.latencies.append(time.perf_counter() - started)
            answers[i] = read(outputs)
            step()

    async def all_callers() -> None:
        await asyncio.gather(*(caller() for _ in range(coroutines)))

    started = time.perf_counter()
    asyncio.run(all_callers())
    timing.seconds += time.perf_counter() - started
    return answers


def interleaved(
    engines: Sequence[Engine],
    feeds: Sequence[Feeds],
    read: Callable[[list[Array]], T],
    step: Step,
    *,
    coroutines: int = 0,
    rounds: int = 3,
) -> list[Measured[T]]:
    """Every engine answers all feeds, a part of them in each round, in turns that rotate.

    A machine that is busy for a while is then busy for all engines alike. With `coroutines`
    the callers are coroutines, else threads.
    """
    measured = [Measured[T](engine, coroutines or engine.threads) for engine in engines]
    for engine in engines:
        engine.run(feeds[0])
    before = [sizes_of(engine) for engine in engines]
    bounds = [len(feeds) * i // rounds for i in range(rounds + 1)]
    for turn, (first, last) in enumerate(itertools.pairwise(bounds)):
        for i in range(len(engines)):
            one = measured[(turn + i) % len(engines)]
            part = feeds[first:last]
            if coroutines:
                one.answers += call_from_coroutines(
                    one.engine, part, read, step, one.timing, coroutines=coroutines
                )
            else:
                one.answers += call_from_threads(one.engine, part, read, step, one.timing)
    for one, earlier in zip(measured, before, strict=True):
        later = sizes_of(one.engine)
        grown = {size: count - earlier.get(size, 0) for size, count in later.items()}
        one.sizes = {size: count for size, count in sorted(grown.items()) if count}
    return measured


def sizes_of(engine: Engine) -> dict[int, int]:
    conclusion = engine.conclusion()
    return dict(conclusion.batches_by_size) if conclusion else {}
