"""Real models under a crowd: what batching gains where it pays, and costs where it does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dynbatch
from bench.load.contenders import dynbatch_threads, preformed, unbatched
from bench.load.interleave import Scenario
from bench.load.models import real_model
from bench.machine import cpu_count

NAMES = ("ocr_cls", "ocr_rec", "ocr_det", "magika", "minilm")
# A block should see this many rows, within these bounds of its time.
ROWS_PER_BLOCK = 120
SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 3.0


@contextmanager
def crowd(model_name: str, callers: int) -> Iterator[Scenario]:
    """That many threads, each with one row at a time."""
    described, rows = real_model(model_name, 2 * callers)
    workers = cpu_count()
    with ExitStack() as stack:
        started = time.perf_counter()
        # Rows that look like real ones: made-up integers may amplify rounding beyond the tolerance.
        model = stack.enter_context(
            dynbatch.load(
                described.path, dimensions=dict(described.dimensions), verify=described.feeds(3)
            )
        )
        load_seconds = time.perf_counter() - started
        table = model.gears
        best = min(table.gears, key=lambda gear: gear.seconds_per_row)
        from_workers = f"unbatched from {workers} threads"
        yield Scenario(
            name=f"{model_name}_threads",
            title=f"{model_name}, {callers} threads calling run",
            contenders=[
                dynbatch_threads("dynbatch", model, rows, callers),
                unbatched(from_workers, rows, workers, threads=1),
                unbatched(f"unbatched from {callers} threads", rows, callers, threads=1),
                unbatched(f"as written, from {callers} threads", rows, callers, threads=0),
                preformed(f"ready batches of {best.batch_size}", rows, best.batch_size, workers),
            ],
            baselines=[from_workers, f"as written, from {callers} threads"],
            notes={
                "cap": table.cap,
                "load_seconds": load_seconds,
                "seconds_by_gear": {gear.batch_size: gear.seconds for gear in table.gears},
            },
        )


def seconds_per_block(scenario: Scenario) -> float:
    """Long enough for the model, by the times measured at load."""
    times: dict[int, float] = scenario.notes["seconds_by_gear"]
    one_row = min(seconds / size for size, seconds in times.items())
    wanted = ROWS_PER_BLOCK * one_row / cpu_count()
    return min(max(wanted, SHORTEST_SECONDS), LONGEST_SECONDS)
