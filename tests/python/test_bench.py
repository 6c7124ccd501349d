"""`python -m bench` finishes, checks the answers of all contenders, and writes what it measured."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import EVERYTHING, MICRO
from bench.report.micro import PART_AIMS, TABLES

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "build" / "dev" / "bench" / "micro"  # the preset that tests are built by


def quick_run(name: str, out: Path) -> tuple[dict[str, Any], str]:
    finished = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", name, "--out", out, "--micro", PROGRAMS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(out.read_text()), finished.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp_threads", "mlp_coroutines", "mlp_lone", "magika_threads"])
def test_a_quick_run_finishes(name: str, tmp_path: Path) -> None:
    results, printed = quick_run(name, tmp_path / "results.json")
    assert [scenario["name"] for scenario in results["scenarios"]] == [name]
    assert results["left_out"] == [other for other in EVERYTHING if other != name]
    for contender in results["scenarios"][0]["contenders"]:
        assert all(block["checked"] > 0 for block in contender["blocks"]), contender["name"]
    assert results["scenarios"][0]["title"] in printed


@pytest.mark.slow
@pytest.mark.skipif(
    not any(PROGRAMS.glob("*_paired")), reason="cmake --build --preset dev has not been run"
)
def test_a_quick_run_of_the_programs_finishes(tmp_path: Path) -> None:
    results, printed = quick_run(MICRO, tmp_path / "results.json")
    measured = results["micro"]["paired"]
    assert {program["program"] for program in measured} == set(TABLES)
    for program in measured:
        assert TABLES[program["program"]].title in printed
        for setting in program["settings"]:
            for contender in setting["contenders"]:
                assert [block["turn"] for block in contender["blocks"]] == [0, 1], contender["name"]
    for name in PART_AIMS:
        assert re.search(rf"^\| {re.escape(name)} \|.*\| at most", printed, re.MULTILINE), name
