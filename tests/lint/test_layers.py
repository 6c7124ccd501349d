"""Includes go down the layers only, and public headers stand alone."""

from __future__ import annotations

import re

import pytest

from repository import CXX_SUFFIXES, ROOT, files_below, included, name_of, without_comments

LAYERS = {
    "base": 0,
    "memory": 1,
    "kernels": 1,
    "queue": 2,
    "executor": 2,
    "batch": 3,
    "runtime": 4,
    "capi": 5,
}

# Headers of the operating system belong to base, where a port starts. Loading a library is the
# one thing that the executor does itself.
SYSTEM_HEADER = re.compile(
    r"^(sys/.*|linux/.*|unistd\.h|poll\.h|pthread\.h|sched\.h|signal\.h|fcntl\.h|dlfcn\.h)$"
)
SYSTEM_HEADERS_OF = {"base": SYSTEM_HEADER, "executor": re.compile(r"^dlfcn\.h$")}

STANDARD_HEADER = re.compile(r"^([a-z_]+|std[a-z]+\.h)$")


def layer_faults(name: str, folder: str, text: str) -> list[str]:
    """Includes of a source in a folder of cpp/src that its layer does not allow."""
    faults = []
    for line, target, quoted in included(text):
        place = f"{name}:{line}"
        if SYSTEM_HEADER.match(target):
            allowed = SYSTEM_HEADERS_OF.get(folder)
            if allowed is None or not allowed.match(target):
                faults.append(f"{place}: <{target}> is of the operating system: use base")
            continue
        if target.startswith("dynbatch/"):
            continue
        if not quoted:
            if not STANDARD_HEADER.match(target) and not target.endswith("intrin.h"):
                faults.append(f"{place}: <{target}> is neither standard nor public")
            continue
        other = target.partition("/")[0]
        if other not in LAYERS:
            faults.append(f"{place}: {target} names no layer; write folder/file.hpp")
        elif LAYERS[folder] == 5 and other != folder:
            faults.append(f"{place}: {folder} stands on public headers only, not on {target}")
        elif other != folder and LAYERS[other] >= LAYERS[folder]:
            faults.append(
                f"{place}: {folder} (layer {LAYERS[folder]}) includes {target} "
                f"(layer {LAYERS[other]})"
            )
    return faults


def test_every_source_folder_is_a_layer() -> None:
    folders = {path.name for path in (ROOT / "cpp/src").iterdir() if path.is_dir()}
    assert folders <= LAYERS.keys()


def test_includes_go_down_only() -> None:
    faults = []
    for path in files_below("cpp/src", suffixes=CXX_SUFFIXES):
        folder = path.relative_to(ROOT / "cpp/src").parts[0]
        faults += layer_faults(name_of(path), folder, path.read_text(encoding="utf-8"))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("folder", "include", "allowed"),
    [
        ("queue", '"memory/gear_memory.hpp"', True),
        ("queue", '"queue/request_queue.hpp"', True),
        ("queue", "<dynbatch/tensor.hpp>", True),
        ("queue", "<cstdint>", True),
        ("queue", '"executor/ort_library.hpp"', False),
        ("memory", '"queue/request_queue.hpp"', False),
        ("capi", '"base/platform.hpp"', False),
        ("queue", '"request_queue.hpp"', False),
        ("queue", "<sys/eventfd.h>", False),
        ("base", "<sys/eventfd.h>", True),
        ("batch", "<gtest/gtest.h>", False),
    ],
)
def test_includes_are_judged_rightly(folder: str, include: str, allowed: bool) -> None:
    assert (not layer_faults("x.cpp", folder, f"#include {include}\n")) is allowed


def test_public_headers_include_only_standard_and_public_headers() -> None:
    faults = [
        f"{name_of(path)}:{line}: {target}"
        for path in files_below("cpp/include", suffixes=CXX_SUFFIXES)
        for line, target, _ in included(path.read_text(encoding="utf-8"))
        if not target.startswith("dynbatch/") and not STANDARD_HEADER.match(target)
    ]
    assert not faults, "\n".join(faults)


def test_public_headers_are_the_same_in_every_build() -> None:
    # __cplusplus is a language, not an option: C headers need it.
    condition = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b(?!\s*__cplusplus\s*$).*", re.M)
    faults = [
        f"{name_of(path)}: {match[0].strip()}"
        for path in files_below("cpp/include", suffixes=CXX_SUFFIXES)
        for match in condition.finditer(without_comments(path.read_text(encoding="utf-8")))
    ]
    assert not faults, "\n".join(faults)


def test_bindings_use_public_headers_only() -> None:
    own = {path.name for path in files_below("python/bindings", suffixes=CXX_SUFFIXES)}
    faults = [
        f"{name_of(path)}:{line}: {target}"
        for path in files_below("python/bindings", suffixes=CXX_SUFFIXES)
        for line, target, quoted in included(path.read_text(encoding="utf-8"))
        if not target.startswith(("dynbatch/", "pybind11/"))
        and not STANDARD_HEADER.match(target)
        and not (quoted and target in own)
        and target != "Python.h"
    ]
    assert not faults, "\n".join(faults)


def test_nothing_shipped_includes_tests_or_benchmarks() -> None:
    roots = {path.name for folder in ("tests", "bench") for path in (ROOT / folder).glob("*.hpp")}
    faults = [
        f"{name_of(path)}:{line}: {target}"
        for path in files_below("cpp", "python", "examples", suffixes=CXX_SUFFIXES)
        for line, target, _ in included(path.read_text(encoding="utf-8"))
        if re.search(r"(^|/)(tests|bench)/|gtest|gmock|benchmark/", target) or target in roots
    ]
    assert not faults, "\n".join(faults)
