"""Runs all benchmarks and writes their results: `python -m bench`, from the repository's root."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from bench import machine
from bench.gears import calls, times
from bench.gears import memory as gear_memory
from bench.kernels import rows as kernels
from bench.load import arrivals, lengths, real, set_size, small
from bench.load.interleave import Scenario
from bench.load.interleave import measure as measure_scenario
from bench.load.models import ROOT
from bench.memory import compare
from bench.micro import programs
from bench.report.page import FORMAT, page

CROWD = 64
REAL_CROWD, QUICK_REAL_CROWD = 32, 4
QUICK_LARGEST = 8  # rows of a batch of real models, whose loading takes most of a quick run
BLOCKS, SECONDS = 7, 0.6
QUICK_BLOCKS, QUICK_SECONDS = 2, 0.2

MakeScenario = Callable[[], AbstractContextManager[Scenario]]


def scenarios(quick: bool, programs_folder: Path) -> dict[str, MakeScenario]:
    """All of them by name; the kernels' are in the folder of the programs."""
    real_crowd = QUICK_REAL_CROWD if quick else REAL_CROWD
    options = {"max_batch_size": QUICK_LARGEST} if quick else {}
    return {
        "mlp_threads": partial(small.threads, CROWD),
        "mlp_coroutines": partial(small.coroutines, CROWD),
        "null_threads": partial(small.null_threads, CROWD),
        "null_coroutines": partial(small.null_coroutines, CROWD),
        "mlp_lone": partial(small.lone, "mlp"),
        "one_gemm_lone": partial(small.lone, "one_gemm"),
        "mlp_lone_busy": small.busy_lone,
        "mlp_threads_busy": partial(small.busy_threads, CROWD),
        "mlp_coroutines_busy": partial(small.busy_coroutines, CROWD),
        **{
            f"mlp_arrivals_{round(100 * share)}": partial(arrivals.arrivals, share)
            for share in arrivals.SHARES
        },
        **{
            f"{name}_lone_{size}": partial(real.lone, name, size, **options)
            for name in real.NAMES
            for size in real.LONE_ROWS
        },
        **{
            f"{name}_threads": partial(real.crowd, name, real_crowd, **options)
            for name in (real.VOICE, *real.NAMES)
        },
        **{
            name: partial(lengths.minilm, name, real_crowd, **options)
            for name in lengths.DISTRIBUTIONS
        },
        "ocr_rec_widths": partial(lengths.ocr_rec, "ocr_rec_widths", real_crowd, **options),
        "set_size": partial(set_size.set_size, real_crowd),
        "ocr_rec_workers": partial(real.two_workers, "ocr_rec", real_crowd // 2, **options),
        "gear_calls": calls.gear_calls,
        **{name: partial(times.gear, name, model, gear) for name, model, gear in times.names()},
        **{
            make.__name__: partial(make, programs_folder)
            for make in (
                kernels.gather_equal,
                kernels.gather_sentences,
                kernels.gather_lines,
                kernels.cut_sentences,
            )
        },
    }


MEMORY = "memory"
GEAR_MEMORY = "gear_memory"
MICRO = "micro"
EVERYTHING = (
    *scenarios(quick=False, programs_folder=programs.DEFAULT_FOLDER),
    MEMORY,
    GEAR_MEMORY,
    MICRO,
)


def run(
    names: Sequence[str], micro_folder: Path, quick: bool, write: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Measures what is named; the results, which are also given to `write` after each benchmark."""
    results: dict[str, Any] = {
        "format": FORMAT,
        "quick": quick,
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes"),
        "machine": machine.describe(),
        "load_average_before": os.getloadavg(),
        "left_out": list(EVERYTHING),
        "scenarios": [],
        "memory": [],
        "gear_memory": [],
        "micro": None,
    }
    for name in names:
        if name == MICRO:
            results["micro"] = programs.measure(micro_folder, quick, progress)
        elif name == MEMORY:
            results["memory"] = compare.measure(quick, progress)
        elif name == GEAR_MEMORY:
            results["gear_memory"] = gear_memory.measure(quick, progress)
        else:
            results["scenarios"].append(_load(name, micro_folder, quick))
        results["left_out"].remove(name)
        results["load_average_after"] = os.getloadavg()
        write(results)
    return results


def _load(name: str, micro_folder: Path, quick: bool) -> dict[str, Any]:
    with scenarios(quick, micro_folder)[name]() as scenario:
        if quick:
            return measure_scenario(scenario, QUICK_BLOCKS, QUICK_SECONDS, progress)
        seconds = max(SECONDS, real.seconds_per_block(scenario))
        return measure_scenario(scenario, BLOCKS, seconds, progress)


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to run: all, or of {', '.join(EVERYTHING)}"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "bench" / "results.json", help="the results"
    )
    parser.add_argument("--micro", type=Path, default=programs.DEFAULT_FOLDER, help="programs")
    parser.add_argument("--quick", action="store_true", help="shows that it works, measures badly")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(EVERYTHING)
    if unknown:
        parser.error(
            f"no benchmark is named {', '.join(sorted(unknown))}: expected {', '.join(EVERYTHING)}"
        )

    def write(results: dict[str, Any]) -> None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(results, indent=1))

    names = [name for name in EVERYTHING if name in (arguments.names or EVERYTHING)]
    results = run(names, arguments.micro, arguments.quick, write)
    progress("")
    print(page(results))
    print(f"Results: {arguments.out}")


if __name__ == "__main__":
    main()
