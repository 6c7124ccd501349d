"""Wakes an event loop to within microseconds, where asyncio's own timers count milliseconds."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time

CLOCK_MONOTONIC = 1  # that of perf_counter_ns on Linux
TFD_TIMER_ABSTIME = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class _TimerSpec(ctypes.Structure):
    """C's `struct itimerspec`, its times in seconds and nanoseconds."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class ArrivalTimer:
    """A timer descriptor of the running loop; it is used by one coroutine at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = _LIBC.timerfd_create(CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop.add_reader(self._descriptor, self._fire)
        self._waiter: asyncio.Future[None] | None = None

    async def wait_until(self, due_ns: int) -> None:
        """Sleeps until that time of `perf_counter_ns`; lets the loop pass once if it is over."""
        if due_ns <= time.perf_counter_ns():
            await asyncio.sleep(0)
            return
        spec = _TimerSpec(0, 0, *divmod(due_ns, 10**9))
        if _LIBC.timerfd_settime(self._descriptor, TFD_TIMER_ABSTIME, ctypes.byref(spec), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        self._waiter = self._loop.create_future()
        await self._waiter

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _fire(self) -> None:
        os.read(self._descriptor, 8)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
