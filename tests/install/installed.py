"""Environments and programs that stand on an installed dynbatch, away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MLP = ROOT / "build/models/small/mlp.onnx"


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command and return what it prints; a failure shows all that it said.

    Tools are those of this environment before the machine's, unless `env` says otherwise.
    """
    if env is None:
        tools = Path(sys.executable).parent
        env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    words = [str(part) for part in command]
    result = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        said = f"{result.stdout}\n{result.stderr}"
        pytest.fail(f"{' '.join(words)}\nexit {result.returncode}\n{said}")
    return result.stdout


@dataclass(frozen=True)
class Environment:
    """A virtual environment in which the wheel is installed and nothing else of this checkout."""

    folder: Path
    elsewhere: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    def run(self, *arguments: str | Path) -> str:
        """Run its Python far from the checkout, with no compiler or other tool within reach."""
        env = {"PATH": str(self.folder / "bin"), "HOME": str(self.elsewhere)}
        return run(self.python, *arguments, cwd=self.elsewhere, env=env)

    def onnxruntime_library(self) -> Path:
        site = Path(
            self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        )
        (library,) = (site / "onnxruntime/capi").glob("libonnxruntime.so.*")
        return library


def build_examples(build: Path, *options: str, folder: str = "cpp") -> Path:
    """Configure and build a folder of examples as a project of its own."""
    source = ROOT / "examples" / folder
    run("cmake", "-S", source, "-B", build, "-DCMAKE_BUILD_TYPE=Release", *options)
    run("cmake", "--build", build)
    return build


def run_example(program: Path, *arguments: str | Path, library: Path) -> str:
    return run(program, *arguments, env={**os.environ, "DYNBATCH_ORT_LIB": str(library)})
