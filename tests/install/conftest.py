"""The package as users get it: sdist, the wheel built from it, environments that hold it."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import pytest

from installed import ROOT, Environment, run


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT)
    (archive,) = folder.glob("dynbatch-*.tar.gz")
    return archive


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder)
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source)
    (built,) = folder.glob("dynbatch-*.whl")
    return built


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv/bin/python"
    constraints = ROOT / "third_party/constraints.txt"
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
        *("--only-binary=:all:", "--constraint", constraints, wheel),
    )
    (folder / "elsewhere").mkdir()
    return Environment(folder=folder / "venv", elsewhere=folder / "elsewhere")


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `cmake --install` lays down, of a tree as users make it."""
    folder = tmp_path_factory.mktemp("prefix")
    tree = ROOT / "build/prefix"
    run("cmake", "-S", ROOT, "-B", tree, "-DCMAKE_BUILD_TYPE=Release")
    run("cmake", "--build", tree)
    run("cmake", "--install", tree, "--prefix", folder)
    return folder
