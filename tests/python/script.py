"""A script in a Python of its own, for what a process does at its end."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap


def run_script(script: str, *arguments: object) -> str:
    """What it prints. It has to end by itself, with nothing to complain about."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout
