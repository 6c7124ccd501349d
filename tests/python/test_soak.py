"""`python -m bench.soak` runs; what its figures are worth depends on the machine, not on a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.soak.__main__ import MEASUREMENTS
from bench.soak.figure import Figure

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASUREMENTS)
def test_a_short_run_says_whether_bounds_hold(name: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "bench.soak", name, "--scale", "0.01"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.stderr == ""
    held = f"{name}: held" in finished.stdout
    assert held or f"{name}: NOT HELD" in finished.stdout
    assert finished.returncode == (0 if held else 1)


@pytest.mark.parametrize(("value", "holds"), [(0.9, False), (1.0, True), (2.0, True), (2.1, False)])
def test_a_figure_holds_within_its_bounds(value: float, holds: bool) -> None:
    assert Figure("x", value, least=1.0, most=2.0).holds is holds
    assert Figure("x", value).holds
