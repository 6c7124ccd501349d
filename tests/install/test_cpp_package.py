"""examples/cpp builds and runs against an install prefix and against the wheel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from installed import MLP, Environment, build_examples, run, run_example
from repository import CXX_SUFFIXES, files_below, without_comments

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


def test_examples_of_the_c_api_build_against_the_wheel(
    environment: Environment, tmp_path: Path
) -> None:
    cmake_dir = environment.run("-m", "dynbatch", "--cmakedir").strip()
    build = build_examples(tmp_path / "build", f"-Ddynbatch_DIR={cmake_dir}", folder="acl")
    program = (
        "import dynbatch, sys\n"
        "dynbatch.compile(sys.argv[1], output=sys.argv[2], input_shape={'x': (-1, 256)},\n"
        "                 dynamic_batch_size=[4, 1])\n"
    )
    environment.run("-c", program, MLP, tmp_path / "model.om")
    library = environment.onnxruntime_library()
    printed = run_example(build / "dynamic_batch", tmp_path / "model.om", library=library)
    assert [line.partition(":")[0] for line in printed.splitlines()] == ["gear 4", "gear 1"]


def test_the_c_api_exports_what_its_header_declares(prefix: Path) -> None:
    library = prefix / "lib/libdynbatch_acl.so"
    printed = run("nm", "--dynamic", "--defined-only", library)
    lines = [line.split() for line in printed.splitlines()]
    strong = {words[2] for words in lines if words[1] not in "WVu"}
    header = (prefix / "include/dynbatch/acl.h").read_text(encoding="utf-8")
    declared = set(re.findall(r"\b((?:acl|dynbatchAcl)\w+)\(", without_comments(header)))
    assert strong == declared
    assert not list(prefix.rglob("*ascendcl*"))


def words_of_public_headers() -> set[str]:
    return {
        word
        for path in files_below("cpp/include", suffixes=CXX_SUFFIXES)
        for word in re.findall(r"\w+", without_comments(path.read_text(encoding="utf-8")))
    }


def test_only_names_of_public_headers_are_exported(prefix: Path) -> None:
    printed = run("nm", "--dynamic", "--defined-only", "--demangle", prefix / "lib/libdynbatch.so")
    lines = [line.split(" ", 2) for line in printed.splitlines()]
    # Weak symbols of the standard library are instantiated by whoever uses a template.
    strong = [name for _, kind, name in lines if kind not in "WVu"]
    assert strong
    known = words_of_public_headers()
    # "dynbatch::Ticket::wait_for(...) const", "dynbatch::to_string[abi:cxx11](...)"
    words = {name: re.findall(r"\w+", re.split(r"[(\[]", name)[0]) for name in strong}
    foreign = [
        name for name in strong if words[name][0] != "dynbatch" or not {*words[name]} <= known
    ]
    assert not foreign, foreign
