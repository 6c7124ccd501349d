"""examples/cpp builds and runs against an install prefix and against the wheel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from installed import MLP, Environment, build_examples, run, run_example

# Whichever test comes first compiles the whole package.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def run_both_examples(build: Path, library: Path) -> None:
    assert run_example(build / "quickstart", MLP, library=library).strip()
    assert run_example(build / "custom_executor", library=library).strip()


def test_examples_build_against_an_install_prefix(
    prefix: Path, environment: Environment, tmp_path: Path
) -> None:
    build = build_examples(tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}")
    run_both_examples(build, environment.onnxruntime_library())


def test_examples_build_against_the_wheel(environment: Environment, tmp_path: Path) -> None:
    cmake_dir = environment.run("-m", "dynbatch", "--cmakedir").strip()
    build = build_examples(tmp_path, f"-Ddynbatch_DIR={cmake_dir}")
    run_both_examples(build, environment.onnxruntime_library())


def test_only_names_of_dynbatch_are_exported(prefix: Path) -> None:
    printed = run("nm", "--dynamic", "--defined-only", "--demangle", prefix / "lib/libdynbatch.so")
    # Weak symbols of the standard library are instantiated by whoever uses a template.
    strong = [line.split(" ", 2) for line in printed.splitlines() if " W " not in line]
    ours = re.compile(
        r"^(?:(?:vtable|typeinfo|typeinfo name|VTT) for |guard variable for )?dynbatch"
    )
    foreign = [name for _, kind, name in strong if kind not in "Vu" and not ours.match(name)]
    assert not foreign, foreign
