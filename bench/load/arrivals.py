"""The MLP under arrivals that do not wait for answers, at shares of what can be answered.

The rate that counts as 1 is what a hand-written asyncio batcher answers in a closed loop whose
requests are tasks of their own, as arrivals are. All contenders get the same arrivals.
"""

from __future__ import annotations

import asyncio
import functools
import operator
import statistics
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import dynbatch
from bench.load.closed_loop import Array, Block, Request, from_coroutines
from bench.load.contenders import Contender, Rows, batches_of, itself, session
from bench.load.interleave import Scenario
from bench.load.models import small_model
from bench.load.open_loop import arrival_times, from_arrivals
from bench.load.small import ASYNCIO, DEFAULT, LARGEST, TITLES, load
from bench.machine import cpu_count
from bench.peers.asyncio_batcher import AsyncioBatcher

SHARES = (0.3, 0.6, 0.9)
DISTINCT_ROWS = 512
CAPACITY_CALLERS = 64
CAPACITY_BLOCKS, CAPACITY_SECONDS = 3, 0.2

Call = Callable[[Any], Awaitable[Any]]


@functools.cache
def capacity() -> float:
    """Rows a second that count as 1; measured once a process, so that all shares mean the same."""
    rows = small_model("mlp", DISTINCT_ROWS)
    model = session(rows.path, threads=1)

    async def block() -> Block:
        batcher = AsyncioBatcher(model, rows.row_shape, max_batch_size=LARGEST, workers=1)

        def as_task(row: Array) -> asyncio.Task[Array]:
            return asyncio.create_task(batcher.infer(row))

        try:
            return await from_coroutines(
                as_task, itself, rows.arrays(), CAPACITY_CALLERS, CAPACITY_SECONDS
            )
        finally:
            batcher.close()

    return statistics.median(asyncio.run(block()).rows_per_second for _ in range(CAPACITY_BLOCKS))


@contextmanager
def arrivals(share: float) -> Iterator[Scenario]:
    """Poisson arrivals at that share of the capacity."""
    rows = small_model("mlp", DISTINCT_ROWS)
    rate = share * capacity()
    with ExitStack() as stack:
        yield Scenario(
            name=f"mlp_arrivals_{round(100 * share)}",
            title=f"{TITLES['mlp']}, Poisson arrivals at {share:g} of what an asyncio batcher "
            f"answers: {rate:,.0f} rows/s",
            contenders=[
                _dynbatch(DEFAULT, load(stack, rows), rows, rate),
                _batcher(f"{ASYNCIO}, 1 worker", rows, rate),
                _unbatched(f"unbatched in {cpu_count()} threads", rows, rate),
            ],
            baselines=[f"{ASYNCIO}, 1 worker"],
            metric="p50_us",
            notes={"arrivals_share": share, "arrivals_per_second": rate},
        )


class _Arrivals:
    """A contender's blocks; the n-th block of each contender has the same arrivals."""

    def __init__(self, requests: list[Request], output: Callable[[Any], Array], rate: float):
        self._requests = requests
        self._output = output
        self._rate = rate
        self._blocks = 0

    async def measure(self, call: Call, seconds: float) -> Block:
        due = arrival_times(self._rate, seconds, seed=self._blocks)
        self._blocks += 1
        return await from_arrivals(call, self._output, self._requests, due)


def _dynbatch(name: str, model: dynbatch.Model, rows: Rows, rate: float) -> Contender:
    coming = _Arrivals(rows.requests(), operator.itemgetter(rows.output), rate)

    def measure(seconds: float) -> Block:
        return asyncio.run(coming.measure(model.infer_async, seconds))

    return Contender(name, 0, measure, functools.partial(batches_of, model))


def _batcher(name: str, rows: Rows, rate: float) -> Contender:
    model = session(rows.path, threads=1)
    coming = _Arrivals(rows.arrays(), itself, rate)
    ran = [0, 0]

    async def block(seconds: float) -> Block:
        batcher = AsyncioBatcher(model, rows.row_shape, max_batch_size=LARGEST, workers=1)
        try:
            return await coming.measure(batcher.infer, seconds)
        finally:
            batcher.close()
            for i, count in enumerate(batcher.batches()):
                ran[i] += count

    return Contender(name, 0, lambda seconds: asyncio.run(block(seconds)), lambda: (ran[0], ran[1]))


def _unbatched(name: str, rows: Rows, rate: float) -> Contender:
    run = functools.partial(session(rows.path, threads=1).run, None)
    coming = _Arrivals(rows.requests(), operator.itemgetter(rows.position), rate)

    async def block(seconds: float) -> Block:
        with ThreadPoolExecutor(cpu_count()) as pool:
            in_pool = functools.partial(asyncio.get_running_loop().run_in_executor, pool, run)
            return await coming.measure(in_pool, seconds)

    return Contender(name, 0, lambda seconds: asyncio.run(block(seconds)))
