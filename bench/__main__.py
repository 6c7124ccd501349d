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
from bench.report.page import FORMAT, page

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
MICRO = "micro"
EVERYTHING = (*SCENARIOS, MICRO)


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
        "micro": None,
    }
    for name in names:
        if name == MICRO:
            results["micro"] = programs.measure(micro_folder, quick, progress)
        else:
            results["scenarios"].append(_load(name, quick))
        results["left_out"].remove(name)
        results["load_average_after"] = os.getloadavg()
        write(results)
    return results


def _load(name: str, quick: bool) -> dict[str, Any]:
    blocks, seconds = (QUICK_BLOCKS, QUICK_SECONDS) if quick else (BLOCKS, SECONDS)
    with SCENARIOS[name]() as scenario:
        if "seconds_by_gear" in scenario.notes:
            seconds = max(seconds, real.seconds_per_block(scenario))
        return measure_scenario(scenario, blocks, seconds, progress)


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
