"""Real models: what batching gains where it pays, and costs where it does not or nobody is there.

The voice activity model is a test model, made like real ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import dynbatch
from bench.load.contenders import Feeds, Rows, dynbatch_threads, joined, preformed, unbatched
from bench.load.interleave import Aim, Scenario
from bench.load.models import real_model, small_model
from bench.machine import cpu_count

NAMES = ("ocr_cls", "ocr_rec", "ocr_det", "magika", "minilm")
VOICE = "voice_activity"
LONE_ROWS = (1, 8)
ROW_COUNT, LONE_ROW_COUNT = 64, 32  # distinct rows
# A block should see this many rows, within these bounds of its time.
ROWS_PER_BLOCK = 120
SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 3.0
EXAMPLE_ROWS = 3
DEFAULT = "dynbatch"
AS_WRITTEN = "InferenceSession.run"


def _rows(model_name: str, count: int) -> tuple[Rows, Mapping[str | tuple[str, int], int]]:
    """Distinct rows of a model, and what its free dimensions are bound to."""
    if model_name == VOICE:
        return small_model(model_name, count), {}
    described, rows = real_model(model_name, count)
    return rows, described.dimensions


def _load(
    rows: Rows, dimensions: Mapping[str | tuple[str, int], int], **options: Any
) -> dynbatch.Model:
    # Rows that look like real ones: made-up integers may amplify rounding beyond the tolerance.
    examples: Feeds = joined(rows.feeds[:EXAMPLE_ROWS])
    return dynbatch.load(rows.path, dimensions=dict(dimensions), verify=examples, **options)


def _seconds_by_gear(model: dynbatch.Model) -> dict[int, float]:
    return {gear.batch_size: gear.seconds for gear in model.gears.gears}


@contextmanager
def crowd(model_name: str, callers: int, **options: Any) -> Iterator[Scenario]:
    """That many threads, each with one row at a time."""
    rows, dimensions = _rows(model_name, ROW_COUNT)
    workers = cpu_count()
    with ExitStack() as stack:
        started = time.perf_counter()
        model = stack.enter_context(_load(rows, dimensions, **options))
        load_seconds = time.perf_counter() - started
        times = _seconds_by_gear(model)
        best = min(times, key=lambda size: times[size] / size)
        from_workers = f"unbatched from {workers} threads"
        as_written = f"as written, from {callers} threads"
        contenders = [
            dynbatch_threads(DEFAULT, model, rows, callers),
            unbatched(from_workers, rows, workers, threads=1),
            unbatched(as_written, rows, callers, threads=0),
        ]
        baselines = [from_workers]
        if best > 1:
            fixed = f"fixed batches of {best} from {workers} threads"
            contenders.append(unbatched(fixed, rows.grouped(best, workers), workers, threads=1))
            baselines.append(fixed)
        contenders.append(preformed(f"ready batches of {best}", rows, best, workers))
        yield Scenario(
            name=f"{model_name}_threads",
            title=f"{model_name}, {callers} threads calling run",
            contenders=contenders,
            baselines=[*baselines, as_written],
            aims=[Aim(DEFAULT, baselines, asked=0.97)],
            notes={
                "cap": model.gears.cap,
                "load_seconds": load_seconds,
                "seconds_by_gear": times,
                "rows_wanted": ROWS_PER_BLOCK,
                "runs_at_once": workers,
            },
        )


@contextmanager
def lone(model_name: str, size: int, **options: Any) -> Iterator[Scenario]:
    """One caller that nobody keeps company, with that many rows a request."""
    single, dimensions = _rows(model_name, LONE_ROW_COUNT)
    rows = single.grouped(size, 1)
    with _load(single, dimensions, **options) as model:
        yield Scenario(
            name=f"{model_name}_lone_{size}",
            title=f"{model_name}, a lone caller with {size} row{'s' * (size > 1)} a request",
            contenders=[
                dynbatch_threads(DEFAULT, model, rows, 1),
                unbatched(AS_WRITTEN, rows, 1, threads=0),
            ],
            baselines=[AS_WRITTEN],
            metric="p50_us",
            aims=[Aim(DEFAULT, [AS_WRITTEN], asked=1.05, metric="p50_us")],
        )


@contextmanager
def two_workers(model_name: str, callers: int, **options: Any) -> Iterator[Scenario]:
    """Two workers against one where computing is all, beside what plain sessions gain by it."""
    rows, dimensions = _rows(model_name, ROW_COUNT)
    with ExitStack() as stack:
        models = {
            n: stack.enter_context(_load(rows, dimensions, workers=n, **options)) for n in (1, 2)
        }
        names = {1: "dynbatch, 1 worker", 2: "dynbatch, 2 workers"}
        plain = {1: "unbatched from 1 thread", 2: "unbatched from 2 threads"}
        yield Scenario(
            name=f"{model_name}_workers",
            title=f"{model_name}, two workers against one, {callers} threads calling run",
            contenders=[
                *(dynbatch_threads(names[n], models[n], rows, callers) for n in (1, 2)),
                *(unbatched(plain[n], rows, n, threads=1) for n in (1, 2)),
            ],
            baselines=[names[1], plain[1]],
            aims=[Aim(names[2], [names[1]], asked=1.9)],
            notes={
                "cap": models[2].gears.cap,
                "seconds_by_gear": _seconds_by_gear(models[2]),
                "rows_wanted": ROWS_PER_BLOCK,
                "runs_at_once": 2,
            },
        )


def seconds_per_block(scenario: Scenario) -> float:
    """What a scenario asks for, or long enough for a crowd's model; 0 for other scenarios."""
    notes = scenario.notes
    if "seconds_per_block" in notes:
        return float(notes["seconds_per_block"])
    if "seconds_by_gear" not in notes:
        return 0.0
    times: dict[int, float] = notes["seconds_by_gear"]
    one_row = min(seconds / size for size, seconds in times.items())
    wanted = float(notes["rows_wanted"] * one_row / notes["runs_at_once"])
    return min(max(wanted, SHORTEST_SECONDS), LONGEST_SECONDS)
