"""A batcher with the Python threads and event-loop ports that belong to it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING

from dynbatch import _core
from dynbatch._callbacks import CallbackThread
from dynbatch._errors import ExecutionError

if TYPE_CHECKING:
    from dynbatch._loops import LoopPorts


class Runtime:
    """What runs requests; outlives the model or batcher that users hold by no more than its close.

    `execution` is "native" or "python". A Python execution runs on `threading.Thread`s that lend
    themselves to the core.
    """

    def __init__(self, core: _core.Batcher, *, execution: str) -> None:
        self.core = core
        self.execution = execution
        self.submit_on_loop = core.loop_submitter()
        self.callbacks = CallbackThread()
        self._ports: LoopPorts | None = None
        self._workers: list[threading.Thread] = []

    @classmethod
    def native(cls, make: Callable[[], _core.Batcher]) -> Runtime:
        """`make` builds a batcher that has workers of its own."""
        return cls(make(), execution="native")

    @classmethod
    def python(cls, make: Callable[[], _core.Batcher]) -> Runtime:
        """`make` builds a batcher without workers; it is called on the first worker thread, so that
        what it runs always runs on workers.
        """
        # Popped when it is called: what it refers to must not live as long as the thread.
        makes = [make]
        made: Future[Runtime] = Future()
        first = threading.Thread(
            target=cls._serve_first, args=(makes, made), name="dynbatch-worker-0"
        )
        del make
        try:
            first.start()
            runtime = made.result()
            runtime._start_workers()
        except BaseException:  # Ctrl-C, too
            if made.cancel():
                raise  # what is still being made is closed by its thread
            if made.exception() is None:
                made.result().close(drain=False)
            first.join()
            raise
        return runtime

    @classmethod
    def _serve_first(cls, makes: list[Callable[[], _core.Batcher]], made: Future[Runtime]) -> None:
        try:
            runtime = cls(makes.pop()(), execution="python")
        except BaseException as error:  # raised again by the thread that waits
            with contextlib.suppress(InvalidStateError):
                made.set_exception(error)
            return
        runtime._workers.append(threading.current_thread())
        try:
            made.set_result(runtime)
        except InvalidStateError:  # nobody waits any more
            runtime.core.close(False)
            return
        runtime.core.work()

    @property
    def ports(self) -> LoopPorts:
        """Made with the first coroutine, since asyncio takes long to import."""
        if self._ports is None:
            from dynbatch._loops import LoopPorts

            self._ports = LoopPorts(self.core)
        return self._ports

    @property
    def python_threads(self) -> int:
        """Threads of Python's that belong to this runtime and have not ended."""
        return sum(worker.is_alive() for worker in self._workers) + self.callbacks.running

    def close(self, drain: bool) -> None:
        """Refuses new requests, ends the others as asked, and returns when no run goes on."""
        if self.callbacks.forked:
            return  # nothing of it is here
        self.core.close(drain)
        self.callbacks.close()
        if self._ports is not None:
            self._ports.close()
        for worker in self._workers:
            if worker is not threading.current_thread():
                worker.join()

    def close_unattended(self) -> None:
        """Closes without draining, on whatever thread the last reference was dropped."""
        try:
            self.close(drain=False)
        except ExecutionError:
            # Dropped inside a run of its own, which close() would wait for.
            threading.Thread(target=self.close, args=(False,), name="dynbatch-close").start()

    def _start_workers(self) -> None:
        for index in range(1, self.core.stats().workers):
            worker = threading.Thread(target=self.core.work, name=f"dynbatch-worker-{index}")
            worker.start()
            self._workers.append(worker)
        self.core.wait_for_workers()
