"""Requests of coroutines: one port for each runtime and event loop.

A port's descriptor is read by its loop. The loop holds the only reference to the reader, so that
closing the loop ends it, and with it the port: what is in flight then is cancelled and dropped.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from asyncio import AbstractEventLoop

from dynbatch import _core
from dynbatch._core import OnFull
from dynbatch._errors import Timeout
from dynbatch._fork import Process
from dynbatch._options import timeout_of
from dynbatch._tensors import Feeds, Outputs, copied


class _Reader:
    """What a loop calls when its port has something to drain; it dies when the loop closes."""

    __slots__ = ("_port",)

    def __init__(self, port: _core.LoopPort) -> None:
        self._port = port

    def __call__(self) -> None:
        self._port.drain()

    def __del__(self) -> None:
        self._port.abandon()


class LoopPorts:
    """The ports of one runtime, by event loop."""

    def __init__(self, core: _core.Batcher) -> None:
        self._core = core
        self._process = Process()
        self._lock = threading.RLock()
        # By id of the loop. An id can come back only after its loop, and so its port, is gone.
        self._ports: dict[
            int, tuple[weakref.ref[AbstractEventLoop], weakref.ref[_core.LoopPort]]
        ] = {}

    async def infer(self, feeds: Feeds, timeout: float | None, *, full: bool = False) -> Outputs:
        """Submits feeds and awaits their answer; waits for room where the queue is full, which
        `full` says that it was just now.
        """
        self._process.refuse_fork()
        timeout = timeout_of(timeout)
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while full or (answer := self._port_of(loop).submit(feeds)) is None:
            full = False
            feeds = self._core.arrays(feeds)  # so that asking again copies nothing
            if self._core.exceeds_queue(feeds):
                # It runs in pieces, each of which waits for room: a thread has to do that.
                # The thread goes on when the await is given up, so that it has rows of its own.
                wait = functools.partial(self._core.infer, copied(feeds), OnFull.wait, timeout)
                return await loop.run_in_executor(None, wait)
            await self._wait_for_space(loop, deadline)
        if deadline is None:
            return await answer
        timer = loop.call_at(deadline, answer.expire)
        try:
            return await answer
        finally:
            timer.cancel()

    def close(self) -> None:
        """Closes the ports of a closed runtime, each on its own loop's thread."""
        with self._lock:
            entries = list(self._ports.values())
            self._ports.clear()
        for loop_reference, port_reference in entries:
            loop = loop_reference()
            if loop is None or loop.is_closed():
                continue
            try:
                loop.call_soon_threadsafe(_retire, loop, port_reference)
            except RuntimeError:
                continue  # closed meanwhile

    async def _wait_for_space(self, loop: AbstractEventLoop, deadline: float | None) -> None:
        space = self._port_of(loop).notify_space()
        if deadline is None:
            await space
            return
        timer = loop.call_at(deadline, space.expire)
        try:
            await space
        finally:
            timer.cancel()
        if loop.time() >= deadline:
            raise Timeout("the queue stayed full until the request's deadline")

    def _port_of(self, loop: AbstractEventLoop) -> _core.LoopPort:
        entry = self._ports.get(id(loop))
        if entry is not None and entry[0]() is loop:
            port = entry[1]()
            if port is not None:
                return port
        return self._open(loop)

    def _open(self, loop: AbstractEventLoop) -> _core.LoopPort:
        port = _core.LoopPort(self._core, loop)
        loop.add_reader(port.fileno(), _Reader(port))
        key = id(loop)

        def forget(_: object, ports: LoopPorts = self) -> None:
            if ports._process.forked:
                return
            with ports._lock:
                entry = ports._ports.get(key)
                if entry is not None and entry[1]() is None:
                    del ports._ports[key]

        with self._lock:
            self._ports[key] = (weakref.ref(loop), weakref.ref(port, forget))
        return port


def _retire(loop: AbstractEventLoop, reference: weakref.ref[_core.LoopPort]) -> None:
    port = reference()
    if port is None:
        return
    port.drain()
    if port.in_flight == 0:
        loop.remove_reader(port.fileno())
    else:
        # What was closed has ended, or is about to; this waits for the last announcement.
        loop.call_later(0.001, _retire, loop, reference)
