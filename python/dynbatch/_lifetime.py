"""When runtimes end by themselves: with their owner, with the interpreter, and in a fork."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import TYPE_CHECKING

from dynbatch import _core
from dynbatch._errors import Closed

if TYPE_CHECKING:
    from dynbatch._runtime import Runtime

_finalizers: dict[int, weakref.finalize[[int, Runtime], object]] = {}
_exiting = False


def close_with(owner: object, runtime: Runtime) -> None:
    """Closes `runtime` without draining when `owner` is collected or the interpreter exits."""
    if _exiting:
        runtime.close(drain=False)
        raise Closed("the interpreter is exiting")
    finalizer = weakref.finalize(owner, _finish, id(runtime), runtime)
    finalizer.atexit = False  # too late for the threads, which are joined before
    _finalizers[id(runtime)] = finalizer


def _finish(key: int, runtime: Runtime) -> None:
    _finalizers.pop(key, None)
    runtime.close_unattended()


def _close_all() -> None:
    global _exiting
    _exiting = True
    for finalizer in list(_finalizers.values()):
        finalizer()


def _after_fork_in_child() -> None:
    _finalizers.clear()
    _core._after_fork()


def _register() -> None:
    os.register_at_fork(after_in_child=_after_fork_in_child)
    # Threads are joined before functions of atexit run, and workers end only when their runtime is
    # closed. concurrent.futures uses the same hook.
    register = getattr(threading, "_register_atexit", atexit.register)
    try:
        register(_close_all)
    except RuntimeError:
        atexit.register(_close_all)  # imported while the interpreter exits


_register()
