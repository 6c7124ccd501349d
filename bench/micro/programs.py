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
from bench.load.models import ROOT, SMALL_MODELS, existing, real_model

DEFAULT_FOLDER = ROOT / "build" / "release" / "bench" / "micro"


def measure(folder: Path, quick: bool, progress: Progress) -> dict[str, Any]:
    """`parts`: of each benchmark, nanoseconds an item of each repetition, interleaved at random by
    Google Benchmark. `paired`: of each program and setting, the blocks of its contenders.
    """
    parts, paired = sorted(folder.glob("*_bench")), sorted(folder.glob("*_paired"))
    if not parts or not paired:
        raise FileNotFoundError(
            f"{folder}: no *_bench or no *_paired program is there; `cmake --preset release` and "
            "`cmake --build --preset release --target micro_benchmarks` build them"
        )
    results: dict[str, Any] = {"parts": [], "paired": []}
    for program in parts:
        progress(f"micro: {program.name}")
        results["parts"] += _repetitions(program, *((2, 0.01) if quick else (9, 0.1)))
    for program in paired:
        progress(f"micro: {program.name}")
        blocks, seconds = (2, 0.02) if quick else (9, 0.3)
        output = _run(program, f"--blocks={blocks}", f"--seconds={seconds}")
        results["paired"].append({"program": program.name, "settings": _settings(output)})
    return results


def _settings(output: str) -> list[dict[str, Any]]:
    """One entry a setting, in the form of a scenario, from one line of JSON a block."""
    settings: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for line in output.splitlines():
        block = json.loads(line)
        contenders = settings.setdefault(block.pop("setting"), {})
        contenders.setdefault(block.pop("contender"), []).append(block)
    return [
        {
            "setting": setting,
            "contenders": [
                {"name": name, "blocks": sorted(blocks, key=lambda block: block["turn"])}
                for name, blocks in contenders.items()
            ],
        }
        for setting, contenders in settings.items()
    ]


def _repetitions(program: Path, repetitions: int, seconds: float) -> list[Any]:
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        _run(
            program,
            f"--benchmark_repetitions={repetitions}",
            f"--benchmark_min_time={seconds}",
            "--benchmark_enable_random_interleaving=true",
            f"--benchmark_out={out.name}",
            "--benchmark_out_format=json",
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


def _run(program: Path, *arguments: str) -> str:
    """What it prints; raises RuntimeError if it fails."""
    finished = subprocess.run(
        [program, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={"DYNBATCH_ORT_LIB": _onnxruntime_library(), **os.environ, **_models()},
    )
    if finished.returncode != 0:
        raise RuntimeError(f"{program.name} ended with {finished.returncode}: {finished.stderr}")
    return finished.stdout


def _models() -> dict[str, str]:
    """Where the models of model_path.hpp are."""
    paths = {name: SMALL_MODELS / f"{name}.onnx" for name in ("one_gemm", "mlp")}
    paths["ocr_cls"] = real_model("ocr_cls", 1)[0].path
    return {f"DYNBATCH_BENCH_{name.upper()}": str(existing(path)) for name, path in paths.items()}


def _onnxruntime_library() -> str:
    """The library of the Python package, so that both kinds of figures are of the same one."""
    libraries = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    return str(libraries[0]) if libraries else ""
