"""Resident memory of all gears of a model, beside that of the largest alone.

`python -m bench.gears.memory MODEL FILE WHAT` runs the file's gears in a process of its own, the
largest last, and prints JSON. WHAT is "all", or "alone": a file with the largest gear only.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import dynbatch
from bench.gears.models import GEARS, GearedModel, gear_name, gear_setter
from bench.load.interleave import Progress
from bench.load.models import SMALL_MODELS, existing
from bench.memory.compare import json_of_process
from bench.memory.stages import ALL, ALONE, RUNS, resident_bytes

REPEATS = 5
STAGES = ("loaded", "largest gear")


def measure(quick: bool, progress: Progress) -> list[dict[str, Any]]:
    """One entry a model: bytes by stage of each process, in turns."""
    results = []
    for name in list(GEARS)[:1] if quick else GEARS:
        model = GearedModel.named(name)
        taken: dict[str, list[Any]] = {ALL: [], ALONE: []}
        with tempfile.TemporaryDirectory() as folder:
            files = {
                ALL: model.compiled(Path(folder)),
                ALONE: model.compiled_fixed(model.gears[-1], Path(folder)),
            }
            for repeat in range(1 if quick else REPEATS):
                progress(f"gear_memory: {name}: {repeat + 1} of {REPEATS}")
                for what, file in files.items():
                    found = json_of_process("bench.gears.memory", name, str(file), what)
                    taken[what].append(found)
        gears = [gear_name(gear) for gear in model.gears]
        results.append({"model": name, "gears": gears, **taken})
    return results


def stages(name: str, file: Path, what: str) -> dict[str, int]:
    """Bytes above those before the model was loaded, at each of STAGES."""
    model = GearedModel.named(name)
    gears = model.gears if what == ALL else model.gears[-1:]
    feeds = {gear: model.feeds(gear) for gear in gears}
    _use_everything_else()
    before = resident_bytes()
    geared = dynbatch.GearModel(file)
    found = [resident_bytes() - before]
    set_gear = gear_setter(geared, gears[0])
    for gear, fed in feeds.items():
        if len(gears) > 1:
            set_gear(*gear)
        for _ in range(RUNS):
            geared.execute(fed)
    found.append(resident_bytes() - before)
    return dict(zip(STAGES, found, strict=True))


def _use_everything_else() -> None:
    """Runs a tiny model, so that what comes with the first one is not counted."""
    tiny = dynbatch.GearModel(existing(SMALL_MODELS / "identity.onnx"), gears=[1])
    tiny.execute(np.zeros((1, 16), np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gears.memory", description=__doc__)
    parser.add_argument("model", choices=GEARS)
    parser.add_argument("file", type=Path)
    parser.add_argument("what", choices=(ALL, ALONE))
    arguments = parser.parse_args()
    print(json.dumps(stages(arguments.model, arguments.file, arguments.what)))


if __name__ == "__main__":
    main()
