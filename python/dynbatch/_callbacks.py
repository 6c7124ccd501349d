"""The one thread of a runtime that runs the callbacks of its futures.

It is started with the first callback or awaited future, and ends once the runtime is closed and
everything is delivered. It holds no lock while it calls user code.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from dynbatch import _core
from dynbatch._fork import Process

if TYPE_CHECKING:
    import asyncio

    from dynbatch._future import Future

_LOGGER = logging.getLogger("dynbatch")


class Callback:
    """A function that a future is passed to."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[Future], object]) -> None:
        self.function = function


class Waiter:
    """An asyncio future that is resolved with None on its loop's thread."""

    __slots__ = ("future", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
        self.loop = loop
        self.future = future


class CallbackThread:
    """Delivers finished futures to their callbacks and waiters."""

    def __init__(self) -> None:
        # Re-entrant: a collection of garbage may close a runtime on a thread that holds it.
        self._lock = threading.RLock()
        self._process = Process()
        self._port: _core.CompletionPort | None = None
        self._thread: threading.Thread | None = None
        self._late: deque[tuple[Future, Callback | Waiter]] = deque()
        self._closed = False

    def add(self, future: Future, ticket: _core.Ticket, listener: Callback | Waiter) -> None:
        """Has the thread tell `listener` once the future is done; at once if it is."""
        self._process.refuse_fork()
        with self._lock:
            if self._port is None:
                self._port = _core.CompletionPort()
            if self._thread is None:
                # First, so that a start that fails leaves no listener behind. No daemon: at exit
                # the runtime is closed before threads are joined.
                thread = threading.Thread(
                    target=self._serve, args=(self._port,), name="dynbatch-callbacks"
                )
                thread.start()
                self._thread = thread
            listeners = future._listeners
            if listeners is None:
                self._late.append((future, listener))
                self._port.wake()
            else:
                listeners.append(listener)
                if len(listeners) == 1:
                    self._port.notify(ticket, future)

    @property
    def forked(self) -> bool:
        """Whether this process is a fork, without the thread and with a lock that may be held for
        ever.
        """
        return self._process.forked

    def close(self) -> None:
        """Lets the thread end once everything is delivered. Does not wait for it."""
        with self._lock:
            self._closed = True
            if self._port is not None:
                self._port.wake()

    @property
    def running(self) -> bool:
        """Whether the thread has been started and has not ended."""
        return self._thread is not None

    def _serve(self, port: _core.CompletionPort) -> None:
        while True:
            port.wait()
            self._deliver(self._take(port))
            with self._lock:
                if self._closed and port.in_flight == 0 and not self._late:
                    self._thread = None
                    return

    def _take(self, port: _core.CompletionPort) -> list[tuple[Future, Callback | Waiter]]:
        finished: list[Future] = port.drain()
        pairs: list[tuple[Future, Callback | Waiter]] = []
        with self._lock:
            for future in finished:
                pairs += [(future, listener) for listener in future._listeners or ()]
                future._listeners = None
            while self._late:
                pairs.append(self._late.popleft())
        return pairs

    def _deliver(self, pairs: list[tuple[Future, Callback | Waiter]]) -> None:
        waiters: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for _, listener in pairs:
            if isinstance(listener, Waiter):
                waiters.setdefault(listener.loop, []).append(listener.future)
        for loop, futures in waiters.items():
            try:
                loop.call_soon_threadsafe(_resolve, futures)
            except RuntimeError:
                continue  # the loop was closed: nobody waits any more
        for future, listener in pairs:
            if isinstance(listener, Callback):
                call(listener.function, future)


def call(function: Callable[[Any], object], future: object) -> None:
    """Calls a callback; what it raises is logged, as concurrent.futures does."""
    try:
        function(future)
    except BaseException:  # also SystemExit: the thread serves all later callbacks
        _LOGGER.exception("exception calling callback for %r", future)


def _resolve(futures: Iterable[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
