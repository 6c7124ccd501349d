"""What the figures were taken on, and what else the machine did meanwhile."""

from __future__ import annotations

import os
import platform
import resource
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def cpu_count() -> int:
    return len(os.sched_getaffinity(0))


def describe() -> dict[str, Any]:
    """The machine and the software, as results carry them."""
    return {
        "cpu": _first_field("/proc/cpuinfo", "model name"),
        "cpus": cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "virtual": "hypervisor" in _first_field("/proc/cpuinfo", "flags").split(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: _version_of(name) for name in ("dynbatch", "onnxruntime", "numpy")},
    }


def _first_field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@dataclass(frozen=True)
class CpuTime:
    """Seconds of CPU time since the machine and this process were started."""

    own: float
    busy: float
    total: float

    @classmethod
    def now(cls) -> CpuTime:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        with open("/proc/stat") as file:
            ticks = [int(field) for field in file.readline().split()[1:9]]
        tick = 1 / os.sysconf("SC_CLK_TCK")
        idle = ticks[3] + ticks[4]  # idle and waiting for disks; stolen time is not ours
        total = sum(ticks)
        return cls(usage.ru_utime + usage.ru_stime, (total - idle) * tick, total * tick)

    def foreign_share(self, earlier: CpuTime) -> float:
        """Share of the machine's CPU time that went to others since then."""
        total = self.total - earlier.total
        if total <= 0:
            return 0.0
        return max(0.0, (self.busy - earlier.busy) - (self.own - earlier.own)) / total
