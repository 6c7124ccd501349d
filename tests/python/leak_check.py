"""A pytest plugin for Python with AddressSanitizer: leaks fail the session.

The check runs while the interpreter is whole. What Python, NumPy and ONNX Runtime keep for the
process is then still referred to and is no leak, so that no rule has to leave it out; an object
that the extension has forgotten to release is one, be it C++'s or Python's.
"""

from __future__ import annotations

import ctypes
import gc

import pytest

SANITIZER = ctypes.CDLL(None)


def pytest_configure() -> None:
    """Imports what forgets two objects of its own at its import."""
    SANITIZER.__lsan_disable()
    import onnxruntime  # noqa: F401

    SANITIZER.__lsan_enable()


def found_leaks() -> bool:
    """Whether LeakSanitizer finds memory that nothing refers to; it prints what and from where."""
    gc.collect()
    return bool(SANITIZER.__lsan_do_recoverable_leak_check())


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if found_leaks():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
