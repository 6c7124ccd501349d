"""A benchmark beside a busy Python thread tells how much of its speed that thread kept."""

from __future__ import annotations

import threading
import time

import pytest

from bench.load.busy import ITERATIONS, BusyThread, beside_busy_thread
from bench.load.closed_loop import Block
from bench.load.contenders import Contender

SECOND_NS = 1_000_000_000


def block(span_ns: tuple[int, int]) -> Block:
    return Block(1.0, 1.0, 1.0, 1.0, 0.0, calls=1, checked=1, span_ns=span_ns)


def test_only_rounds_of_the_span_count() -> None:
    busy = BusyThread()
    busy._rounds_ns += [i * SECOND_NS for i in range(1, 11)]
    assert busy.rate(2 * SECOND_NS, 7 * SECOND_NS) == pytest.approx(ITERATIONS)


def test_the_thread_runs_from_before_a_block_to_after_it() -> None:
    threads = threading.active_count()
    seen = []

    def measure(seconds: float) -> Block:
        seen.append(threading.active_count())
        # The time alone is within this span, too, so that there are rounds in it.
        return block((0, time.perf_counter_ns()))

    measured = beside_busy_thread(Contender("one", 1, measure)).measure(0.01)
    assert seen == [threads + 1]
    assert threading.active_count() == threads
    assert measured.busy_kept is not None
    assert measured.busy_kept > 0


def test_the_thread_ends_where_the_block_fails() -> None:
    threads = threading.active_count()

    def measure(seconds: float) -> Block:
        raise OSError("down")

    with pytest.raises(OSError, match="down"):
        beside_busy_thread(Contender("one", 1, measure)).measure(0.01)
    assert threading.active_count() == threads
