"""Warnings that point at the user's line, through whatever of the package it was reached."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

# Between a coroutine and whoever runs its loop.
_PASSED_OVER = ("dynbatch", "asyncio")


def calling_frame() -> FrameType:
    """The innermost frame of this thread that is the user's."""
    frame = sys._getframe(1)
    while _package_of(frame) in _PASSED_OVER and frame.f_back is not None:
        frame = frame.f_back
    return frame


def warn(message: Warning, frame: FrameType | None = None) -> None:
    """Warns at this frame; None: where this thread called the package."""
    frame = frame or calling_frame()
    warnings.warn_explicit(
        message,
        type(message),
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
