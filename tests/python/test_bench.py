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
from bench.kernels import library
from bench.load import lengths
from bench.report.micro import PART_AIMS, TABLES

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "build" / "dev" / "bench" / "micro"  # the preset that tests are built by


# One of each kind.
SCENARIOS = (
    "mlp_threads",
    "mlp_coroutines",
    "mlp_lone",
    "null_coroutines",
    "mlp_lone_busy",
    "mlp_coroutines_busy",
    "mlp_arrivals_60",
    "ocr_cls_lone_8",
    "magika_threads",
    "voice_activity_threads",
    "ocr_rec_workers",
    "minilm_lengths",
    "ocr_rec_widths",
    "gear_calls",
    "gear_magika_2",
    "gear_ocr_det_160x320",
)
KERNELS = ("gather_equal", "gather_sentences", "gather_lines", "cut_sentences")


def quick_run(name: str, out: Path) -> tuple[dict[str, Any], str]:
    """What it wrote and what it printed."""
    finished = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", name, "--out", out, "--micro", PROGRAMS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    results: dict[str, Any] = json.loads(out.read_text())
    assert results["left_out"] == [other for other in EVERYTHING if other != name]
    return results, finished.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_quick_run_finishes(name: str, tmp_path: Path) -> None:
    results, printed = quick_run(name, tmp_path / "results.json")
    (scenario,) = results["scenarios"]
    assert scenario["name"] == name
    for contender in scenario["contenders"]:
        for block in contender["blocks"]:
            assert block["checked"] > 0, contender["name"]
            assert ("busy_kept" in block) == name.endswith("_busy")
    assert scenario["title"] in printed


@pytest.mark.slow
def test_padding_is_told_of_all_that_may_pad(tmp_path: Path) -> None:
    results, printed = quick_run("minilm_lengths", tmp_path / "results.json")
    (scenario,) = results["scenarios"]
    told = {c["name"] for c in scenario["contenders"] if "padding" in c["blocks"][0]}
    assert told == {lengths.DEFAULT, lengths.LONGEST, lengths.OLDEST, lengths.SORTED}
    assert "| padding |" in printed


@pytest.mark.slow
@pytest.mark.skipif(
    not (PROGRAMS / library.NAME).exists(), reason="cmake --build --preset dev has not been run"
)
@pytest.mark.parametrize("name", KERNELS)
def test_a_quick_run_of_the_kernels_finishes(name: str, tmp_path: Path) -> None:
    results, printed = quick_run(name, tmp_path / "results.json")
    (scenario,) = results["scenarios"]
    for contender in scenario["contenders"]:
        assert all(block["checked"] > 0 for block in contender["blocks"]), contender["name"]
    assert "GB/s" in printed


@pytest.mark.slow
def test_memory_is_that_of_the_sizes_asked_for(tmp_path: Path) -> None:
    results, printed = quick_run("memory", tmp_path / "results.json")
    (entry,) = results["memory"]
    for stages in (*entry["all"], *entry["alone"]):
        # The weights alone are more.
        assert min(stages.values()) > 30 * 2**20
    # Every block that is planned has been written, and nothing else is counted.
    assert 0 < entry["plan"]["resident"] <= entry["plan"]["planned"]
    assert "### Resident memory" in printed


@pytest.mark.slow
def test_memory_of_compiled_gears_is_that_of_a_model(tmp_path: Path) -> None:
    results, printed = quick_run("gear_memory", tmp_path / "results.json")
    (entry,) = results["gear_memory"]
    for stages in (*entry["all"], *entry["alone"]):
        assert 0 < stages["loaded"] < stages["largest gear"]
    assert "Resident memory:" in printed


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
