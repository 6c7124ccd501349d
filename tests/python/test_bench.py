"""`python -m bench` finishes, checks the answers of all contenders, and writes what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import EVERYTHING

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp_threads", "mlp_coroutines", "mlp_lone", "magika_threads"])
def test_a_quick_run_finishes(name: str, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    finished = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", name, "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    results = json.loads(out.read_text())
    assert [scenario["name"] for scenario in results["scenarios"]] == [name]
    assert results["left_out"] == [other for other in EVERYTHING if other != name]
    for contender in results["scenarios"][0]["contenders"]:
        assert all(block["checked"] > 0 for block in contender["blocks"]), contender["name"]
    assert results["scenarios"][0]["title"] in finished.stdout
