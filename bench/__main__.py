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
from bench.load import real, small
from bench.load.interleave import Scenario
from bench.load.interleave import measure as measure_scenario
from bench.load.models import ROOT
from bench.micro import programs
from bench.report.page import page

FORMAT = 1
CROWD = 64
REAL_CROWD = 32
BLOCKS, SECONDS = 9, 0.6
QUICK_BLOCKS, QUICK_SECONDS = 2, 0.2

MakeScenario = Callable[[], AbstractContextManager[Scenario]]

SCENARIOS: dict[str, MakeScenario] = {
    "mlp_threads": partial(small.threads, CROWD),
    "mlp_coroutines": partial(small.coroutines, CROWD),
    "mlp_lone": partial(small.lone, "mlp", "MLP 256-1024-256"),
    "one_gemm_lone": partial(small.lone, "one_gemm", "One Gemm 64 by 64"),
    **{f"{name}_threads": partial(real.crowd, name, REAL_CROWD) for name in real.NAMES},
}


def run(names: Sequence[str], micro_folder: Path, quick: bool) -> dict[str, Any]:
    """Measures what is named; the results as they are written."""
    results: dict[str, Any] = {
        "format": FORMAT,
        "quick": quick,
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes"),
        "machine": machine.describe(),
        "load_average_before": os.getloadavg(),
        "scenarios": [],
        "micro": [],
    }
    blocks = QUICK_BLOCKS if quick else BLOCKS
    for name in names:
        if name == "micro":
            continue
        with SCENARIOS[name]() as scenario:
            seconds = QUICK_SECONDS if quick else SECONDS
            if "seconds_by_gear" in scenario.notes:
                seconds = max(seconds, real.seconds_per_block(scenario))
            results["scenarios"].append(measure_scenario(scenario, blocks, seconds, progress))
    if "micro" in names:
        repetitions, seconds = (2, 0.01) if quick else (BLOCKS, 0.1)
        results["micro"] = programs.measure(micro_folder, repetitions, seconds, progress)
    results["load_average_after"] = os.getloadavg()
    return results


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    everything = [*SCENARIOS, "micro"]
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to run: all, or of {', '.join(everything)}"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "bench" / "results.json", help="the results"
    )
    parser.add_argument("--micro", type=Path, default=programs.DEFAULT_FOLDER, help="programs")
    parser.add_argument("--quick", action="store_true", help="shows that it works, measures badly")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(everything)
    if unknown:
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}: expected {everything}")
    results = run(arguments.names or everything, arguments.micro, arguments.quick)
    progress("")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=1))
    print(page(results))
    print(f"Results: {arguments.out}")


if __name__ == "__main__":
    main()
