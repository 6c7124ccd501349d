"""The counted part of a loop of callers: one span of time for its rate and for its CPU time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.machine import CpuTime, cpu_count

# More CPU time than there is means that the span is wrong. Threads that run meanwhile have their
# time noted with a tick's delay.
MOST_CPU_SHARE = 1.02
CLOCK_TICK_SECONDS = 0.01


@dataclass(frozen=True)
class Moment:
    """A time, and the CPU time by then."""

    ns: int
    cpu: CpuTime

    @classmethod
    def now(cls) -> Moment:
        return cls(time.perf_counter_ns(), CpuTime.now())


@dataclass(frozen=True)
class Span:
    """From one moment to another."""

    start: Moment
    end: Moment

    @property
    def seconds(self) -> float:
        return (self.end.ns - self.start.ns) / 1e9

    def calls(self, finished_ns: np.ndarray[Any, Any]) -> float:
        """Calls of one caller, each by the share of its time that lies within.

        `finished_ns` tells when the caller began, and then when each of its calls was answered.
        """
        begun, done = finished_ns[:-1], finished_ns[1:]
        within = np.minimum(done, self.end.ns) - np.maximum(begun, self.start.ns)
        return float((within.clip(min=0) / (done - begun)).sum())

    def own_cpu_seconds(self) -> float:
        """What this process used; raises RuntimeError if there is not so much."""
        used = self.end.cpu.own - self.start.cpu.own
        most = cpu_count() * (MOST_CPU_SHARE * self.seconds + CLOCK_TICK_SECONDS)
        if used > most:
            raise RuntimeError(
                f"{used:.3f} s of CPU time in a span of {self.seconds:.3f} s: expected at most "
                f"{most:.3f} s on {cpu_count()} CPUs"
            )
        return used
