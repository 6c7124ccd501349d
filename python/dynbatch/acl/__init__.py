"""pyACL's functions on ONNX Runtime: `from dynbatch import acl`.

Functions, argument order and return tuples are those of pyACL: handles and pointers are integers,
out-parameters come first and the code last; `acl.get_recent_err_msg()` tells in words what it
means, on the same thread. `python -m dynbatch.acl SCRIPT` runs a script that says `import acl`.
docs/ascendcl.md is the manual; `native` has what pyACL does not. Codes have their names here.

Any number of threads may use one model id, each with datasets of its own. Blocking calls release
the GIL.
"""

from __future__ import annotations

import atexit

from dynbatch import _acl
from dynbatch._acl import (
    create_data_buffer,
    data_type_size,
    destroy_data_buffer,
    finalize,
    get_data_buffer_addr,
    get_data_buffer_size,
    get_data_buffer_size_v2,
    get_recent_err_msg,
    mdl,
    rt,
    update_data_buffer,
    util,
)
from dynbatch.acl import _codes, native
from dynbatch.acl._codes import *  # noqa: F403

__all__ = [
    "create_data_buffer",
    "data_type_size",
    "destroy_data_buffer",
    "finalize",
    "get_data_buffer_addr",
    "get_data_buffer_size",
    "get_data_buffer_size_v2",
    "get_recent_err_msg",
    "init",
    "mdl",
    "native",
    "rt",
    "update_data_buffer",
    "util",
]
__all__ += _codes.__all__


def init(config_path: str | None = None) -> int:
    """Begins. `config_path` names a JSON file, of which nothing is used.

    Models run on what `native.set_runtime_library()` was told, else on what DYNBATCH_ORT_LIB
    names, else on the installed package onnxruntime.
    """
    native._use_installed_library()
    return _acl.init(config_path)


# What streams have queued uses arrays, which are gone once the interpreter is. Where it was
# finalised already, or never begun, the answer is a code that nobody reads.
atexit.register(_acl.finalize)
