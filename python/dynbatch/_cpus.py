"""How many CPUs this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path


def available_cpus() -> int:
    """CPUs of the affinity mask, or fewer where a control group has a quota."""
    return max(1, min(len(os.sched_getaffinity(0)), _quota()))


def _quota() -> int:
    try:  # version 2: "max 100000" or "150000 100000"
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:  # version 1
            folder = Path("/sys/fs/cgroup/cpu")
            limit = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except OSError:
            return 1 << 16
    if limit == "max" or int(limit) <= 0:
        return 1 << 16
    return math.ceil(int(limit) / int(period))
