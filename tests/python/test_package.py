"""The package itself: what importing does, what it offers, where its C++ part lies."""

from __future__ import annotations

import importlib.metadata
import inspect
import os
import subprocess
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

import dynbatch
from dynbatch import _onnxruntime

ROOT = Path(__file__).resolve().parents[2]


def python(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ).stdout


def test_importing_is_cheap_and_silent() -> None:
    out = python(
        "-c",
        "import sys, threading, logging\n"
        "before = dict(os.environ) if (os := __import__('os')) else None\n"
        "import dynbatch\n"
        "heavy = {'onnxruntime', 'onnx', 'asyncio', 'torch', 'ml_dtypes'} & set(sys.modules)\n"
        "print(sorted(heavy), threading.active_count(), logging.root.handlers)\n"
        "print(dict(os.environ) == before)\n",
    )
    assert out == "[] 1 []\nTrue\n"


def test_native_execution_never_imports_onnxruntime(models: dict[str, Path]) -> None:
    out = python(
        "-c",
        "import sys, dynbatch\n"
        "import numpy as np\n"
        f"with dynbatch.load({str(models['one_gemm'])!r}) as model:\n"
        "    model.run(None, {'x': np.ones((1, 64), dtype=np.float32)})\n"
        "print('onnxruntime' in sys.modules)\n",
    )
    assert out == "False\n"


def test_every_public_name_is_there_and_has_a_docstring() -> None:
    for name in dynbatch.__all__:
        value = getattr(dynbatch, name)
        if name == "__version__":
            continue
        assert value.__doc__, name
        if not inspect.isclass(value):
            continue
        for attribute, member in vars(value).items():
            if attribute.startswith("_") or isinstance(member, (types.MemberDescriptorType, str)):
                continue
            if callable(member) or isinstance(member, property):
                assert member.__doc__, f"{name}.{attribute}"


def test_the_version_is_that_of_the_header_and_of_the_metadata() -> None:
    header = (ROOT / "cpp/include/dynbatch/version.hpp").read_text(encoding="utf-8")
    assert f'#define DYNBATCH_VERSION "{dynbatch.__version__}"' in header
    assert importlib.metadata.version("dynbatch") == dynbatch.__version__


def test_load_has_the_documented_signature() -> None:
    parameters = inspect.signature(dynbatch.load).parameters
    assert list(parameters) == [
        *("model", "max_batch_size", "gears", "fill", "dimensions", "inputs", "outputs", "ragged"),
        *("batch_inputs", "batch_outputs", "lengths", "image_sizes", "dims", "pads", "set_size"),
        *("config", "hint", "workers", "intra_op_threads", "max_queue_delay", "queue_capacity"),
        *("queue_bytes", "on_full", "execution", "providers", "session_config", "batching"),
        *("verify", "row_tolerance"),
    ]
    options = list(parameters.values())[1:]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in options)
    defaults = {p.name: p.default for p in options if p.default is not None}
    assert defaults == {
        "max_batch_size": 32,
        "fill": "auto",
        "pads": False,
        "set_size": 1,
        "max_queue_delay": 0.0,
        "queue_bytes": 64 << 20,
        "batching": "auto",
        "verify": True,
    }


def test_the_module_tells_where_the_cpp_package_is() -> None:
    folder = dynbatch.package_folder()
    assert python("-m", "dynbatch", "--version") == f"{dynbatch.__version__}\n"
    assert python("-m", "dynbatch", "--includes") == f"-I{folder / 'include'}\n"
    assert python("-m", "dynbatch", "--libdir") == f"{folder / 'lib'}\n"
    assert python("-m", "dynbatch", "--cmakedir") == f"{folder / 'lib/cmake/dynbatch'}\n"
    both = python("-m", "dynbatch", "--libdir", "--version").splitlines()
    assert both == [dynbatch.__version__, str(folder / "lib")]


def test_the_module_without_a_question_says_what_to_ask() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        python("-m", "dynbatch")
    assert "--cmakedir" in caught.value.stderr


@pytest.fixture
def two_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        installed = {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.30.0"}
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    _onnxruntime.warn_about_two_builds.cache_clear()


def test_two_builds_of_onnxruntime_are_explained(
    two_builds: None, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DYNBATCH_ORT_LIB", raising=False)
    told = "onnxruntime 1.31.1, onnxruntime-gpu 1.30.0.*uninstall all of them"
    with pytest.warns(RuntimeWarning, match=told) as caught:
        dynbatch.load(models["one_gemm"], max_batch_size=1).close()
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dynbatch.load(models["one_gemm"], max_batch_size=1).close()


def folder_of_onnxruntime(monkeypatch: pytest.MonkeyPatch, folder: Path, *libraries: str) -> None:
    (folder / "capi").mkdir()
    for library in libraries:
        (folder / "capi" / library).touch()
    spec: Any = types.SimpleNamespace(submodule_search_locations=[str(folder)])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    monkeypatch.delenv("DYNBATCH_ORT_LIB", raising=False)


def test_the_library_of_the_package_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder_of_onnxruntime(monkeypatch, tmp_path, "libonnxruntime.so.1.31.1", "other.so")
    assert _onnxruntime.library_path() == str(tmp_path / "capi" / "libonnxruntime.so.1.31.1")
    monkeypatch.setenv("DYNBATCH_ORT_LIB", "/elsewhere/libonnxruntime.so")
    assert _onnxruntime.library_path() == ""


def test_a_missing_library_is_explained(
    two_builds: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder_of_onnxruntime(monkeypatch, tmp_path)
    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(dynbatch.ModelError, match=r"(?s)pip install.*Several builds"),
    ):
        _onnxruntime.library_path()


def test_left_over_libraries_are_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder_of_onnxruntime(monkeypatch, tmp_path, "libonnxruntime.so.1.2", "libonnxruntime.so.1.3")
    with pytest.raises(dynbatch.ModelError, match=r"so\.1\.2, libonnxruntime\.so\.1\.3: reinstall"):
        _onnxruntime.library_path()


def test_a_missing_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delenv("DYNBATCH_ORT_LIB", raising=False)
    with pytest.raises(dynbatch.ModelError, match="pip install onnxruntime"):
        _onnxruntime.library_path()


def test_errors_have_the_bases_that_callers_expect() -> None:
    import concurrent.futures

    assert issubclass(dynbatch.InvalidInput, ValueError)
    assert issubclass(dynbatch.Timeout, TimeoutError)
    assert issubclass(dynbatch.Cancelled, concurrent.futures.CancelledError)
    assert issubclass(dynbatch.RowsMixWarning, UserWarning)
    for name in dynbatch.__all__:
        value = getattr(dynbatch, name)
        if inspect.isclass(value) and issubclass(value, Exception):
            assert value.__module__ == "dynbatch"
            assert issubclass(value, (dynbatch.Error, Warning))
