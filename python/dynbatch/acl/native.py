"""What pyACL does not have: gears for rows, the dims of a dataset, and what models run on."""

from __future__ import annotations

import warnings

from dynbatch import _acl, _onnxruntime
from dynbatch._errors import ModelError

__all__ = [
    "gear_for_rows",
    "get_dataset_output_dims",
    "live_handles",
    "set_runtime_library",
    "set_threads",
]

gear_for_rows = _acl.native.gear_for_rows
get_dataset_output_dims = _acl.native.get_dataset_output_dims
live_handles = _acl.native.live_handles
set_threads = _acl.native.set_threads

_chosen_library = ""


def set_runtime_library(path: str) -> int:
    """Names ONNX Runtime's shared library, for models that are loaded later.

    "" leaves the choice to the next `acl.init()`.
    """
    global _chosen_library
    code = _acl.native.set_runtime_library(path)
    if code == 0:
        _chosen_library = path
    return code


def _use_installed_library() -> None:
    """What `acl.init()` takes unless one was chosen."""
    if _chosen_library:
        return
    try:
        _acl.native.set_runtime_library(_onnxruntime.library_path())
    except ModelError as error:
        # Loading a model then answers with a code, which scripts expect.
        warnings.warn(str(error), RuntimeWarning, stacklevel=3)
