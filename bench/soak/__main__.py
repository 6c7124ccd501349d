"""Measures what has bounds: `python -m bench.soak`, from the repository's root.

Each measurement has a process of its own, prints its figures and fails if one is out of its bound.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from bench.soak import closing, poison, resting, waiting
from bench.soak.figure import Figure

MEASUREMENTS: dict[str, Callable[[float], Iterator[Figure]]] = {
    "full_batches": waiting.full_batches,
    "lone_requests": waiting.lone_requests,
    "wakeups": waiting.wakeups,
    "closes": closing.closes,
    "loops": closing.loops,
    "load_and_close": closing.load_and_close,
    "idle_cpu": resting.idle_cpu,
    "memory": resting.memory,
    "shapes": resting.shapes,
    "poison": poison.poison,
}


def measure(name: str, scale: float) -> bool:
    """Prints the figures of one measurement; whether all of them hold."""
    start = time.perf_counter()
    holds = True
    for figure in MEASUREMENTS[name](scale):
        print(figure, flush=True)
        holds = holds and figure.holds
    print(
        f"{name}: {'held' if holds else 'NOT HELD'}, {time.perf_counter() - start:.1f} s, "
        f"load average {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return holds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="as many times the requests")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(MEASUREMENTS)
    if unknown:
        parser.error(f"no measurement is named {', '.join(sorted(unknown))}")
    names = arguments.names or list(MEASUREMENTS)
    if len(names) == 1:
        sys.exit(0 if measure(names[0], arguments.scale) else 1)
    failed = [
        name
        for name in names
        if subprocess.run(
            [sys.executable, "-m", "bench.soak", name, "--scale", str(arguments.scale)], check=False
        ).returncode
        != 0
    ]
    if failed:
        sys.exit(f"not held: {', '.join(failed)}")


if __name__ == "__main__":
    main()
