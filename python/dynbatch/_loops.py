"""Requests of coroutines: one port for each runtime and event loop.

A port's descriptor is read by its loop. The loop's selector holds the only lasting reference to the
port, so that closing the loop ends the port; what is in flight then is cancelled and dropped.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Mapping

import numpy as np

from dynbatch import _core
from dynbatch._core import OnFull
from dynbatch._errors import Timeout
from dynbatch._tensors import Feeds, Outputs


class LoopPorts:
    """The ports of one runtime, by event loop."""

    def __init__(self, core: _core.Batcher) -> None:
        self._core = core
        self._lock = threading.RLock()
        # By id of the loop. An id can come back only after its loop, and so its port, is gone.
        self._ports: dict[
            int, tuple[weakref.ref[AbstractEventLoop], weakref.ref[_core.LoopPort]]
        ] = {}

    async def infer(self, feeds: Feeds, timeout: float | None) -> Outputs:
        """Submits feeds and awaits their answer; waits for space where the queue is full."""
        loop = asyncio.get_running_loop()
        port = self._port_of(loop)
        deadline = None if timeout is None else loop.time() + timeout
        future: asyncio.Future[Outputs] = loop.create_future()
        while not port.submit(self._core, feeds, future):
            if self._core.exceeds_queue(feeds):
                # It runs in pieces, each of which waits for room: a thread has to do that.
                # The thread goes on when the await is given up, so that it has rows of its own.
                wait = functools.partial(self._core.infer, _copied(feeds), OnFull.wait, timeout)
                return await loop.run_in_executor(None, wait)
            await self._wait_for_space(loop, port, deadline)
        timer = None if deadline is None else loop.call_at(deadline, port.expire, future)
        try:
            return await future
        except asyncio.CancelledError:
            port.cancel(future)
            if future.done() and not future.cancelled():
                future.exception()  # so that asyncio does not report it as never retrieved
            raise
        finally:
            if timer is not None:
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

    async def _wait_for_space(
        self, loop: AbstractEventLoop, port: _core.LoopPort, deadline: float | None
    ) -> None:
        space: asyncio.Future[None] = loop.create_future()
        port.notify_space(self._core, space)
        try:
            await asyncio.wait_for(space, None if deadline is None else deadline - loop.time())
        except asyncio.TimeoutError:
            raise Timeout("the queue stayed full until the request's deadline") from None

    def _port_of(self, loop: AbstractEventLoop) -> _core.LoopPort:
        entry = self._ports.get(id(loop))
        if entry is not None and entry[0]() is loop:
            port = entry[1]()
            if port is not None:
                return port
        return self._open(loop)

    def _open(self, loop: AbstractEventLoop) -> _core.LoopPort:
        port = _core.LoopPort()
        loop.add_reader(port.fileno(), port.drain)
        key = id(loop)

        def forget(_: object, ports: LoopPorts = self) -> None:
            with ports._lock:
                entry = ports._ports.get(key)
                if entry is not None and entry[1]() is None:
                    del ports._ports[key]

        with self._lock:
            self._ports[key] = (weakref.ref(loop), weakref.ref(port, forget))
        return port


def _copied(feeds: Feeds) -> Feeds:
    if isinstance(feeds, Mapping):
        return {name: np.array(value) for name, value in feeds.items()}
    return np.array(feeds)


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
