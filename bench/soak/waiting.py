"""When batches start: full ones at once, lone rows when their delay is over; and who is woken."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

import dynbatch
from bench.soak.figure import Figure
from bench.soak.models import ROW, Array, function, native

FULL_BATCHES = 20_000
ROWS_A_BATCH = 8
THREADS = 4
LOOK_AHEAD = 64  # more than a batch, so that nobody waits for rows of one that is not full

LONE_REQUESTS = 100
DELAY = 0.05
LATEST_START = 0.06

SATURATED_BATCHES = 200
RUN_SECONDS = 0.003
STRAY_WAKEUPS = 3  # an empty queue while the machine gave the submitting thread no time


def full_batches(scale: float) -> Iterator[Figure]:
    """Full batches with a delay of 1 s: none of them waits."""
    batches = max(THREADS, int(FULL_BATCHES * scale)) // THREADS * THREADS
    with native(max_batch_size=ROWS_A_BATCH, max_queue_delay=1.0, on_full="wait") as model:

        def submit() -> None:
            pending: deque[dynbatch.Future] = deque()
            for _ in range(batches * ROWS_A_BATCH // THREADS):
                pending.append(model.submit(ROW))
                if len(pending) == LOOK_AHEAD:
                    pending.popleft().result()
            for future in pending:
                future.result()

        start = time.perf_counter()
        threads = [threading.Thread(target=submit) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        stats = model.stats()
    yield Figure("full batches, delay 1 s: batches", stats.batches, most=batches, least=batches)
    yield Figure("... closed because they were full", stats.closed_full, least=batches)
    yield Figure("... closed by the delay", stats.closed_delay, most=0)
    yield Figure("... seconds for all of them", seconds, "s")


def lone_requests(scale: float) -> Iterator[Figure]:
    """Requests at any phase of a delay of 50 ms: each starts 50 to 60 ms after it came. Between
    them this thread waits as long by itself: what that takes too long is the machine's.
    """
    started: list[float] = []

    def stamp(x: Array) -> Array:
        started.append(time.perf_counter())
        return x

    waits = []
    plain_waits = []
    nothing = threading.Event()
    pause = random.Random(1)
    with function(stamp, max_queue_delay=DELAY) as batcher:
        started.clear()
        for _ in range(max(5, int(LONE_REQUESTS * scale))):
            time.sleep(2 * DELAY * pause.random())
            arrived = time.perf_counter()
            batcher.submit(ROW).result()
            waits.append(started.pop() - arrived)
            arrived = time.perf_counter()
            nothing.wait(DELAY)
            plain_waits.append(time.perf_counter() - arrived)
    least, median, most = np.quantile(waits, [0, 0.5, 1]) * 1e3
    yield Figure("lone request, delay 50 ms: earliest start", least, "ms", least=DELAY * 1e3)
    yield Figure("... median", median, "ms")
    yield Figure("... latest start", most, "ms", most=LATEST_START * 1e3)
    yield Figure("... latest end of a plain wait of 50 ms", max(plain_waits) * 1e3, "ms")


def wakeups(scale: float) -> Iterator[Figure]:
    """A worker that always has work is woken by nobody, whatever is asked of the queue."""
    plain = {"queue_capacity": 1024}
    bounded = {"queue_capacity": 8 * ROWS_A_BATCH}
    batches = max(10, int(SATURATED_BATCHES * scale))
    for name, options, timeout in (
        ("no option", plain, None),
        ("a bounded queue", bounded, None),
        ("deadlines", plain, 60.0),
        ("a delay of 1 s", {**plain, "max_queue_delay": 1.0}, None),
    ):
        woken = _wakeups_of_a_saturated_run(batches, timeout, options)
        yield Figure(
            f"wake-ups in {batches} batches of a saturated run, {name}", woken, most=STRAY_WAKEUPS
        )


def _wakeups_of_a_saturated_run(
    batches: int, timeout: float | None, options: dict[str, Any]
) -> int:
    running = threading.Event()

    def run(x: Array) -> Array:
        if armed:
            running.set()
            time.sleep(RUN_SECONDS)
        return x

    armed: list[bool] = []
    eight = np.repeat(ROW, ROWS_A_BATCH, axis=0)
    with function(run, max_batch_size=ROWS_A_BATCH, on_full="wait", **options) as batcher:
        armed.append(True)
        # Callers that fill a batch each; four of them wait at any time.
        counts = [batches // 8] * 8

        def call(count: int) -> None:
            for _ in range(count):
                batcher.infer(eight, timeout=timeout)

        threads = [threading.Thread(target=call, args=(count,)) for count in counts]
        for thread in threads:
            thread.start()
        running.wait()
        before = batcher.stats().worker_wakeups
        for thread in threads:
            thread.join()
        return batcher.stats().worker_wakeups - before
