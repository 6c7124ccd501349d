"""What this process holds: memory, threads, descriptors; and what it spends."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.soak.figure import Figure

MIB = 2**20


@dataclass(frozen=True)
class Holdings:
    """Threads include those of C++."""

    resident_bytes: int
    threads: int
    descriptors: int

    @classmethod
    def now(cls) -> Holdings:
        gc.collect()
        with open("/proc/self/statm") as file:
            pages = int(file.readline().split()[1])
        return cls(
            pages * os.sysconf("SC_PAGE_SIZE"),
            len(os.listdir("/proc/self/task")),
            len(os.listdir("/proc/self/fd")),
        )

    def growth(self, before: Holdings, what: str, most_mib: float | None) -> Iterator[Figure]:
        """What is held now and was not before; no thread and no descriptor may be."""
        grown = (self.resident_bytes - before.resident_bytes) / MIB
        yield Figure(f"{what}: resident memory", self.resident_bytes / MIB, "MiB")
        yield Figure(f"{what}: growth", grown, "MiB", most=most_mib)
        yield Figure(f"{what}: threads left", self.threads - before.threads, most=0)
        yield Figure(f"{what}: descriptors left", self.descriptors - before.descriptors, most=0)


def share_of_cpu(seconds: float) -> float:
    """CPU time of this process while this thread sleeps, in percent of one CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    return 100 * (time.process_time() - cpu) / (time.perf_counter() - wall)


@contextlib.contextmanager
def silent_errors() -> Iterator[None]:
    """Keeps what ONNX Runtime writes about each failed run off the terminal."""
    saved = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
