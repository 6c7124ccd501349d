"""Resident memory of three real models, with all gears and with the largest alone."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from bench.load.interleave import Progress
from bench.load.models import ROOT
from bench.memory.stages import ALL, ALONE, PLAN

MODELS = ("minilm", "ocr_rec", "ocr_det")
LARGEST = 8  # rows
REPEATS = 3


def measure(quick: bool, progress: Progress) -> list[dict[str, Any]]:
    """One entry a model: bytes by stage of each process, and the plan."""
    results = []
    for name in MODELS[:1] if quick else MODELS:
        taken: dict[str, list[Any]] = {ALL: [], ALONE: []}
        for repeat in range(1 if quick else REPEATS):
            progress(f"memory: {name}: {repeat + 1} of {REPEATS}")
            for what, found in taken.items():
                found.append(_in_a_process(name, what, quick))
        progress(f"memory: {name}: plan")
        plan = _in_a_process(name, PLAN, quick)
        results.append({"model": name, "largest": LARGEST, **taken, PLAN: plan})
    return results


def _in_a_process(name: str, what: str, quick: bool) -> Any:
    arguments = [name, str(LARGEST), what] + ["--quick"] * quick
    return json_of_process("bench.memory.stages", *arguments)


def json_of_process(module: str, *arguments: str) -> Any:
    """What a process that runs this module prints; raises RuntimeError if it fails."""
    command = [sys.executable, "-m", module, *arguments]
    finished = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if finished.returncode != 0:
        raise RuntimeError(f"{' '.join(command[1:])} ended so: {finished.stderr}")
    return json.loads(finished.stdout)
