"""Whether a thread stands inside the extension, so that tests need not guess when it waits."""

from __future__ import annotations

import dis
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


def wait_until_inside_call(thread: threading.Thread, function: Callable[..., Any]) -> None:
    """Blocks until `thread` is in a call that `function` makes to what is not Python."""
    while True:
        frame = sys._current_frames().get(thread.ident or 0)
        if frame is not None and frame.f_code is function.__code__ and _calls(frame):
            return
        os.sched_yield()


def _calls(frame: FrameType) -> bool:
    # At any other instruction the thread has merely lost its turn.
    return dis.opname[frame.f_code.co_code[frame.f_lasti]].startswith("CALL")
