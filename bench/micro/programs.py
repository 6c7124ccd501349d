"""Runs the programs of this folder, built by the release preset, and reads what they measured."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import onnxruntime

from bench.load.interleave import Progress
from bench.load.models import ROOT, SMALL_MODELS

DEFAULT_FOLDER = ROOT / "build" / "release" / "bench" / "micro"


def measure(folder: Path, repetitions: int, seconds: float, progress: Progress) -> list[Any]:
    """One entry a benchmark: nanoseconds an item of each repetition.

    Repetitions of one program are interleaved at random, by Google Benchmark.
    """
    programs = sorted(folder.glob("*_bench"))
    if not programs:
        raise FileNotFoundError(
            f"{folder}: no *_bench program is there; `cmake --preset release` and "
            "`cmake --build --preset release` build them"
        )
    results = []
    for program in programs:
        progress(f"micro: {program.name}")
        results += _run(program, repetitions, seconds)
    return results


def _run(program: Path, repetitions: int, seconds: float) -> list[Any]:
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        finished = subprocess.run(
            [
                program,
                f"--benchmark_repetitions={repetitions}",
                f"--benchmark_min_time={seconds}",
                "--benchmark_enable_random_interleaving=true",
                f"--benchmark_out={out.name}",
                "--benchmark_out_format=json",
            ],
            check=False,
            capture_output=True,
            text=True,
            env={
                "DYNBATCH_ORT_LIB": _onnxruntime_library(),
                **os.environ,
                "DYNBATCH_BENCH_MODELS": str(SMALL_MODELS),
            },
        )
        if finished.returncode != 0:
            raise RuntimeError(
                f"{program.name} ended with {finished.returncode}: {finished.stderr}"
            )
        measured = json.loads(Path(out.name).read_text())
    times = defaultdict(list)
    for run in measured["benchmarks"]:
        if run.get("error_occurred"):
            raise RuntimeError(f"{program.name}: {run['name']}: {run['error_message']}")
        if run["run_type"] == "iteration":
            times[run["run_name"]].append(1e9 / run["items_per_second"])
    return [
        {
            "program": program.name,
            "name": name,
            "ns_per_item": values,
            "median_ns": statistics.median(values),
        }
        for name, values in times.items()
    ]


def _onnxruntime_library() -> str:
    """The library of the Python package, so that both kinds of figures are of the same one."""
    libraries = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    return str(libraries[0]) if libraries else ""
