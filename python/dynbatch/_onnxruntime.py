"""Where ONNX Runtime is installed, found without importing it."""

from __future__ import annotations

import functools
import importlib.util
import os
from pathlib import Path

from dynbatch._errors import ModelError
from dynbatch._warn import warn

# Distributions that install the package `onnxruntime`. Two of them in one environment overwrite
# each other's files.
_DISTRIBUTIONS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-azure",
    "onnxruntime-cann",
    "onnxruntime-directml",
    "onnxruntime-migraphx",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "onnxruntime-rocm",
    "onnxruntime-silicon",
    "onnxruntime-training",
    "ort-nightly",
    "ort-nightly-gpu",
)


def library_path() -> str:
    """The shared library of the installed package, for native execution.

    Empty where DYNBATCH_ORT_LIB names another one, which the core reads itself.
    """
    if os.environ.get("DYNBATCH_ORT_LIB"):
        return ""
    warn_about_two_builds()
    folder = _package_folder()
    libraries = sorted((folder / "capi").glob("libonnxruntime.so*"))
    if not libraries:
        raise ModelError(
            f"the onnxruntime package in {folder} has no shared library, which it brings from "
            'version 1.19 on: pip install "onnxruntime>=1.20", or load with execution="python"'
            + _explanation()
        )
    if len(libraries) > 1:
        names = ", ".join(library.name for library in libraries)
        raise ModelError(
            f"{folder / 'capi'} has more than one ONNX Runtime library, {names}: reinstall "
            "onnxruntime, or name one of them in the environment variable DYNBATCH_ORT_LIB"
            + _explanation()
        )
    return str(libraries[0])


def installed_distributions() -> dict[str, str]:
    """The installed distributions of ONNX Runtime, with their versions."""
    import importlib.metadata  # here, since it takes longer to import than the rest of the package

    found = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def warn_about_two_builds() -> None:
    """Warns, once a process, where several builds share one folder."""
    explanation = _explanation()
    if explanation:
        warn(RuntimeWarning(explanation.lstrip(". ")))


def _explanation() -> str:
    found = installed_distributions()
    if len(found) < 2:
        return ""
    names = ", ".join(f"{name} {version}" for name, version in found.items())
    return (
        f". Several builds of ONNX Runtime are installed: {names}. They write into the same "
        "folder, so that files of one are mixed with files of another: uninstall all of them, then "
        "install the one that you want"
    )


def _package_folder() -> Path:
    # The parent alone would be imported by find_spec("onnxruntime.capi").
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            "ONNX Runtime is not installed: pip install onnxruntime, or name its shared library in "
            "the environment variable DYNBATCH_ORT_LIB" + _explanation()
        )
    return Path(next(iter(spec.submodule_search_locations)))
