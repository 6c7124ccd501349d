"""The sdist holds what is needed and no more; its wheel works where there is no compiler."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from installed import MLP, Environment

# Whichever test comes first compiles the whole package.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_sdist_holds_sources_only(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"CMakeLists.txt", "LICENSE", "README.md", "cpp/include/dynbatch/version.hpp"} <= names
    generated = re.compile(r"\.(so|o|pyc|onnx|whl)(\.|$)|__pycache__|^build/|^tests/")
    assert not [name for name in names if generated.search(name)]


def test_wheel_is_a_python_package_and_a_cpp_sdk(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    libraries = sorted(name for name in names if re.search(r"/lib[^/]*\.so", name))
    assert libraries == [
        "dynbatch/lib/libdynbatch.so.0",
        "dynbatch/lib/libdynbatch_acl.so.0",
    ], "links would be full copies, and libascendcl.so would shadow another"
    for extension in ("_acl", "_core"):
        assert [name for name in names if re.match(rf"dynbatch/{extension}\.[^/]+\.so$", name)]
    assert not [name for name in names if "ascendcl" in name]
    assert {
        "dynbatch/__init__.py",
        "dynbatch/_acl/__init__.pyi",
        "dynbatch/_core.pyi",
        "dynbatch/acl/__main__.py",
        "dynbatch/include/dynbatch/acl.h",
        "dynbatch/py.typed",
        "dynbatch/include/dynbatch/dynbatch.hpp",
        "dynbatch/lib/cmake/dynbatch/dynbatchConfig.cmake",
        "dynbatch/lib/cmake/dynbatch/dynbatchConfigVersion.cmake",
        "dynbatch/lib/cmake/dynbatch/dynbatchTargets.cmake",
    } <= set(names)


def test_wheel_does_not_depend_on_where_it_is_built(wheel: Path) -> None:
    built_below = str(wheel.parent).encode()
    with zipfile.ZipFile(wheel) as archive:
        assert [name for name in archive.namelist() if built_below in archive.read(name)] == []


def test_wheel_runs_without_checkout_and_compiler(environment: Environment) -> None:
    printed = environment.run(
        "-c",
        "import shutil, sys, numpy, onnxruntime, dynbatch\n"
        "assert shutil.which('g++') is None and shutil.which('cmake') is None\n"
        "path = sys.argv[1]\n"
        "session = onnxruntime.InferenceSession(path)\n"
        "(entry,) = session.get_inputs()\n"
        "x = numpy.random.default_rng(0).standard_normal((5, entry.shape[1])).astype('float32')\n"
        "(expected,) = session.run(None, {entry.name: x})\n"
        "with dynbatch.load(path) as model:\n"
        "    (answer,) = model.run(None, {entry.name: x})\n"
        "    assert model.stats().rows == 5\n"
        "numpy.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)\n"
        "print(dynbatch.__version__, answer.shape[0])\n",
        MLP,
    )
    version, rows = printed.split()
    assert rows == "5"
    assert environment.run("-m", "dynbatch", "--version").strip() == version


def test_module_tells_where_its_cpp_parts_are(environment: Environment) -> None:
    package = environment.run("-c", "import dynbatch; print(dynbatch.__path__[0])").strip()
    for option, folder, content in [
        ("--cmakedir", "lib/cmake/dynbatch", "dynbatchConfig.cmake"),
        ("--libdir", "lib", "libdynbatch.so.0"),
        ("--includes", "include", "dynbatch/dynbatch.hpp"),
    ]:
        printed = Path(environment.run("-m", "dynbatch", option).strip().removeprefix("-I"))
        assert printed == Path(package, folder)
        assert (printed / content).is_file()


def test_the_command_is_installed_and_names_its_extra(environment: Environment) -> None:
    printed = environment.run(
        "-c",
        "import sys\n"
        "from importlib.metadata import entry_points\n"
        "(command,) = entry_points(group='console_scripts', name='dynbatch')\n"
        "sys.argv = ['dynbatch', 'inspect', 'model.onnx']\n"
        "try:\n"
        "    command.load()()\n"
        "except SystemExit as error:\n"
        "    print(error.code)\n",
    )
    assert "pip install dynbatch[cli]" in printed


def test_other_builds_find_the_package_through_its_entry_point(environment: Environment) -> None:
    printed = environment.run(
        "-c",
        "from importlib.metadata import entry_points, version\n"
        "(entry,) = entry_points(group='cmake.root', name='dynbatch')\n"
        "print(entry.load().__name__, version('dynbatch'))\n",
    )
    assert printed.split()[0] == "dynbatch"
