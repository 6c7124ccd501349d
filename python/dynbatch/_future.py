"""The future of a submitted request."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Generator
from typing import Any

from dynbatch import _core
from dynbatch._callbacks import Callback, CallbackThread, Waiter
from dynbatch._errors import Cancelled, Timeout
from dynbatch._tensors import Outputs


class Future:
    """The answer of one request, which is there now or later.

    It has the methods of `concurrent.futures.Future` that its reader needs, and can be awaited.
    Made by `submit()`. All methods may be called from any thread. Dropping a future does not cancel
    its request.
    """

    __slots__ = ("__weakref__", "_callback_thread", "_listeners", "_ticket")

    def __init__(self, ticket: _core.Ticket, callback_thread: CallbackThread) -> None:
        """Not for users."""
        self._ticket = ticket
        self._callback_thread = callback_thread
        # None once it was delivered; guarded by the callback thread's lock.
        self._listeners: list[Callback | Waiter] | None = []

    def done(self) -> bool:
        """Whether the request has ended: with an answer, an error, or by cancellation."""
        return self._ticket.done()

    def cancel(self) -> bool:
        """Gives the request up, also while it runs: its rows are then run for nothing.

        Returns:
            Whether the request is cancelled now.
        """
        return self._ticket.cancel() or self._ticket.cancelled()

    def cancelled(self) -> bool:
        """Whether the request ended by cancellation."""
        return self._ticket.cancelled()

    def running(self) -> bool:
        """False: a request can be cancelled until it is done."""
        return False

    def result(self, timeout: float | None = None) -> Outputs:
        """Waits for the answer.

        Args:
            timeout: Seconds to wait; None for as long as it takes. The request goes on when the
                wait ends.

        Returns:
            Arrays by output name, each with the batch axis first; the same ones at each call.

        Raises:
            Timeout: The wait ended, or the request's own deadline passed.
            Cancelled: The request was cancelled.
            ExecutionError: Its run failed.
        """
        self._wait(timeout)
        return self._ticket.result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Waits, and returns what `result()` would raise; None if there is an answer.

        Raises:
            Timeout: The wait ended.
            Cancelled: The request was cancelled.
        """
        self._wait(timeout)
        exception: BaseException | None = self._ticket.exception()
        if isinstance(exception, Cancelled):
            raise exception
        return exception

    def add_done_callback(self, function: Callable[[Future], object]) -> None:
        """Calls `function(self)` once the request is done, on the model's one callback thread.

        What it raises is logged. Everything is allowed in a callback, also what blocks.
        """
        self._callback_thread.add(self, self._ticket, Callback(function))

    def as_concurrent(self) -> concurrent.futures.Future[Outputs]:
        """A real `concurrent.futures.Future` with the same answer, for `wait`, `as_completed` and
        `asyncio.wrap_future`. Cancelling it cancels the request.
        """
        answer: concurrent.futures.Future[Outputs] = concurrent.futures.Future()

        def copy(done: Future) -> None:
            if done.cancelled():
                answer.cancel()
            if not answer.set_running_or_notify_cancel():
                return
            exception = done.exception()
            if exception is None:
                answer.set_result(done.result())
            else:
                answer.set_exception(exception)

        def forward(ended: concurrent.futures.Future[Outputs]) -> None:
            if ended.cancelled():
                self.cancel()

        answer.add_done_callback(forward)
        self.add_done_callback(copy)
        return answer

    def __await__(self) -> Generator[Any, None, Outputs]:
        """Waits on the running event loop. Cancelling the waiting task cancels the request."""
        if not self.done():
            self._ticket.refuse_endless_wait()
            import asyncio

            loop = asyncio.get_running_loop()
            waiter: asyncio.Future[None] = loop.create_future()
            self._callback_thread.add(self, self._ticket, Waiter(loop, waiter))
            try:
                yield from waiter
            except asyncio.CancelledError:
                self.cancel()
                raise
        return self._ticket.result()

    def __repr__(self) -> str:
        if not self.done():
            state = "pending"
        elif self.cancelled():
            state = "cancelled"
        else:
            exception = self._ticket.exception()
            state = "finished" if exception is None else f"raised {type(exception).__name__}"
        rows = self._ticket.rows
        return f"<dynbatch.Future of {rows} {'row' if rows == 1 else 'rows'}: {state}>"

    def _wait(self, timeout: float | None) -> None:
        if not self._ticket.wait(timeout):
            raise Timeout(f"the request was not done within {timeout} s; it goes on")
