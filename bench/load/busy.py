"""A Python thread that computes all the while, as an application's own work does."""

from __future__ import annotations

import bisect
import dataclasses
import threading
import time
from types import TracebackType

from bench.load.closed_loop import Block
from bench.load.contenders import Contender

# One round is some 20 us of pure Python, much shorter than any span.
ITERATIONS = 1000
ALONE_SHARE = 0.25  # of a block's time; more where that is too short for some rounds
LEAST_ROUNDS_ALONE = 10
LOOK_AGAIN_SECONDS = 0.01


class BusyThread:
    """Spins in pure Python from `with` to its end, and notes when each round was done."""

    def __init__(self) -> None:
        self._rounds_ns: list[int] = []
        self._stop = False
        self._thread = threading.Thread(target=self._spin)

    def __enter__(self) -> BusyThread:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop = True
        self._thread.join()

    def rounds(self) -> int:
        """How many have been done so far."""
        return len(self._rounds_ns)

    def rate(self, start_ns: int, end_ns: int) -> float:
        """Iterations a second between two times of `perf_counter_ns`."""
        rounds = self._rounds_ns
        count = bisect.bisect_right(rounds, end_ns) - bisect.bisect_right(rounds, start_ns)
        return count * ITERATIONS * 1e9 / (end_ns - start_ns)

    def _spin(self) -> None:
        note, clock = self._rounds_ns.append, time.perf_counter_ns
        while not self._stop:
            for _ in range(ITERATIONS):
                pass
            note(clock())


def beside_busy_thread(contender: Contender) -> Contender:
    """The same with a busy thread from before each block to after it.

    What that thread keeps of its speed is measured by itself alone just before, since the machine's
    own speed changes.
    """

    def measure(seconds: float) -> Block:
        with BusyThread() as busy:
            start_ns = time.perf_counter_ns()
            time.sleep(seconds * ALONE_SHARE)
            while busy.rounds() < LEAST_ROUNDS_ALONE:
                time.sleep(LOOK_AGAIN_SECONDS)
            alone = busy.rate(start_ns, time.perf_counter_ns())
            block = contender.measure(seconds)
        return dataclasses.replace(block, busy_kept=busy.rate(*block.span_ns) / alone)

    return dataclasses.replace(contender, measure=measure)
