"""The counted span of a benchmark's loop credits neither work done before it nor more CPU time."""

from __future__ import annotations

import numpy as np
import pytest

from bench.load.span import Moment, Span
from bench.machine import CpuTime, cpu_count

SECOND_NS = 1_000_000_000


def span(start: float, end: float, own_cpu: float = 0.0) -> Span:
    """From one second to another, in which this process used that many seconds of CPU time."""
    cpu, cpu_after = (CpuTime(own, own, 100.0) for own in (0.0, own_cpu))
    return Span(Moment(int(start * SECOND_NS), cpu), Moment(int(end * SECOND_NS), cpu_after))


def test_calls_half_done_when_it_begins_count_by_their_part_within() -> None:
    # One answer a second, each from a whole second to the next: 2.5 seconds hold 2.5 calls,
    # although three answers come in them.
    every_second = np.arange(10) * SECOND_NS
    assert span(0.75, 3.25).calls(every_second) == pytest.approx(2.5)


def test_a_call_longer_than_the_span_counts_by_its_part() -> None:
    assert span(1, 2).calls(np.array([0, 10]) * SECOND_NS) == pytest.approx(0.1)


def test_calls_outside_do_not_count() -> None:
    assert span(5, 6).calls(np.array([0, 1, 2, 5, 6, 9]) * SECOND_NS) == pytest.approx(1)


def test_more_cpu_time_than_there_is_is_refused() -> None:
    assert span(0, 1, own_cpu=cpu_count()).own_cpu_seconds() == cpu_count()
    with pytest.raises(RuntimeError, match="of CPU time in a span"):
        span(0, 1, own_cpu=1.1 * cpu_count()).own_cpu_seconds()
