"""What closing costs, and what it leaves behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import dynbatch
from bench.soak.figure import Figure
from bench.soak.models import ROW, function, native, session
from bench.soak.process import Holdings

CLOSES = 200
REQUESTS_A_CLOSE = 20
LONGEST_CLOSE = 0.05  # seconds, beyond the run that is under way: here none takes any time

LOOPS = 1000
CYCLES = 10_000
PYTHON_CYCLES = 1000
SETTLING = 0.2  # as many cycles before memory is looked at
MOST_GROWTH_MIB = 4.0


def closes(scale: float) -> Iterator[Figure]:
    """Closes with a delay of 1 s, requests waiting and callbacks in flight."""
    for make in (native, function):  # what a process has once is there by now
        with make() as model:
            model.submit(ROW).result()
    before = Holdings.now()
    seconds = []
    calls: Counter[int] = Counter()
    once = 0
    for number in range(max(4, int(CLOSES * scale))):
        make = native if number % 2 else function
        model = make(max_queue_delay=1.0, max_batch_size=32)
        seen = threading.Semaphore(0)

        def call(future: dynbatch.Future, seen: threading.Semaphore = seen) -> None:
            calls[id(future)] += 1
            seen.release()

        futures = [model.submit(ROW) for _ in range(REQUESTS_A_CLOSE)]
        for future in futures:
            future.add_done_callback(call)
        start = time.perf_counter()
        model.close(drain=number % 4 < 2)
        seconds.append(time.perf_counter() - start)
        for _ in futures:
            seen.acquire(timeout=10)
        once += sum(calls.pop(id(future), 0) == 1 for future in futures)
    # The last callback thread ends once it has nothing to do.
    deadline = time.perf_counter() + 5
    while Holdings.now().threads > before.threads and time.perf_counter() < deadline:
        time.sleep(0.01)
    after = Holdings.now()
    median, most = np.quantile(seconds, [0.5, 1]) * 1e3
    yield Figure(f"{len(seconds)} closes, delay 1 s: median", median, "ms")
    yield Figure("... longest", most, "ms", most=LONGEST_CLOSE * 1e3)
    yield Figure("... callbacks that came once", once, least=REQUESTS_A_CLOSE * len(seconds))
    yield Figure("... threads left", after.threads - before.threads, most=0)


def loops(scale: float) -> Iterator[Figure]:
    """asyncio.run again and again on one model."""
    runs = max(10, int(LOOPS * scale))

    with native() as model, function() as batcher:

        async def serve() -> None:
            await asyncio.gather(*(model.infer_async(ROW) for _ in range(4)))
            await asyncio.gather(*(batcher.infer_async(ROW) for _ in range(4)))

        for _ in range(int(runs * SETTLING)):
            asyncio.run(serve())
        before = Holdings.now()
        for _ in range(runs):
            asyncio.run(serve())
        yield from Holdings.now().growth(before, f"asyncio.run {runs} times", most_mib=2)


def load_and_close(scale: float) -> Iterator[Figure]:
    """Models that come and go, each with a few requests; and ONNX Runtime's sessions alone, whose
    own growth is part of the first figure.
    """

    def serve(make: Callable[..., dynbatch.Model | dynbatch.Batcher]) -> None:
        with make(max_batch_size=4, verify=False) as model:
            for future in [model.submit(ROW) for _ in range(3)]:
                future.result()

    def serve_alone() -> None:
        session().run(None, {"x": ROW})

    for name, cycle, count, most_mib in (
        ("native", partial(serve, native), CYCLES, MOST_GROWTH_MIB),
        ("function", partial(serve, function), PYTHON_CYCLES, MOST_GROWTH_MIB),
        ("InferenceSession alone", serve_alone, CYCLES, None),
    ):
        cycles = max(10, int(count * scale))
        for _ in range(int(cycles * SETTLING)):
            cycle()
        before = Holdings.now()
        for _ in range(cycles):
            cycle()
        what = f"{cycles} load-close cycles, {name}"
        yield from Holdings.now().growth(before, what, most_mib)
