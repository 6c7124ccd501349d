"""One model in a process of its own: `python -m bench.memory.stages MODEL LARGEST WHAT`.

WHAT is "all" (every gear up to LARGEST), "alone" (that one only) or "plan" (how much of the planned
memory is resident once every block of it has been used). One worker, so that one batch runs at a
time and a request of n rows is a batch of n. Prints JSON.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dynbatch
from bench.load.contenders import Feeds, joined
from bench.load.models import real_model, small_model

RUNS = 10
# Long enough for what is given back after a while.
DOWN_SECONDS, QUICK_DOWN_SECONDS = 3.0, 0.2
STAGES = ("loaded", "gear 1", "largest gear", "gear 1 again")
ALL, ALONE, PLAN = "all", "alone", "plan"


def resident_bytes() -> int:
    """Of this process, once all that can be given back to the system has been."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/smaps_rollup: expected a line that begins with Rss:, got none")


def powers_of_two(largest: int) -> list[int]:
    return [2**i for i in range(largest.bit_length()) if 2**i <= largest]


def use_everything_else() -> None:
    """Loads and asks a tiny model, so that what comes with the first one is not counted."""
    rows = small_model("identity", 1)
    with dynbatch.load(rows.path) as model:
        model.infer(rows.feeds[0])


@contextmanager
def loaded(name: str, rows: list[Feeds], gears: list[int], **options: Any) -> Iterator[Any]:
    described, _ = real_model(name, 1)
    with dynbatch.load(
        described.path,
        dimensions=dict(described.dimensions),
        gears=gears,
        workers=1,
        batching="always",
        verify=joined(rows[:2]),
        **options,
    ) as model:
        yield model


def stages(name: str, rows: list[Feeds], gears: list[int], down_seconds: float) -> dict[str, Any]:
    """Bytes above those before the model was loaded, at each of STAGES."""
    largest = gears[-1]
    full = joined(rows[:largest])
    use_everything_else()
    before = resident_bytes()
    found = []
    with loaded(name, rows, gears) as model:
        found.append(resident_bytes() - before)
        for feeds in (rows[0], full):
            for _ in range(RUNS):
                model.infer(feeds)
            found.append(resident_bytes() - before)
        until = time.monotonic() + down_seconds
        while time.monotonic() < until:
            model.infer(rows[0])
        found.append(resident_bytes() - before)
        sizes = model.stats().batches_by_size
        if sizes[largest] != RUNS:
            raise RuntimeError(
                f"{name}: expected {RUNS} batches of {largest} rows, got {sizes[largest]}"
            )
    return dict(zip(STAGES, found, strict=True))


def planned(name: str, rows: list[Feeds], gears: list[int]) -> dict[str, Any]:
    """The plan, and how much of it is resident after each block has held a full batch."""
    with loaded(name, rows, gears, on_full="wait") as model:
        plan = model.memory_plan()
        blocks = max(plan.batch_blocks, plan.output_blocks)
        # Unread results keep their output blocks, so that each run takes another one.
        waiting = [model.submit(rows[i % len(rows)]) for i in range(blocks * gears[-1])]
        while model.stats().in_flight:
            time.sleep(0.01)
        resident = model.stats().resident_bytes
        for future in waiting:
            future.result()
    return {"planned": plan.total_bytes, "resident": resident}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.memory.stages", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("largest", type=int)
    parser.add_argument("what", choices=(ALL, ALONE, PLAN))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    _, described = real_model(arguments.model, arguments.largest)
    rows = list(described.feeds)
    gears = [arguments.largest] if arguments.what == ALONE else powers_of_two(arguments.largest)
    if arguments.what == PLAN:
        print(json.dumps(planned(arguments.model, rows, gears)))
    else:
        down = QUICK_DOWN_SECONDS if arguments.quick else DOWN_SECONDS
        print(json.dumps(stages(arguments.model, rows, gears, down)))


if __name__ == "__main__":
    main()
